# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hub says of servers, and what is to be done for those to be started or stopped; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]

# What a server can be.
RUNNING, STARTING, STOPPING, STOPPED = "running", "starting", "stopping", "stopped"
# What is wanted, by a module's ``state``.
WANTED = {"started": RUNNING, "stopped": STOPPED}
# What one is meanwhile.
WAY = {RUNNING: STARTING, STOPPED: STOPPING}
# The server that everyone has; others have names, and are not ours.
DEFAULT = ""


def phase(user: Object) -> str:
    """Return what a user's server is, by the hub's model of the user."""
    server = (user.get("servers") or {}).get(DEFAULT)
    if not server:
        return STOPPED
    if server.get("pending") == "stop":
        return STOPPING
    if server.get("ready"):
        return RUNNING
    return STARTING if server.get("pending") else STOPPED


def phases(users: Iterable[Object]) -> dict[str, str]:
    """Return what the servers are, by user."""
    return {user["name"]: phase(user) for user in users}


def to_ask(found: Mapping[str, str], chosen: Iterable[str], wanted: str) -> list[str]:
    """Return those for whom the hub must be asked; one that is on its way is only waited for."""
    return [name for name in chosen if found.get(name, STOPPED) not in (wanted, WAY[wanted])]


def to_await(found: Mapping[str, str], chosen: Iterable[str], wanted: str) -> list[str]:
    """Return those that are not what is wanted."""
    return [name for name in chosen if found.get(name, STOPPED) != wanted]
