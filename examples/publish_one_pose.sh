#!/bin/sh
# The smallest client: one pose for one finger, repeated 20 times a second until Ctrl-C. Only its position is followed.
# Another hand or finger: sh publish_one_pose.sh /right/thumb/target_pose
exec ros2 topic pub -r 20 "${1:-/index/target_pose}" geometry_msgs/msg/PoseStamped \
    "{header: {frame_id: palm_link}, pose: {position: {x: 0.09, y: 0.05, z: 0.05}, orientation: {w: 1.0}}}"
