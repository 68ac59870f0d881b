"""Baselines: learned inverse kinematics as others describe it, behind the same contract as the package's own network."""
