"""Where the page can listen, asked before its server, which would try for long and say nothing."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

from nnik_ros.errors import InputError

_LAST = 65535
_TRIES = 1000  # ports that are tried one after the other


def check_host(host: str) -> None:
    """Raises InputError: the name is not known, or is of another machine."""
    found = _addresses(host, 0)
    refused: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
            return
        except OSError as error:
            refused = error
    raise _refusal(host, "is no address of this machine", refused) from refused


def free_port(host: str, first: int) -> int:
    """The first port from `first` on that is free at all addresses of the host. Raises InputError: there is none."""
    last = min(first + _TRIES - 1, _LAST)
    reason: OSError | None = None
    for port in range(first, last + 1):
        try:
            with ExitStack() as probes:
                for family, kind, protocol, _, address in set(_addresses(host, port)):
                    probe = probes.enter_context(socket.socket(family, kind, protocol))
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind(address)
                    probe.listen()
            return port
        except OSError as error:
            reason = error
    raise InputError(f"port: none from {first} to {last} is free on host '{host}': {getattr(reason, 'strerror', None)}")


def page_address(host: str, port: int | str) -> str:
    """What to type into a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _addresses(host: str, port: int) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, "cannot be resolved", error) from error


def _refusal(host: str, what: str, error: Exception | None) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(
        f"host '{host}' {what}: {reason}; must be a name or address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
    )
