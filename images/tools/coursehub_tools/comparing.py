"""The drill: is what a snapshot gives back what the student has?

The live disk goes on changing, so only what has surely not changed since the snapshot is compared. What says so are the
times of change, which nobody can set. A file's own don't tell of a folder above it that was renamed, so the folders'
count too; but not the top folder's, which can't be renamed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import tree
from .request import Compare
from .result import FailedError, Names, Progress, say
from .tree import Entry

# Clocks of two machines, and what is written to memory first and to the disk later.
MARGIN = timedelta(seconds=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class _Place:
    """A folder of the snapshot that the drill is in, with the live one of that path, None where it can't be entered.

    ``settled``: the live one has been at that path since before the snapshot. ``seen``: what the snapshot has in it.
    """

    path: str
    live: int | None
    settled: bool
    seen: set[str] = field(default_factory=set)
    readable: bool = True


def run(request: Compare, source: Path, disk: Path | None) -> dict[str, Any]:
    """Read all of the snapshot, and compare with the live disk what can be. Raises FailedError with the result."""
    with contextlib.ExitStack() as stack:
        snapshot = stack.enter_context(tree.top(source))
        live = stack.enter_context(tree.top(disk)) if disk else None
        drill = _Drill(request, live)
        drill.run(snapshot)
    return drill.result()


class _Drill:
    def __init__(self, request: Compare, live: int | None) -> None:
        self._untouched = request.untouched
        # In whole numbers: a float lacks the last digits of a time in nanoseconds.
        self._before = (request.taken - MARGIN - _EPOCH) // timedelta(microseconds=1) * 1000
        self._live = live
        self._places = [_Place("", live, settled=True)]
        self._progress = Progress("read")
        self._compared = 0
        self._changed_since = 0
        self._differing = Names()
        self._missing = Names()
        self._unreadable = Names()

    def run(self, snapshot: int) -> None:
        todo = tree.names_at_top(snapshot)
        try:
            with closing(tree.walk(snapshot, todo, unlock=tree.READABLE, on_error=self._cannot_read)) as entries:
                for entry in entries:
                    if entry.leaving:
                        self._leave()
                        continue
                    self._places[-1].seen.add(entry.name)
                    self._look_at(entry)
                    if entry.kind == "folder":
                        self._enter(entry)
            self._look_for_missing()
        finally:
            while len(self._places) > 1:
                self._close()

    def result(self) -> dict[str, Any]:
        """Return what was found. Raises FailedError with it, where that is bad."""
        files = self._progress.files
        found = {"differing": self._differing, "missing": self._missing, "unreadable": self._unreadable}
        bad = {name: names for name, names in found.items() if names.count}
        proven = self._compared > 0 or (self._live is not None and self._untouched and files == 0)
        result = {
            "files": files,
            "bytes": self._progress.bytes,
            "compared": self._compared,
            "changed_since": self._changed_since,
            **{name: names.first for name, names in found.items()},
            **{f"{name}_count": names.count for name, names in found.items()},
            "verdict": "failed" if bad else "proven" if proven else "readable",
        }
        say(f"{result['verdict']}: {files} files read, {self._compared} compared")
        if bad:
            told = ", ".join(f"{names.count} {name} (first '{names.first[0]}')" for name, names in bad.items())
            raise FailedError(
                f"what the snapshot gives back is not what the student had: {told}; "
                "take another snapshot, look at the storage, and drill again",
                result,
            )
        return result

    def _look_at(self, entry: Entry) -> None:
        if entry.kind == "file":
            self._progress.add(entry.stat.st_size)
        try:
            content = _content(entry, unlock=True)
        except OSError:
            self._unreadable.add(entry.path)
            return
        verdict = self._verdict(entry, content)
        if verdict is None:
            self._changed_since += entry.kind == "file"
        elif verdict:
            self._compared += entry.kind == "file"
        else:
            self._differing.add(entry.path)

    def _verdict(self, entry: Entry, content: object) -> bool | None:
        """Tell whether the live disk has the same; None where it needn't, or where that can't be seen."""
        place = self._places[-1]
        if place.live is None:
            return None
        try:
            live = tree.look(place.live, entry.name, entry.path)
            if not self._must_be_equal(place.settled, live):
                return None
            if _facts(entry) == _facts(live) and content == _content(live):
                return True
            # It may have been changed while it was read.
            return False if self._must_be_equal(place.settled, tree.look(place.live, entry.name, entry.path)) else None
        except FileNotFoundError:
            return False if self._untouched else None
        except PermissionError:
            # Mounted to be read only, the live disk keeps to itself what its owner can't read (mode 000).
            return None
        except OSError:
            self._unreadable.add(f"{entry.path} (live)")
            return None

    def _must_be_equal(self, settled: bool, live: Entry) -> bool:
        return self._untouched or (settled and self._old(live.stat))

    def _old(self, status: os.stat_result) -> bool:
        return max(status.st_ctime_ns, status.st_mtime_ns) < self._before

    def _enter(self, entry: Entry) -> None:
        above = self._places[-1]
        place = _Place(entry.path, None, settled=False)
        self._places.append(place)
        if above.live is not None:
            with contextlib.suppress(OSError):
                place.live = tree.open_folder(above.live, entry.name)
                place.settled = above.settled and self._old(os.fstat(place.live))

    def _leave(self) -> None:
        self._look_for_missing()
        self._close()

    def _close(self) -> None:
        place = self._places.pop()
        if place.live is not None:
            os.close(place.live)

    def _cannot_read(self, path: str, _error: OSError) -> None:
        self._unreadable.add(path)
        place = self._places[-1]
        if path == place.path:
            place.readable = False
        else:
            place.seen.add(path.rpartition("/")[2])

    def _look_for_missing(self) -> None:
        """Look through what the live folder has and the snapshot lacks for what was there before the snapshot."""
        place = self._places[-1]
        if place.live is None or not place.readable:
            return
        try:
            there = tree.names(place.live) if place.path else tree.names_at_top(place.live)
        except OSError:
            return
        more = [name for name in there if name not in place.seen]
        settled = [place.settled]
        with closing(tree.walk(place.live, more, on_error=_pass_over)) as entries:
            for entry in entries:
                if entry.leaving:
                    settled.pop()
                    continue
                missing = self._must_be_equal(settled[-1], entry)
                if missing:
                    self._missing.add(f"{place.path}/{entry.path}" if place.path else entry.path)
                if entry.kind == "folder":
                    settled.append(missing)


def _pass_over(_path: str, _error: OSError) -> None:
    """What can't be read of the live disk says nothing about the snapshot."""


def _facts(entry: Entry) -> tuple[int, int]:
    """Return type and mode, and the size of what has one that means something."""
    return entry.stat.st_mode, entry.stat.st_size if entry.kind == "file" else 0


def _content(entry: Entry, *, unlock: bool = False) -> object:
    """Read what an entry holds, to its end; comparable. Raises OSError."""
    if entry.kind == "file":
        with tree.open_file(entry, unlock=unlock) as file:
            return tree.digest(tree.blocks(file))
    if entry.kind == "link":
        return entry.link
    return entry.stat.st_rdev if stat.S_ISBLK(entry.stat.st_mode) or stat.S_ISCHR(entry.stat.st_mode) else None
