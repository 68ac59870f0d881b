"""Group model: networks that are missing, damaged, somebody else's, or wrong in what they compute."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from nnik_ros.paths import model_file
from nnik_ros.robot import Robot
from test.robustness import networks
from test.robustness.bench_node import PromiseError
from test.robustness.matrix import row
from test.robustness.stand import CONTROLLER, Stand, Workshop

Maker = Callable[[Robot, Path], Path]
_REFUSED = "refuses to start, and says why"


def _refuses_to_start(workshop: Workshop, model: Path, words: str) -> str:
    process = workshop.start(CONTROLLER, "/refused", {"model": str(model)})
    code = process.exit_code()
    if code != 1 or words not in process.output or "Traceback" in process.output:
        raise PromiseError(f"exit code {code}, output {process.output[-400:]!r}")
    return f"exit code 1, '...{words}...'"


def _refused(fault: str, name: str, make: Maker, words: str) -> None:
    def check(workshop: Workshop) -> str:
        return _refuses_to_start(workshop, make(workshop.robot, workshop.folder), words)

    check.__name__ = name
    row("model", fault, _REFUSED)(check)


def _left(robot: Robot, folder: Path) -> Path:
    return model_file("allegro_left")


def _named(name: str, **changed: object) -> Maker:
    return lambda robot, folder: networks.with_contract(robot, folder, name, lambda contract: contract.update(changed))


_refused("network missing", "network_missing", lambda robot, folder: folder / "nothing.onnx", "there is no such file")
_refused("network cut off in the middle of the file", "network_truncated", networks.truncated, "not a usable ONNX file")
_refused("empty network file", "network_empty", networks.empty, "not a usable ONNX file")
_refused("ONNX file of somebody else", "network_foreign", networks.foreign, "not a network of this package")
_refused("network of the left hand", "network_of_the_left_hand", _left, "robot: the network has 'allegro_left'")
_refused(
    "network for other joint limits", "network_other_limits", _named("limits", upper=[1.0] * 16), "upper: the network"
)
_refused("network for another geometry", "network_other_geometry", _named("digest", kinematics_digest="0" * 64),
         "kinematics_digest")  # fmt: skip
_refused("network of a later format", "network_later_schema", _named("schema", schema=2), "schema: is 2")
_refused("network with one damaged weight matrix", "network_damaged", networks.damaged, "the file is damaged")


def _answers(workshop: Workshop, name: str, answer: str | float) -> Stand:
    path = networks.answering(workshop.robot, workshop.folder, name, answer)
    return workshop.stand(model=str(path))


def _benched(workshop: Workshop, name: str, answer: str | float) -> str:
    """Damped least squares stands in at once, and for good after 200 ticks without help."""
    stand = _answers(workshop, name, answer)
    took = stand.follows()
    stand.status.seen.clear()
    stand.moves(0.5)
    stand.wait(lambda: stand.status.seen["FALLBACK"] > 0, f"FALLBACK; seen: {dict(stand.status.seen)}", 15.0)
    stand.wait(lambda: "benched" in stand.controller.output, "a warning in the log", 5.0)
    again = stand.follows()
    return f"followed in {took:.2f} s, FALLBACK with a warning, then followed in {again:.2f} s"


_BENCHED = "its step is never used; damped least squares follows; FALLBACK, with a warning"


@row("model", "network that answers NaN", _BENCHED)
def network_nan(workshop: Workshop) -> str:
    return _benched(workshop, "nan", math.nan)


@row("model", "network that answers infinity", _BENCHED)
def network_infinite(workshop: Workshop) -> str:
    return _benched(workshop, "infinite", math.inf)


@row("model", "network that never moves a joint", _BENCHED)
def network_useless(workshop: Workshop) -> str:
    return _benched(workshop, "useless", "joint_position")


@row("model", "network that sends every joint to 0.5 rad", _BENCHED)
def network_wild(workshop: Workshop) -> str:
    return _benched(workshop, "wild", 0.5)


@row("model", "change to a broken network while running", "refused with the reason; the motion goes on", shared=True)
def live_change_to_broken(stand: Stand) -> str:
    stand.moves(0.3)
    told = []
    for path in (networks.truncated(stand.robot, stand.workshop.folder), model_file("allegro_left")):
        good, reason = stand.set_parameters(model=str(path))
        if good or path.name not in reason:
            raise PromiseError(f"{path.name}: accepted {good}, reason {reason!r}")
        told.append(path.stem)
    return f"{' and '.join(told)} refused"


@row("model", "change of the network in the middle of a motion, there and back", "no jump", shared=True)
def live_change_in_motion(stand: Stand) -> str:
    stand.moves(0.3)
    for model in ("none", "auto", "none", "auto"):
        good, reason = stand.set_parameters(model=model)
        if not good:
            raise PromiseError(f"{model}: {reason}")
        time.sleep(0.3)
    return "4 changes"
