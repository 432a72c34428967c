"""Answers of the hub in a file of the pod, for a container that is started anew while the hub is away.

The file is the student's own to change, as all that runs in the pod: so nothing in it counts while the hub answers, and
nothing in it is trusted to be what was written.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tornado.log import app_log

# Key, user, and for how many seconds that has been said.
Standing = tuple[str, dict[str, Any], float]

# A student has a few browsers, a course a few staff. The last ones who came are kept.
MOST = 64
# What is larger is not read, nor written: a user with very many groups takes a few kilobytes.
LIMIT_BYTES = 256 * 1024
# What a server looks at to let somebody in. What else the hub says, as the login's session, is not written down.
FIELDS = ("kind", "name", "admin", "groups", "roles", "scopes")
# A SHA-256.
_KEY = re.compile("[0-9a-f]{64}")


class Kept:
    """The file; none where ``path`` is None. Nobody is kept out, or waits, because of it: failures are only logged."""

    def __init__(self, path: Path | None, wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._wall = wall

    def read(self) -> list[Standing]:
        """Return what was written, newest first; nothing where any of it is damaged or of the future."""
        if self._path is None:
            return []
        try:
            with self._path.open("rb") as file:
                data = file.read(LIMIT_BYTES + 1)
            if len(data) > LIMIT_BYTES:
                raise ValueError(f"it has more than {LIMIT_BYTES} bytes")
            return sorted(_parsed(json.loads(data), self._wall()), key=lambda one: one[2])[:MOST]
        except FileNotFoundError:
            return []
        # Deep nesting and numbers beyond every measure are no ValueErrors.
        except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            app_log.warning("What the hub said before can't be read: %s", error)
            return []

    def write(self, standing: Iterable[Standing]) -> None:
        """Write what stands, whole or not at all. Nobody but this user can read it."""
        if self._path is None:
            return
        now = self._wall()
        entries = [
            {"key": key, "user": {field: user[field] for field in FIELDS if field in user}, "at": now - age}
            for key, user, age in sorted(standing, key=lambda one: one[2])[:MOST]
        ]
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                # One of that name may be there with other rights.
                os.fchmod(descriptor, 0o600)
                file.write(_bounded(entries))
            draft.replace(self._path)
        except OSError as error:
            app_log.warning("What the hub says can't be kept for a restart of this server: %s", error)


def _bounded(entries: list[dict[str, Any]]) -> bytes:
    """Return the entries as JSON, without the oldest ones where it would be too large."""
    while True:
        data = json.dumps(entries).encode()
        if len(data) <= LIMIT_BYTES:
            return data
        entries = entries[: len(entries) // 2]


def _parsed(entries: Any, now: float) -> Iterator[Standing]:
    """Yield entries. Raises what Python does, for any that is none."""
    if not isinstance(entries, list):
        raise TypeError("it is no list")
    for entry in entries:
        key, user, age = entry["key"], entry["user"], now - float(entry["at"])
        if not _KEY.fullmatch(key) or not isinstance(user["name"], str) or not age >= 0:
            raise ValueError("an entry has no hash, no name, or a time that is still to come")
        yield key, user, age
