"""A network for a robot that is the mirror image of another one: it sees the mirrored world, nothing is trained."""

from __future__ import annotations

import numpy as np

from nnik_ros.errors import FileError
from nnik_ros.geometry import Array
from nnik_ros.robot import Robot, load_robot
from nnik_ros.training.checkpoint import trained_layers
from nnik_ros.training.network import Layers
from nnik_ros.training.recipe import Mirror, Recipe, load_recipe
from nnik_ros.training.rows import Layout, own_layout

_TOLERANCE = 1e-6  # m and rad; published descriptions of both hands agree to 2e-7
_SAMPLES = 500


def mirrored(recipe: Recipe, robot: Robot) -> tuple[Layers, Layout]:
    """The weights of the model of the recipe that `recipe.mirror` names, and how the tips of `robot` see the world for them.

    Raises:
        FileError: the robots are not mirror images of each other with these signs, or the other one's network is mirrored
            itself, so that its tips see the world of a third robot.
        ContractError: no such model, not one of this package, or one of another robot or recipe.
    """
    assert recipe.mirror is not None, "only a mirrored recipe has another robot"
    source = load_recipe(recipe.mirror.recipe)
    if source.mirror:
        problem = f"mirror.recipe: '{source.name}' is mirrored itself, name the trained one: {source.mirror.recipe}"
        raise FileError(str(recipe.path), [problem])
    original = load_robot(source.robot)
    joints, axes = _signs(recipe, recipe.mirror, original, robot)
    chain = robot.kinematics.topology.chain
    layout = own_layout(original)
    signs = np.where(chain >= 0, joints[chain], 1.0)
    layers, _ = trained_layers(source.model, source, original)
    return layers, Layout(axes[:, None] * layout.frame, axes * layout.origin, signs)


def _signs(recipe: Recipe, mirror: Mirror, original: Robot, robot: Robot) -> tuple[Array, Array]:
    """Signs of the joints (nq,) and of the axes (3,), after the proof that they carry one robot into the other."""
    problems = []
    unknown = sorted(set(mirror.joints) - set(robot.joint_names))
    if unknown:
        problems.append(f"mirror.joints: {', '.join(unknown)} unknown; allowed: {', '.join(robot.joint_names)}")
    if (original.nq, original.nt) != (robot.nq, robot.nt):
        problems.append(f"mirror.recipe: '{original.name}' has another number of joints or tips than '{robot.name}'")
    if problems:
        raise FileError(str(recipe.path), problems)
    joints = np.array([-1.0 if name in mirror.joints else 1.0 for name in robot.joint_names])
    axes = np.where(np.arange(3) == mirror.axis, -1.0, 1.0)
    q = original.random_joint_position(np.random.default_rng(0), _SAMPLES)
    tips = robot.kinematics.tip_position(q * joints) - original.kinematics.tip_position(q) * axes
    bounds = np.sort([original.lower * joints, original.upper * joints], axis=0) - [robot.lower, robot.upper]
    for what, unit, difference in (("tips", "m", tips), ("joint limits", "rad", bounds)):
        if (largest := float(np.abs(difference).max())) > _TOLERANCE:
            pair = f"'{robot.name}' and the mirrored '{original.name}'"
            problems.append(f"mirror: the {what} of {pair} differ by {largest:.2g} {unit}")
    if problems:
        raise FileError(str(recipe.path), problems)
    return joints, axes
