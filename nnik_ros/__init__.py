"""Learned incremental inverse kinematics for robot hands on ROS 2."""
