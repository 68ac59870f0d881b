"""Installs nnik_ros with colcon (ament_python) or with pip. The version stands in package.xml."""

import xml.etree.ElementTree as ElementTree
from glob import glob

from setuptools import find_packages, setup

NAME = "nnik_ros"
MANIFEST = ElementTree.parse("package.xml").getroot()

DATA = (
    "launch/*.launch.py",
    "config/*.yaml",
    "config/*.rviz",
    "config/drivers/*.yaml",
    "config/landmarks/*.yaml",
    "config/presets/*.yaml",
    "config/robots/*.yaml",
    "config/robots/simulation/*.yaml",
    "config/training/*.yaml",
    "config/training/curves/*.yaml",
    "config/training/seeds/*.yaml",
    "urdf/*.urdf",
    "models/*.onnx",
    "models/seeds/*.json",
    "models/seeds/*.onnx",
    "models/README.md",
)


def data_files() -> list[tuple[str, list[str]]]:
    """(folder of the installation, files): files one by one, since a symlink installation cannot take folders."""
    files = [("share/ament_index/resource_index/packages", [f"resource/{NAME}"]), (f"share/{NAME}", ["package.xml"])]
    for pattern in DATA:
        found = sorted(glob(pattern))
        if found:
            files.append((f"share/{NAME}/{pattern.rpartition('/')[0]}", found))
    return files


setup(
    name=NAME,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    license="Apache-2.0",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["py.typed"]},  # the annotations are for whoever imports the package, too
    data_files=data_files(),
    python_requires=">=3.10",
    install_requires=["setuptools"],
    extras_require={"test": ["pytest", "hypothesis"]},
    zip_safe=False,
    entry_points={
        "console_scripts": [
            f"controller_node = {NAME}.nodes.controller_node:main",
            f"sim_hand_node = {NAME}.nodes.sim_hand_node:main",
            f"web_node = {NAME}.nodes.web_node:main",
            f"marker_node = {NAME}.nodes.marker_node:main",
            f"replay = {NAME}.nodes.replay:main",
        ]
    },
)
