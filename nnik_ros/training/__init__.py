"""Training of the incremental network: the only folder that imports torch, onnx and matplotlib."""
