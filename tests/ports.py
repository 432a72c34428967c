"""A port of loopback that stays free until who is told of it listens there."""

from __future__ import annotations

import secrets
import socket

# Below those that Linux gives to connections by itself, from 32768 on: one of them may be anybody's near end by the
# time that a program listens which a slow machine has only begun to start.
FIRST, LAST = 10_000, 32_767


def free_port() -> int:
    """Return a port that nobody listens at, and that the kernel gives to nobody."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST + 1)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
