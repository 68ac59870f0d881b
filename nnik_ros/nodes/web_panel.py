"""The panel of the page: state, buttons, finger table and switches, presets, plots."""

from __future__ import annotations

import html
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import numpy as np
import viser
from viser import uplot

from nnik_ros.nodes.status_reader import HandStatus, LoopStatus, state_color
from nnik_ros.nodes.web_scene import Color, tip_color

SERVICES = ("Start", "Pause", "Reset", "Home")
_POSES_IN_A_ROW = 3
_EXPLAINED = ("UNREACHABLE", "COLLISION", "LIMITED")  # states whose reason is told below the table
_HISTORY = 150  # samples of a plot; at the page's plot rate about 20 s
_ANSWER_TIME = 1.0  # s that a status may need to follow a switch
_LOG_FLOOR = 1e-3  # mm; a plot on a logarithmic axis needs something above zero
Handler = Callable[[Any], Coroutine[Any, Any, None]]  # of an event of a viewer


class Actions(NamedTuple):
    """What the panel asks for. service: one of SERVICES; enable: number of a tip and its switch; preset: its name; robot,
    model: labels of their choices."""

    service: Callable[[str], None]
    enable: Callable[[int, bool], None]
    preset: Callable[[str], None]
    show_ghost: Callable[[bool], None]
    show_trails: Callable[[bool], None]
    show_targets: Callable[[bool], None]
    robot: Callable[[str], None]
    model: Callable[[str], None]


class Offers(NamedTuple):
    """Labels of what can be chosen, the present one first named. robots is empty where the robot stays."""

    presets: Sequence[str]
    robot: str
    robots: Sequence[str]
    models: Sequence[str]


class Panel:
    """Built once for all viewers; every setter is cheap when nothing has changed, for viser tells no viewer an equal value."""

    def __init__(
        self, server: viser.ViserServer, title: str, tips: Sequence[str], offers: Offers, actions: Actions
    ) -> None:
        self._tips = tuple(tips)
        gui = server.gui
        gui.configure_theme(control_width="large", dark_mode=False, show_logo=False, show_share_button=False)
        gui.main_panel.dock_right()
        self._state = gui.add_html("")
        self._title = title
        services = gui.add_button_group("Control", SERVICES)
        services.on_click(_in_order(actions.service))
        for i in range(0, len(offers.presets), _POSES_IN_A_ROW):
            buttons = gui.add_button_group("" if i else "Poses", tuple(offers.presets[i : i + _POSES_IN_A_ROW]))
            buttons.on_click(_in_order(actions.preset))
        self._table = gui.add_html("")
        self._robot, self._robot_name = _chooser(gui, "Robot", offers.robots, offers.robot, actions.robot), offers.robot
        self._model = _chooser(gui, "Solver", offers.models, offers.models[0], actions.model)
        with gui.add_folder("Fingers", expand_by_default=False):
            self._switches = [gui.add_checkbox(name, True) for name in tips]
        self._switched = [-np.inf] * len(self._tips)  # s, when somebody used a switch
        for tip, switch in enumerate(self._switches):
            switch.on_update(self._on_switch(tip, actions.enable))
        with gui.add_folder("Plots"):
            self._error = _Plot(
                gui, "tip error [mm], measured", tips, [tip_color(i) for i in range(len(tips))], logarithmic=True
            )
            self._period = _Plot(
                gui,
                "control period [ms]",
                ("p50", "p99", "max"),
                ((60, 130, 220), (240, 160, 40), (220, 70, 60)),
                logarithmic=False,
            )
        with gui.add_folder("View", expand_by_default=False):
            for label, show in (
                ("commanded ghost", actions.show_ghost),
                ("trails", actions.show_trails),
                ("targets", actions.show_targets),
            ):
                _switch(gui, label, show)

    def show_status(self, status: HandStatus, loop: LoopStatus, note: str) -> None:
        """Replace the state line and the table."""
        self._state.content = _state_html(self._title, status, loop, note)
        self._table.content = _table_html(status)
        for tip, switch in enumerate(self._switches):
            enabled = status.tips[tip].enabled
            answered = time.monotonic() - self._switched[tip] > _ANSWER_TIME
            if answered and enabled is not None:
                switch.value = enabled  # somebody else switched it

    def _on_switch(self, tip: int, enable: Callable[[int, bool], None]) -> Handler:
        async def switched(event: Any) -> None:  # async: see `_in_order`
            if event.client is not None:  # a viewer, not `show_status`
                self._switched[tip] = time.monotonic()
                enable(tip, event.target.value)

        return switched

    def show_model(self, label: str) -> None:
        """Follow the network that the controller uses, whoever chose it."""
        if self._model is not None and self._model.value != label:
            if label not in self._model.options:
                self._model.options = (*self._model.options, label)
            self._model.value = label

    def show_robot(self) -> None:
        """Back to the robot that is there, after another one was refused."""
        if self._robot is not None:
            self._robot.value = self._robot_name

    def plot(self, now: float, status: HandStatus, loop: LoopStatus) -> None:
        """One more sample; now [s]."""
        error = [1e3 * tip.measured_error for tip in status.tips]
        self._error.extend(now, np.maximum(np.array(error), _LOG_FLOOR))
        self._period.extend(now, 1e3 * np.array([loop.period.p50, loop.period.p99, loop.period.max]))


def _in_order(act: Callable[[str], None]) -> Handler:
    """Act on each click where it arrives. In threads, clicks that arrive together would all find the last one's value."""

    async def clicked(event: Any) -> None:
        act(event.target.value)

    return clicked


class _Plot:
    def __init__(
        self, gui: viser.GuiApi, title: str, labels: Sequence[str], colors: Sequence[Color], *, logarithmic: bool
    ) -> None:
        self._rows: deque[Any] = deque(maxlen=_HISTORY)
        series = [uplot.Series(label="s")] + [
            uplot.Series(label=label, stroke=f"rgb{color}", width=1.5)
            for label, color in zip(labels, colors, strict=True)
        ]
        scales = {"x": uplot.Scale(time=False), "y": uplot.Scale(distr=3, log=10) if logarithmic else uplot.Scale()}
        empty = tuple(np.array([0.0, 1.0]) for _ in series)
        self._handle = gui.add_uplot(empty, tuple(series), title=title, scales=scales, aspect=2.1)

    def extend(self, now: float, values: Any) -> None:
        self._rows.append([now, *values])
        table = np.array(self._rows)
        table[:, 0] -= now
        self._handle.data = tuple(np.ascontiguousarray(column) for column in table.T)


def _chooser(gui: viser.GuiApi, label: str, labels: Sequence[str], present: str, choose: Callable[[str], None]) -> Any:
    """A list to choose from, None where there is nothing to choose. Only people choose, not the program."""
    if not labels:
        return None
    chooser = gui.add_dropdown(label, tuple(labels), initial_value=present)
    chooser.on_update(lambda event: choose(event.target.value) if event.client else None)
    return chooser


def _switch(gui: viser.GuiApi, label: str, show: Callable[[bool], None]) -> None:
    box = gui.add_checkbox(label, True)
    box.on_update(lambda _: show(box.value))


def _state_html(title: str, status: HandStatus, loop: LoopStatus, note: str) -> str:
    times = " · ".join(
        f"{what} {_milliseconds(spread.p50)} / {_milliseconds(spread.p99)}"
        for what, spread in (("period", loop.period), ("latency", loop.latency), ("compute", loop.compute))
    )
    runs = np.isfinite(loop.rate)  # of a loop that has stopped nothing but counts is told
    line = f"{loop.rate:.1f} Hz · {times} ms (p50 / p99) · missed {loop.missed}" if runs else ""
    return (
        '<div style="padding:0.4em 1em 0.2em 1em;font-size:0.9em">'
        f'<div style="display:flex;justify-content:space-between"><b>{html.escape(title)}</b>{_badge(status.state)}</div>'
        f'<div style="color:#666;font-size:0.85em">{html.escape(line)}</div>'
        f'<div style="color:#666;font-size:0.85em;min-height:1.3em">{html.escape(note or status.message)}</div></div>'
    )


def _table_html(status: HandStatus) -> str:
    cell = 'style="padding:0.15em 0.3em"'
    right = 'style="padding:0.15em 0.3em;text-align:right;font-variant-numeric:tabular-nums"'
    rows = [
        f'<tr><td {cell}><span style="color:rgb{tip_color(i)}">&#9679;</span> {html.escape(tip.name)}</td>'
        f"<td {cell}>{_badge(tip.state) if tip.state else '–'}</td><td {right}>{_millimetres(tip.error)}</td>"
        f"<td {right}>{_millimetres(tip.measured_error)}</td></tr>"
        for i, tip in enumerate(status.tips)
    ]
    names = f"<td {cell}>finger</td><td {cell}>state</td><td {right}>commanded</td><td {right}>measured</td>"
    table = (
        f'<table style="width:100%;border-collapse:collapse"><tr style="color:#888">{names}</tr>{"".join(rows)}</table>'
    )
    notes = "".join(
        f'<div style="color:#a05a00">{html.escape(tip.name)}: {html.escape(tip.message)}</div>'
        for tip in status.tips
        if tip.state in _EXPLAINED
    )
    return f'<div style="padding:0 0.7em;font-size:0.85em">{table}{notes}</div>'


def _badge(state: str) -> str:
    return (
        f'<span style="background:rgb{state_color(state)};color:white;border-radius:0.6em;padding:0 0.55em;font-size:0.85em">'
        f"{html.escape(state.lower().replace('_', ' ') or 'no controller')}</span>"
    )


def _millimetres(error: float) -> str:
    return f"{1e3 * error:.2f} mm" if np.isfinite(error) else "–"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.2f}"
