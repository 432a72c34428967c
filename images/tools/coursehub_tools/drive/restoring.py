"""Files, folders and links as rows say, written into an empty folder: names, contents, times and modes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from .. import placing, tree
from ..result import FailedError, Progress, shown
from . import names, parallel
from .client import RefusedError
from .reasons import Treatment
from .rows import FILE, FOLDER, LINK, Row
from .scan import beneath

# A part of a file's content, a multiple of a block but for the last one.
Parts = Iterable[bytes]


def restore(
    top: int,
    rows: Iterable[Row],
    contents: Callable[[Row], Parts],
    refused: Callable[[Row, RefusedError], None] | None = None,
    *,
    threads: int,
) -> Progress:
    """Write all below a folder that is held open. ``refused`` is told of files that Drive does not give.

    Raises OSError, RefusedError; FailedError where a content is not as listed.
    """
    progress, lock = Progress("restored"), threading.Lock()
    ordered = sorted((row for row in rows if row.path), key=lambda row: row.path)
    folders = [row for row in ordered if row.kind == FOLDER]
    _see_whole(ordered)
    for row in folders:
        with beneath(top, row.path) as (folder, name):
            # That only we can enter, until all is in it.
            os.mkdir(name, 0o700, dir_fd=folder)

    def write(row: Row) -> None:
        with beneath(top, row.path) as (folder, name):
            if row.kind == LINK:
                placing.make_link(folder, name, row.target, row.mtime_ns)
            else:
                content = _Proving(row, contents(row))
                try:
                    placing.make_file(folder, name, content.blocks(), row.size, row.mode, row.mtime_ns)
                except RefusedError as error:
                    if refused is None or error.treatment is not Treatment.FILE:
                        raise
                    os.unlink(name, dir_fd=folder)
                    refused(row, error)
                    return
                content.prove()
        with lock:
            progress.add(row.size)

    parallel.each(write, [row for row in ordered if row.kind in (FILE, LINK)], threads)
    # From the bottom up: what is written into a folder changes its time.
    for row in reversed(folders):
        with beneath(top, row.path) as (folder, name):
            placing.end_folder(tree.open_folder(folder, name), row.mode, row.mtime_ns)
    return progress


def _see_whole(rows: Sequence[Row]) -> None:
    """Refuse rows that don't make a tree: each thing is there once, in a folder that is there."""
    seen: dict[str, str] = {"": FOLDER}
    for row in rows:
        if row.path in seen or seen.get(names.parent(row.path)) != FOLDER:
            raise FailedError(f"the export's list is damaged at '{shown(row.path)}': export again")
        seen[row.path] = row.kind


class _Proving:
    """A content on its way to a disk, of which the checksum must be the listed one."""

    def __init__(self, row: Row, parts: Parts) -> None:
        self._row = row
        self._parts = parts
        # An upload that was found as a run before had left it has no SHA-256 yet.
        self._digest = hashlib.sha256() if row.sha256 else hashlib.md5(usedforsecurity=False)
        self._size = 0

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield offset and bytes of what isn't zero, so that holes are holes again."""
        for part in self._parts:
            self._digest.update(part)
            for start in range(0, len(part), tree.BLOCK):
                block = part[start : start + tree.BLOCK]
                if block.strip(b"\0"):
                    yield self._size + start, block
            self._size += len(part)

    def prove(self) -> None:
        """Raise FailedError where it is not what the list says."""
        wanted = self._row.sha256 or self._row.md5
        if self._size != self._row.size or self._digest.hexdigest() != wanted:
            raise FailedError(
                f"'{shown(self._row.path)}' is not in Drive as the export's list says: "
                "it was changed there, or an export has not come to its end; export again, "
                "or import what there is (partial)"
            )
