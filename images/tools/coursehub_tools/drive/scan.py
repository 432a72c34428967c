"""One walk of a home: all that is to be exported, and what can't be."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from .. import tree
from ..result import because
from ..tree import Entry
from .ignore import Ignore
from .rows import FILE, FOLDER, LINK, Row

# https://support.google.com/a/answer/7338880
MOST_BYTES = 5 << 40


@dataclass
class Scan:
    """What a home has. ``problems`` are paths with a reason; nothing is concluded from these being absent in ``rows``.

    ``special`` are sockets, pipes and devices, which have no content; ``ignored`` counts what was left out by rules.
    """

    rows: list[Row] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    special: list[str] = field(default_factory=list)
    ignored: int = 0


def scan(home: int, ignore: Ignore | None) -> Scan:
    """Walk through a home, of which the top folder is held open. Links are not followed. None leaves nothing out."""
    result = Scan()

    def leave_out(entry: Entry) -> bool:
        found = ignore is not None and ignore.leaves_out(entry.path, folder=entry.kind == "folder")
        result.ignored += found
        return found

    def on_error(path: str, error: OSError) -> None:
        result.problems[path] = because(error)

    todo = tree.names_at_top(home)
    with closing(tree.walk(home, todo, unlock=tree.READABLE, on_error=on_error, leave_out=leave_out)) as entries:
        for entry in entries:
            if not entry.leaving:
                _add(result, entry)
    return result


def _add(result: Scan, entry: Entry) -> None:
    path, mtime_ns, mode = entry.path, entry.stat.st_mtime_ns, entry.mode
    if entry.kind == "file" and entry.stat.st_size > MOST_BYTES:
        result.problems[path] = f"it says that it has {entry.stat.st_size} bytes, more than the 5 TiB that Drive takes"
    elif entry.kind == "file":
        result.rows.append(Row(path, FILE, entry.stat.st_size, mtime_ns, mode))
    elif entry.kind == "folder":
        result.rows.append(Row(path, FOLDER, 0, mtime_ns, mode))
    elif entry.kind == "link":
        try:
            result.rows.append(Row(path, LINK, 0, mtime_ns, mode, entry.link))
        except OSError as error:
            result.problems[path] = because(error)
    else:
        result.special.append(path)


class ChangedError(Exception):
    """A file is not what it was when the home was walked."""


@contextmanager
def beneath(top: int, path: str) -> Iterator[tuple[int, str]]:
    """Hold the folder open that has a path, found name by name so that no link leads out; give it and the last name.

    Raises OSError.
    """
    *folders, name = path.split("/")
    with contextlib.ExitStack() as held:
        folder = top
        for part in folders:
            folder = _enter(folder, part)
            held.callback(os.close, folder)
        yield folder, name


@contextmanager
def opened(home: int, row: Row) -> Iterator[int]:
    """Hold a file of a scan open for reading.

    Raises OSError; ChangedError where it has another size or time than it had.
    """
    with beneath(home, row.path) as (folder, name):  # noqa: SIM117 - pylint knows the names only from here on
        with tree.open_file(tree.look(folder, name, row.path), unlock=True) as file:
            see_unchanged(file, row)
            yield file


def _enter(folder: int, name: str) -> int:
    with tree.unlocked(tree.look(folder, name, name), tree.READABLE):
        return tree.open_folder(folder, name)


def see_unchanged(file: int, row: Row) -> None:
    """Raise ChangedError where an open file is not as it was found."""
    now = os.fstat(file)
    if (now.st_size, now.st_mtime_ns) != (row.size, row.mtime_ns) or not stat.S_ISREG(now.st_mode):
        raise ChangedError("it was changed while it was exported: export from a snapshot that nothing else uses")
