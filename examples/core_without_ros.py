"""The controller and a network without ROS: a tick is a function of joints and targets, as fast as you call it."""

import numpy as np

from nnik_ros.controller import Controller
from nnik_ros.controller_options import ControllerOptions
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file, robot_file
from nnik_ros.robot import load_robot
from nnik_ros.states import Measurement, Targets

robot = load_robot(robot_file("allegro_right"))
policy = OnnxPolicy(model_file("allegro_right"), robot)
controller = Controller(robot, policy, ControllerOptions(rate=333.0))
controller.start()
q = robot.home
target = robot.kinematics.tip_position(q) + [0.0, 0.005, -0.01]  # (4, 3) m: index, middle, ring, thumb
for tick in range(333):
    now = tick / 333.0
    result = controller.tick(now, Measurement(q, now), Targets(target, np.full(robot.nt, now)))
    if result.command is not None:  # None: nothing is to be sent
        q = result.command  # a real hand would follow it; this one stands there at once
print(result.hand_message())
print(
    "distance to the targets [mm]:", (1e3 * np.linalg.norm(robot.kinematics.tip_position(q) - target, axis=-1)).round(3)
)
