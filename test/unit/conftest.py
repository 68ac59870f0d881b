from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnik_ros.robot import Robot, load_robot


@pytest.fixture
def make_planar_hand(tmp_path: Path) -> Callable[[dict[str, int]], Robot]:
    """A hand of planar fingers with links of 1 m, all rooted at the origin; finger name to number of joints."""

    def make(lengths: dict[str, int]) -> Robot:
        urdf, joints, tips = ['<robot name="fingers"><link name="base"/>'], [], []
        for finger, n in lengths.items():
            parent = "base"
            for i in range(n):
                child, x = f"{finger}_{i}", 0 if i == 0 else 1
                urdf.append(
                    f'<link name="{child}"/><joint name="{child}_joint" type="revolute"><parent link="{parent}"/>'
                    f'<child link="{child}"/><origin xyz="{x} 0 0"/><axis xyz="0 0 1"/>'
                    '<limit lower="-2" upper="2" velocity="3" effort="1"/></joint>'
                )
                joints.append(f"  - {{name: {child}_joint, acceleration: 30}}")
                parent = child
            urdf.append(
                f'<link name="{finger}_tip"/><joint name="{finger}_fixed" type="fixed"><parent link="{parent}"/>'
                f'<child link="{finger}_tip"/><origin xyz="1 0 0"/></joint>'
            )
            tips.append(f"  - {{name: {finger}, link: {finger}_tip}}")
        (tmp_path / "fingers.urdf").write_text("".join(urdf) + "</robot>")
        head = ["schema: 1", "name: fingers", "urdf: fingers.urdf", "base_frame: base"]
        (tmp_path / "fingers.yaml").write_text("\n".join([*head, "joints:", *joints, "tips:", *tips]))
        return load_robot(tmp_path / "fingers.yaml")

    return make
