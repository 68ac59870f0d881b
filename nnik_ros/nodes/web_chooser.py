"""What can be chosen on the page: another robot, where somebody changes it behind the page, and the network that moves it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node

from nnik_ros.contract import check_contract
from nnik_ros.errors import NnikError
from nnik_ros.nodes.node_options import AUTO_MODEL, NO_MODEL
from nnik_ros.onnx_policy import read_contract
from nnik_ros.paths import share_dir, shipped
from nnik_ros.robot import Robot

_UNANSWERED = 10  # questions that wait for their answers at most; whoever was asked before may have gone


class Choice(NamedTuple):
    """What the page shows, and the value of the parameter that it stands for."""

    label: str
    value: str


def robot_choices(*robots: str) -> tuple[Choice, ...]:
    """The shipped robots, and before them those of one's own among the given names and files. No two have one label."""
    choices = tuple(Choice(name, name) for name in shipped(share_dir() / "config" / "robots", ".yaml"))
    for robot in robots:
        if not any(choice.value == robot for choice in choices):
            choices = (_of_file(robot, choices), *choices)
    return choices


def model_choices(robot: Robot) -> tuple[Choice, ...]:
    """The shipped networks that fit the robot, its own first, and damped least squares last."""
    folder = share_dir() / "models"
    own = folder / f"{robot.name}.onnx"
    others = [path for path in (*sorted(folder.glob("*.onnx")), *sorted(folder.glob("seeds/*.onnx"))) if path != own]
    fitting = [Choice(path.stem, str(path)) for path in others if _fits(path, robot)]
    if own.is_file():
        return Choice("own network", robot.name), *fitting, Choice("damped least squares", NO_MODEL)
    return *fitting, Choice("damped least squares (no own network)", NO_MODEL)


def chosen(choices: tuple[Choice, ...], model: str) -> Choice:
    """The choice that the controller's parameter `model` stands for."""
    for choice in choices:
        if choice.value == model:
            return choice
    if model == AUTO_MODEL:
        by_label = {choice.label: choice for choice in choices}
        return by_label.get("own network") or chosen(choices, NO_MODEL)
    return _of_file(model, choices)


class ParameterClient:
    """Text parameters of another node, without waiting: answers come in the executor."""

    def __init__(self, node: Node, other: str) -> None:
        self._set = node.create_client(SetParameters, f"{other}/set_parameters")
        self._get = node.create_client(GetParameters, f"{other}/get_parameters")
        self._asked: deque[Any] = deque()

    @property
    def ready(self) -> bool:
        return bool(self._set.service_is_ready() and self._get.service_is_ready())

    def appears(self, within: float) -> bool:
        """Whether the other node is there or comes soon [s]: one that has just begun is not seen at once."""
        return bool(self._set.wait_for_service(within) and self._get.wait_for_service(within))

    def get(self, name: str, then: Callable[[str], None]) -> None:
        """Call `then` with the value; nothing happens where the other node has no such parameter."""

        def answer(future: Any) -> None:
            (value,) = future.result().values or [ParameterValue()]
            if value.type == ParameterType.PARAMETER_STRING:
                then(value.string_value)

        self._asked.append(self._get.call_async(GetParameters.Request(names=[name])))
        self._asked[-1].add_done_callback(answer)
        if len(self._asked) > _UNANSWERED:  # rclpy would keep an unanswered one for ever
            self._get.remove_pending_request(self._asked.popleft())

    def set(self, name: str, value: str, then: Callable[[str], None]) -> None:
        """Call `then` with the reason of a refusal, '' when it was accepted."""

        def answer(future: Any) -> None:
            (result,) = future.result().results
            then("" if result.successful else result.reason or "refused")

        typed = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=typed)])
        self._set.call_async(request).add_done_callback(answer)


def _of_file(path: str, others: tuple[Choice, ...]) -> Choice:
    """A file of one's own, by its name; by its path where another one has that name."""
    name = Path(path).stem
    return Choice(path if any(choice.label == name for choice in others) else name, path)


def _fits(path: Path, robot: Robot) -> bool:
    try:
        check_contract(read_contract(path), robot, str(path))
    except NnikError:
        return False
    return True
