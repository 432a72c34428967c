"""What a run is asked for: JSON, checked before any disk is touched."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .result import FailedError, shown

# What a file or folder of ours is named: one component, no option, not hidden.
_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=-]{0,149}")


@dataclass(frozen=True)
class Copy:
    """Paths that come back from a snapshot, and the folder of the home that they go into."""

    paths: tuple[tuple[str, ...], ...]
    into: str


@dataclass(frozen=True)
class Compare:
    """When the snapshot was taken, and whether the live disk has had no pod since."""

    taken: datetime
    untouched: bool


@dataclass(frozen=True)
class Archive:
    """Whose disk goes where, from which snapshot."""

    student: str
    name: str
    target: str
    snapshot: str
    taken: datetime


@dataclass(frozen=True)
class Check:
    """Which archive, and the checksum that it must have."""

    name: str
    target: str
    sha256: str


@dataclass(frozen=True)
class Extract:
    """Which archive."""

    name: str
    target: str


class Fields:
    """The fields of a request. Each getter raises FailedError for a value that is missing or none."""

    def __init__(self, text: str) -> None:
        try:
            values = json.loads(text)
        except ValueError as error:
            raise FailedError(
                f"COURSEHUB_REQUEST is no JSON ({error}): this is to be set by what starts the pod"
            ) from None
        if not isinstance(values, dict):
            raise FailedError("COURSEHUB_REQUEST is no JSON object: this is to be set by what starts the pod")
        self._values: dict[str, Any] = values

    def only(self, *names: str) -> None:
        """Refuse a field that the command doesn't know: it may be a misspelt one."""
        for name in self._values:
            if name not in names:
                raise FailedError(
                    f"the request has '{shown(name)}', which this command doesn't know: {', '.join(names)}"
                )

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str) or not value:
            raise FailedError(f"the request's '{name}' is missing or no text")
        return value

    def stem(self, name: str) -> str:
        value = self.text(name)
        if not _STEM.fullmatch(value):
            raise FailedError(
                f"the request's '{name}' is '{shown(value)}', which can't name a file: "
                "letters, digits and . _ @ + = - with a letter or digit first, at most 150"
            )
        return value

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise FailedError(f"the request's '{name}' is missing or neither true nor false")
        return value

    def moment(self, name: str) -> datetime:
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = datetime.min
        if moment.tzinfo is None:
            raise FailedError(f"the request's '{name}' is '{shown(value)}', which is no time with its zone (RFC 3339)")
        return moment.astimezone(UTC)

    def paths(self, name: str) -> tuple[tuple[str, ...], ...]:
        value = self._values.get(name)
        if not isinstance(value, list) or not value:
            raise FailedError(f"the request's '{name}' is missing or no list of files and folders")
        return tuple(dict.fromkeys(_parts(path) for path in value))


def _parts(path: Any) -> tuple[str, ...]:
    if not isinstance(path, str) or path.startswith("/"):
        raise FailedError(
            f"'{shown(str(path))}' is no path relative to the home: name files as they lie in the home folder"
        )
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if not parts:
        raise FailedError("an empty path was asked for: name a file or a folder in the home")
    if ".." in parts:
        raise FailedError(f"'{shown(path)}' leads upwards ('..'): name files as they lie in the home folder")
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise FailedError(f"'{shown(path)}' can't be the name of a file")
    return parts


def copy(text: str) -> Copy:
    """Read a request for ``copy``."""
    fields = Fields(text)
    fields.only("paths", "into")
    return Copy(fields.paths("paths"), fields.stem("into"))


def compare(text: str) -> Compare:
    """Read a request for ``compare``."""
    fields = Fields(text)
    fields.only("taken", "untouched")
    return Compare(fields.moment("taken"), fields.flag("untouched"))


def archive(text: str) -> Archive:
    """Read a request for ``archive``."""
    fields = Fields(text)
    fields.only("student", "name", "target", "snapshot", "taken")
    return Archive(
        fields.text("student"),
        fields.stem("name"),
        fields.text("target"),
        fields.text("snapshot"),
        fields.moment("taken"),
    )


def check(text: str) -> Check:
    """Read a request for ``check``."""
    fields = Fields(text)
    fields.only("name", "target", "sha256")
    return Check(fields.stem("name"), fields.text("target"), fields.text("sha256"))


def extract(text: str) -> Extract:
    """Read a request for ``extract``."""
    fields = Fields(text)
    fields.only("name", "target")
    return Extract(fields.stem("name"), fields.text("target"))
