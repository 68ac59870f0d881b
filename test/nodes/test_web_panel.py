"""The panel of the page, on a real server, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import viser

from nnik_ros.nodes.web_node import _Server
from nnik_ros.nodes.web_panel import Actions, Offers, Panel
from nnik_ros.nodes.web_status import NO_LOOP, HandStatus, TipStatus

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
def panel(server: viser.ViserServer, enabled: list[tuple[int, bool]]) -> Panel:
    ignored = [lambda *_: None] * 7
    actions = Actions(ignored[0], lambda tip, value: enabled.append((tip, value)), *ignored[1:])
    return Panel(server, "hand", TIPS, Offers((), "hand", (), ("auto",)), actions)


def status(*enabled: bool | None) -> HandStatus:
    tips = (TipStatus(name, "PAUSED", 0.0, 0.0, "", "", on) for name, on in zip(TIPS, enabled, strict=True))
    return HandStatus("PAUSED", "", tuple(tips))


def test_a_switch_that_somebody_uses_asks_for_its_own_finger_alone(
    panel: Panel, enabled: list[tuple[int, bool]]
) -> None:
    """All were once sent, and switched on what somebody else had switched off."""
    panel._on_switch(0, lambda tip, value: enabled.append((tip, value)))(
        SimpleNamespace(client=object(), target=SimpleNamespace(value=False))
    )
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


def test_a_viewer_cannot_have_the_page_published(server: viser.ViserServer) -> None:
    assert server.request_share_url() is None
