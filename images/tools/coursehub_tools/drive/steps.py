"""A plan as data: the steps that bring Drive to what the home has, and what needs none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from .rows import BUNDLE, Row


class Digest(NamedTuple):
    """Checksums of a file at home."""

    md5: str
    sha256: str


# Verbs. A file of its own in Drive is made with or without content, gets new content, another name, place or time, or
# goes into the bin.
MAKE = "make"
UPLOAD = "upload"
CONTENT = "content"
CHANGE = "change"
BIN = "bin"


@dataclass(frozen=True, slots=True)
class Action:
    """One step. ``row`` is what is to be, ``before`` what is there; ``members`` are what goes into a bundle."""

    verb: str
    row: Row
    before: Row | None = None
    members: tuple[Row, ...] = ()


@dataclass
class Plan:
    """Steps in an order in which they can be taken: folders from the top down, then files, then what goes to the bin.

    ``settled`` are the rows that need no step. With what the steps end in they are the next list of the export.
    """

    folders: list[Action] = field(default_factory=list)
    files: list[Action] = field(default_factory=list)
    bins: list[Action] = field(default_factory=list)
    settled: list[Row] = field(default_factory=list)

    @property
    def actions(self) -> list[Action]:
        return self.folders + self.files + self.bins

    @property
    def bytes(self) -> int:
        """How many bytes of files are to be sent; what bundles save by compression is not known yet."""
        rows = (row for action in self.files if action.verb in (UPLOAD, CONTENT) for row in _content_of(action))
        return sum(row.size for row in rows)


def _content_of(action: Action) -> tuple[Row, ...]:
    return action.members if action.row.kind == BUNDLE else (action.row,)
