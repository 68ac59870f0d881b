"""Fine-tune a network to one real hand: `python -m nnik_ros.training.finetune BAG --robot R --model M --output FILE`.

The second way beside calibration, without any idea of how the hand may differ from its description: a correction of the tips is
learned from the recording and put into a new network file. See docs/calibration.md for what each way is worth.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

from nnik_ros.arguments import check_apart, seed, whole_number
from nnik_ros.calibration import load_calibration
from nnik_ros.errors import ContractError, InputError, NnikError
from nnik_ros.evaluate import FINE_TUNED_FROM, SEED
from nnik_ros.geometry import Array
from nnik_ros.kinematics import Kinematics, forward_kinematics
from nnik_ros.onnx_policy import OnnxPolicy
from nnik_ros.paths import model_file
from nnik_ros.policy import Policy
from nnik_ros.robot import Robot
from nnik_ros.training.alignment import check_independent
from nnik_ros.training.bag import TIP_TOPIC, BagData
from nnik_ros.training.bag_arguments import bag_parser, needs_truth, read_task
from nnik_ros.training.calibration_check import (
    MOVE_ALL,
    check_judged,
    check_measured,
    check_robot,
    hardly_moved,
    inner_goals,
    little_motion,
)
from nnik_ros.training.correction import Correction, tuned
from nnik_ros.training.export import write
from nnik_ros.training.network import torch_chains
from nnik_ros.training.recorded_samples import split
from nnik_ros.training.recording import Recording, RecordingOptions, align

_LEAST_MEASUREMENTS = 1250  # of each tip; a fifth is held out, the others are as many as a correction has numbers
_UNEXPLAINED, _LEAST_GAIN = 1e-3, 0.5  # m, of held-out measurements; or by how much they come closer at least
_ROUGH = 500  # iterations that find the delay of the tips' stamps
_DELAY_SCALE = 0.01  # s, of the unknown delay
_WIDTH = 3e-4  # m; beyond it a measurement is believed less and less
_ORIGIN = ("recipe", "seed", "commit")  # of the network, what is still true of the fine-tuned one
_STEPS, _NEAR, _TARGETS = 30, 0.3, 1000


@dataclass(frozen=True)
class FinetuneOptions:
    """hidden: units of each of the two layers; batch: poses."""

    iterations: int = 6000
    hidden: int = 32
    batch: int = 512
    learning_rate: float = 0.005
    seed: int = 1
    recording: RecordingOptions = field(default_factory=RecordingOptions)


class Finetuned(NamedTuple):
    """delay [s]: of the tips' stamps; before, after (m, nt) [m]: distance of held-out measured tips from the described ones,
    without and with the correction."""

    correction: Correction
    delay: float
    before: Array
    after: Array


def finetune(bag: BagData, robot: Robot, options: FinetuneOptions) -> Finetuned:
    """Learn the correction from a recording; a fifth of it is held out.

    Raises:
        InputError: too few measurements of a tip, tips computed from the joints, joints that hardly moved, or a recording of
            another robot.
    """
    delay = 0.0
    for iterations in (min(_ROUGH, options.iterations), options.iterations):
        recording = align(bag, robot, options.recording, delay)
        check_measured(recording, robot, _LEAST_MEASUREMENTS)
        _check_plausible(recording, robot)
        if not delay:  # which differs from one round to the next, but not whether anything was measured
            check_independent(bag, recording, robot, delay)
        held_out = split(recording)
        check_judged(recording, robot, held_out)
        data = recording.q[~held_out], recording.dq[~held_out], recording.tip[~held_out]
        correction, late = _learned(robot, data, options, iterations)
        delay += late
    q, tip = recording.q[held_out] - late * recording.dq[held_out], recording.tip[held_out]
    described = robot.kinematics.tip_position(q)
    before, after = (np.linalg.norm(guess - tip, axis=-1) for guess in (described, described + correction.numpy(q)))
    return Finetuned(correction, delay, before, after)


def _learned(
    robot: Robot, data: tuple[Array, Array, Array], options: FinetuneOptions, iterations: int
) -> tuple[Correction, float]:
    """The correction and by how much [s] the stamps of the tips are still late."""
    rng, chains = np.random.default_rng(options.seed), torch_chains(robot)
    correction = Correction(robot, options.hidden, torch.Generator().manual_seed(options.seed))
    late = torch.nn.Parameter(torch.zeros(()))
    optimizer = torch.optim.Adam([*correction.parameters(), late], lr=options.learning_rate)
    q, dq, tip = (torch.from_numpy(array.astype(np.float32)) for array in data)
    seen = torch.isfinite(tip).all(-1, keepdim=True)
    tip = torch.where(seen, tip, 0.0)
    for i in range(iterations):
        optimizer.param_groups[0]["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * i / iterations))
        rows = rng.integers(0, len(q), options.batch)
        then = q[rows] - late * _DELAY_SCALE * dq[rows]
        guess = forward_kinematics(torch, chains, then).tip_position + correction(then)
        loss = misfit(guess, tip[rows], seen[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return correction, float(late.detach()) * _DELAY_SCALE


def misfit(guess: torch.Tensor, tip: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Mean loss of tips guess, tip (n, nt, 3) [m] where seen (n, nt, 1): the square of a small difference, of a large one,
    which may be an outlier, its length."""
    loss = torch.nn.functional.huber_loss(guess / _WIDTH, tip / _WIDTH, reduction="none")
    mean: torch.Tensor = (loss * seen).mean()
    return mean


def check_learned(result: Finetuned, robot: Robot) -> None:
    """Raises InputError: the held-out measurements of a tip are far from where the correction puts it, too."""
    before, after = (np.nanmedian(errors, axis=0) for errors in (result.before, result.after))
    wrong = ~(after <= np.maximum(_UNEXPLAINED, _LEAST_GAIN * before))  # also where it is no number
    if wrong.any():
        tips = [f"{robot.tip_names[t]} {after[t] * 1e3:.2f} of {before[t] * 1e3:.2f} mm" for t in np.flatnonzero(wrong)]
        raise InputError(
            f"the correction does not explain the recording; of the held-out measurements' departure from the description "
            f"remains in the median: {', '.join(tips)}; allowed is {_UNEXPLAINED * 1e3:g} mm, or {_LEAST_GAIN:.0%} of it\n"
            "  - are joints and tips those of this robot and of the same time? else train for more iterations"
        )


def _check_plausible(recording: Recording, robot: Robot) -> None:
    moved = np.ptp(recording.q, axis=0)
    still = little_motion(hardly_moved(moved, robot), moved, robot)
    check_robot(recording, robot, [f"{still}; {MOVE_ALL}"] if still else [])


def alone_error(policy: Policy, true: Kinematics, n: int) -> Array:
    """Distance (n, nt) [m] of the `true` robot's tips from targets that it can reach, after steps of `policy` alone from near
    by: no guard, which would trust the described geometry."""
    robot, rng = policy.robot, np.random.default_rng(SEED)
    goal = inner_goals(robot, n, rng)
    target = true.tip_position(goal)
    q = np.clip(goal + rng.uniform(-_NEAR, _NEAR, goal.shape), robot.lower, robot.upper)
    for _ in range(_STEPS):
        q = policy.step(q, target)
    error: Array = np.linalg.norm(true.tip_position(q) - target, axis=-1)
    return error


def table(policies: Sequence[tuple[str, Policy]], true: Kinematics) -> str:
    """True errors of all tips, one line for each of the named policies, in millimetres."""
    lines = [f"true tip error at {_TARGETS} targets, network alone, mm   median       p99       max"]
    for name, policy in policies:
        error = alone_error(policy, true, _TARGETS) * 1e3
        lines.append(f"{name:45}{np.median(error):10.4f}{np.quantile(error, 0.99):10.4f}{error.max():10.4f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    needs_truth(parser, given, "calibration")
    try:
        task = read_task(given, given.tips)
        policy = _untuned(given.model, task.robot)
        read = {"the network": policy.path} | ({"the calibration": given.calibration} if given.calibration else {})
        check_apart(given.output, read)
        policies: list[tuple[str, Policy]] = [("as described", policy)]
        if given.calibration:
            kinematics = load_calibration(given.calibration, task.robot).apply(task.robot)
            policies.append(("as calibrated", OnnxPolicy(policy.path, task.robot, kinematics)))
        options = FinetuneOptions(iterations=given.iterations, seed=given.seed)
        result = finetune(task.read(given.bag), task.robot, options)
        check_learned(result, task.robot)
        exported, facts = tuned(policy, result.correction), _facts(given, policy, result)
        # What loads is what is written, and the last that can go wrong is the writing.
        with TemporaryDirectory() as folder:
            draft = Path(folder) / "tuned.onnx"
            write(exported, task.robot, draft, facts)
            policies.append(("fine-tuned", OnnxPolicy(draft, task.robot)))
            truth = f"{table(policies, task.truth)}\n" if task.truth else ""
        write(exported, task.robot, given.output, facts)
    except NnikError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"stamps of the tips are late by {result.delay * 1e3:.2f} ms")
    print("held-out measurements, mm, median as described and fine-tuned:")
    for name, (before, after) in facts["held_out_medians"].items():
        print(f"{name:12}{before * 1e3:10.3f}{after * 1e3:10.3f}")
    print(f"{truth}{given.output}: written")
    return 0


def _untuned(name: str, robot: Robot) -> OnnxPolicy:
    """Raises ContractError: no network of the robot, or one that was fine-tuned already."""
    policy = OnnxPolicy(model_file(name), robot)
    origin = policy.contract.provenance.get(FINE_TUNED_FROM)
    if origin is not None:
        problem = f"is fine-tuned already, take the network that it was made from: '{origin}'"
        raise ContractError(str(policy.path), [problem])
    return policy


def _facts(given: argparse.Namespace, policy: OnnxPolicy, result: Finetuned) -> dict[str, Any]:
    """The provenance of the fine-tuned network."""
    origin = {key: value for key, value in policy.contract.provenance.items() if key in _ORIGIN}
    medians = np.transpose([np.nanmedian(errors, axis=0) for errors in (result.before, result.after)]).tolist()
    return {
        **origin, FINE_TUNED_FROM: given.model, "fine_tuned_on": given.bag.name, "fine_tuning_seed": given.seed,
        "fine_tuning_iterations": given.iterations,
        "held_out_medians": dict(zip(policy.robot.tip_names, medians, strict=True)),  # m, as described and fine-tuned
    }  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = bag_parser("finetune", "Fine-tune a network to one hand from a recording.", "network file")
    parser.add_argument("--model", required=True, help="the network, a shipped name or an ONNX file")
    parser.add_argument(
        "--tips", default=TIP_TOPIC, metavar="TOPIC", help="PoseArray in tip order (default: %(default)s)"
    )
    parser.add_argument("--iterations", type=whole_number(1), default=FinetuneOptions.iterations, help="batches")
    parser.add_argument("--seed", type=seed, default=1, help="of weights and batches")
    parser.add_argument("--calibration", type=Path, help="with --truth: a fitted calibration, to compare with")
    return parser


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
