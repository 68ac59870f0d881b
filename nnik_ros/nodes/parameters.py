"""ROS parameters out of options dataclasses: declared, described and checked from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from nnik_ros.errors import FileError, NnikError
from nnik_ros.options import OptionInfo, describe, from_mapping

_Options = TypeVar("_Options")
_LARGEST = 1e300
_LARGEST_INTEGER = 2**63 - 1
_ROS_OWN = ("use_sim_time", "start_type_description_service")


class Parameters:
    """The parameters of a node that was made with `automatically_declare_parameters_from_overrides=True`.

    `fixed()` tells whether parameters that are not live must keep their value just now; `on_live(names)` applies the values of
    live ones that were given, new or not, and may refuse them with an NnikError.

    Raises:
        FileError: naming every given parameter that is unknown or whose value is not allowed.
    """

    def __init__(
        self,
        node: Node,
        *kinds: type[Any],
        fixed: Callable[[], bool],
        on_live: Callable[[set[str]], None] = lambda names: None,
    ) -> None:
        self._infos = {info.name: info for kind in kinds for info in describe(kind)}
        self._owners = {info.name: kind for kind in kinds for info in describe(kind)}
        self._kinds, self._fixed, self._on_live = kinds, fixed, on_live
        given = {
            name: parameter.value
            for name, parameter in node.get_parameters_by_prefix("").items()
            if not _is_ros_own(name)
        }
        self._values = self._checked(given, f"parameters of {node.get_fully_qualified_name()}")
        for name, info in self._infos.items():
            if name in given:
                node.undeclare_parameter(name)
            value = given.get(name, info.plain) if info.many else self._values[name]
            node.declare_parameter(name, value, _descriptor(info), ignore_override=True)
        node.add_on_set_parameters_callback(self._on_set)

    def options(self, kind: type[_Options]) -> _Options:
        """The present values as an instance of one of the dataclasses."""
        return kind(**{name: value for name, value in self._values.items() if self._owners[name] is kind})

    def _checked(self, given: dict[str, Any], source: str) -> dict[str, Any]:
        """All values, with `given` over the defaults."""
        problems = []
        for name in given:
            if name not in self._infos:
                problems.append(f"{name}: unknown parameter; allowed: {', '.join(self._infos)}")
        values: dict[str, Any] = {}
        for kind in self._kinds:
            mine = {name: value for name, value in given.items() if self._owners.get(name) is kind}
            try:
                values.update(vars(from_mapping(kind, mine, source)))
            except FileError as error:
                problems += error.problems
        if problems:
            raise FileError(source, problems)
        return values

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        given = {p.name: p.value for p in parameters if not _is_ros_own(p.name)}
        before = self._values
        try:
            self._values = self._checked({**before, **given}, "parameters")
            changed = {name for name in given if self._values[name] != before[name]}
            fixed = sorted(name for name in changed if not self._infos[name].live)
            if fixed and self._fixed():
                raise FileError("parameters", [f"{name}: read-only until the node is cleaned up" for name in fixed])
            self._on_live({name for name in given if self._infos[name].live})
        except NnikError as error:
            self._values = before
            return SetParametersResult(successful=False, reason=str(error))
        except Exception:  # a fault of our own changes no value either
            self._values = before
            raise
        return SetParametersResult(successful=True)


def _is_ros_own(name: str) -> bool:
    return name in _ROS_OWN or name.startswith("qos_overrides.")


def _descriptor(info: OptionInfo) -> ParameterDescriptor:
    when = "" if info.live else " Read-only while the node is configured."
    text = f"{info.doc}{f' [{info.unit}]' if info.unit else ''}{when}"
    descriptor = ParameterDescriptor(description=text, dynamic_typing=info.many)
    if info.many:  # one value or several, as numbers or as a text
        descriptor.additional_constraints = info.allowed
        return descriptor
    if info.choices:
        descriptor.additional_constraints = info.allowed
    if info.type is float and (math.isfinite(info.low) or math.isfinite(info.high)):
        low, high = max(info.low, -_LARGEST), min(info.high, _LARGEST)
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
    if info.type is int and (math.isfinite(info.low) or math.isfinite(info.high)):
        low, high = max(info.low, -_LARGEST_INTEGER), min(info.high, _LARGEST_INTEGER)
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return descriptor
