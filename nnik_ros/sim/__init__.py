"""The robot in MuJoCo: the only folder that imports mujoco."""
