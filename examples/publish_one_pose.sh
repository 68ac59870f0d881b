#!/bin/sh
# The smallest client: one pose for one finger, repeated 20 times a second until Ctrl-C. Only its position is followed.
# The right one of two_hands.launch.py: sh publish_one_pose.sh /right/index/target_pose right/palm_link
exec ros2 topic pub -r 20 "${1:-/index/target_pose}" geometry_msgs/msg/PoseStamped \
    "{header: {frame_id: ${2:-palm_link}}, pose: {position: {x: 0.09, y: 0.05, z: 0.05}, orientation: {w: 1.0}}}"
