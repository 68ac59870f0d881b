"""Whether the page can listen on an address, asked before its server, which would try for long and say nothing."""

from __future__ import annotations

import socket

from nnik_ros.errors import InputError


def check_host(host: str) -> None:
    """Raises InputError: the name is not known, or is of another machine."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refusal(host, "cannot be resolved", error) from error
    refused: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
            return
        except OSError as error:
            refused = error
    raise _refusal(host, "is no address of this machine", refused) from refused


def _refusal(host: str, what: str, error: Exception | None) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(
        f"host '{host}' {what}: {reason}; must be a name or address of this machine, such as 127.0.0.1, or 0.0.0.0 for all"
    )
