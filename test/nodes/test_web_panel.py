"""The panel of the page, on a real server, without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import viser
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from viser._messages import GuiUpdateMessage, ViewerCameraMessage
from websockets import Subprotocol
from websockets.sync.client import connect

from nnik_ros.nodes.status import inactive_status
from nnik_ros.nodes.status_reader import NO_LOOP, HandStatus, TipStatus, read_loop, read_status
from nnik_ros.nodes.web_node import _Server
from nnik_ros.nodes.web_panel import SERVICES, Actions, Offers, Panel
from nnik_ros.nodes.web_scene import workspace_view
from nnik_ros.nodes.web_targets import TargetHandles
from nnik_ros.paths import robot_file
from nnik_ros.robot import load_robot

TIPS = ("index", "thumb")


@pytest.fixture
def server() -> Iterator[viser.ViserServer]:
    server = _Server("127.0.0.1", 0, verbose=False)
    yield server
    server.stop()


@pytest.fixture
def enabled() -> list[tuple[int, bool]]:
    return []


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def panel(server: viser.ViserServer, done: list[str], enabled: list[tuple[int, bool]]) -> Panel:
    ignored = [lambda *_: None] * 7
    actions = Actions(done.append, lambda tip, value: enabled.append((tip, value)), *ignored[1:])
    return Panel(server, "hand", TIPS, Offers((), "hand", (), ("auto",)), actions)


@pytest.mark.filterwarnings("error")
def test_nothing_that_the_panel_asks_of_viser_is_deprecated(panel: Panel) -> None:
    assert panel


def status(*enabled: bool | None) -> HandStatus:
    tips = (TipStatus(name, "PAUSED", 0.0, 0.0, "", on) for name, on in zip(TIPS, enabled, strict=True))
    return HandStatus("PAUSED", "", tuple(tips))


def test_a_switch_that_somebody_uses_asks_for_its_own_finger_alone(
    panel: Panel, enabled: list[tuple[int, bool]]
) -> None:
    """All were once sent, and switched on what somebody else had switched off."""
    switched = panel._on_switch(0, lambda tip, value: enabled.append((tip, value)))
    asyncio.run(switched(SimpleNamespace(client=object(), target=SimpleNamespace(value=False))))
    assert enabled == [(0, False)]


def test_the_switches_follow_what_others_switch_and_ask_for_nothing(
    panel: Panel, enabled: list[tuple[int, bool]]
) -> None:
    panel.show_status(status(True, False), NO_LOOP, "")
    assert [switch.value for switch in panel._switches] == [True, False]
    panel.show_status(status(None, None), NO_LOOP, "")
    assert [switch.value for switch in panel._switches] == [True, False], "a status that does not tell changes nothing"
    panel.show_status(status(True, True), NO_LOOP, "")
    assert [switch.value for switch in panel._switches] == [True, True]
    assert enabled == []


def test_a_controller_that_is_not_active_is_shown_as_such_and_not_as_absent(panel: Panel) -> None:
    """Its status tells no state of a finger, and the statistics of its loop are nan but for counts."""
    inactive = inactive_status("/controller", "hand", "activate the node", TIPS, (True, True))
    stopped = [KeyValue(key=key, value="nan") for key in ("period_mean_ms", "period_p50_ms", "compute_p99_ms")]
    stopped += [KeyValue(key=key, value="3") for key in ("ticks", "missed")]
    loop = read_loop(DiagnosticArray(status=[DiagnosticStatus(values=stopped)]))
    assert loop is not None
    panel.show_status(read_status(inactive, TIPS), loop, "")
    shown = panel._state.content + panel._table.content
    assert "inactive" in shown
    assert "activate the node" in shown
    assert "no controller" not in shown
    assert "nan" not in shown


def test_a_viewer_is_told_nothing_that_has_not_changed(server: viser.ViserServer, panel: Panel, monkeypatch) -> None:
    told: list[object] = []
    robot = load_robot(robot_file("planar_2r"))
    handles = TargetHandles(server, robot, workspace_view(robot), lambda *_: None)
    for interface in (server.gui._websock_interface, server.scene._websock_interface):
        monkeypatch.setattr(interface, "queue_message", told.append)
    counts = []
    for message in ("well", "well", "ill"):
        panel.show_status(status(True, False)._replace(message=message), NO_LOOP, "")
        panel.show_model("net")
        handles.paint(0, (1, 2, 3))
        counts.append(len(told))
    assert counts[0] > 0
    assert counts[1:] == [counts[0], counts[0] + 1]


def test_clicks_that_arrive_together_are_all_done_in_their_order(
    server: viser.ViserServer, panel: Panel, done: list[str], enabled: list[tuple[int, bool]]
) -> None:
    """As after a moment without a network: each once became the last one."""
    group = next(handle for handle in handles(server) if getattr(handle, "options", None) == SERVICES)
    clicks, switches = ["Home", "Start", "Pause"] * 5, [False, True] * 5
    with viewer(server) as said:
        for label in clicks:
            said(GuiUpdateMessage(group._impl.uuid, {"value": label}))
        for value in switches:
            said(GuiUpdateMessage(panel._switches[1]._impl.uuid, {"value": value}))
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline and (len(done), len(enabled)) != (len(clicks), len(switches)):
            time.sleep(0.02)
    assert done == clicks
    assert enabled == [(1, value) for value in switches]


def handles(server: viser.ViserServer) -> list[Any]:
    return list(server.gui._gui_input_handle_from_uuid.values())


@contextlib.contextmanager
def viewer(server: viser.ViserServer) -> Iterator[Callable[[Any], None]]:
    """What a browser says to the page."""
    address = f"ws://127.0.0.1:{server.get_port()}"
    protocol = Subprotocol(f"viser-v{viser.__version__}")
    origin, up = (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
    camera = ViewerCameraMessage((1.0, *origin), up, 1.3, 0.01, 100.0, 720, 1000, origin, up)
    with connect(address, subprotocols=[protocol], max_size=None) as socket:

        def say(message: Any) -> None:
            socket.send(msgspec.msgpack.encode(message.as_serializable_dict([])))

        say(camera)
        deadline = time.monotonic() + 20.0
        while not server.get_clients():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield say


def test_a_viewer_cannot_have_the_page_published(server: viser.ViserServer) -> None:
    assert server.request_share_url() is None
