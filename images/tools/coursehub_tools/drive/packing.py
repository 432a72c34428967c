"""A folder as one zip: the same bytes for the same files, with an index that has what a zip can't keep.

``files/`` has the files; ``index.jsonl`` has a line for each file, folder and link, with its mode, its time in
nanoseconds and its checksums, and stands last because those are known last.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from . import names
from .rows import BUNDLE, FILE, Row, pack
from .scan import opened, see_unchanged
from .steps import Action
from .upload import Content, Measure

INDEX = "index.jsonl"
FILES = "files/"
_BLOCK = 1 << 20
# The first time that a zip can have; the true ones are in the index.
_TIME = (1980, 1, 1, 0, 0, 0)


@contextmanager
def content_of(home: int, action: Action) -> Iterator[tuple[Content, tuple[Row, ...]]]:
    """Hold open what a step sends: a file, or a bundle that is made for it, as large as its folder may be.

    Gives the content, with its size, and a bundle's members with their checksums. Raises OSError, ChangedError.
    """
    row = action.row
    if row.kind == BUNDLE:
        with tempfile.TemporaryFile() as zipped:
            members = _write(home, action, zipped)
            zipped.flush()
            size = os.fstat(zipped.fileno()).st_size
            yield Content(zipped.fileno(), replace(row, size=size), lambda: None), members
    else:
        with opened(home, row) as file:
            yield Content(file, row, lambda: see_unchanged(file, row)), ()


def _write(home: int, action: Action, zipped: IO[bytes]) -> tuple[Row, ...]:
    members = []
    with zipfile.ZipFile(zipped, "w") as target:
        for row in sorted(action.members, key=lambda row: row.key):
            members.append(_add(home, row, target, action.row.path) if row.kind == FILE else row)
        lines = (json.dumps(pack(_relative(row, action.row.path)), ensure_ascii=False) + "\n" for row in members)
        target.writestr(_info(INDEX, 0o600), "".join(lines).encode())
    return tuple(members)


def _relative(row: Row, folder: str) -> Row:
    return replace(row, path=row.path[len(folder) + 1 :], bundle="")


def _add(home: int, row: Row, target: zipfile.ZipFile, folder: str) -> Row:
    info = _info(FILES + names.encode(_relative(row, folder).path), row.mode)
    info.file_size = row.size
    with opened(home, row) as file, target.open(info, "w") as member:
        content, measure = Content(file, row, lambda: see_unchanged(file, row)), Measure()
        for start in range(0, row.size, _BLOCK):
            block = content.read(start, min(row.size, start + _BLOCK))
            measure.add(block)
            member.write(block)
        content.check()
    return replace(row, md5=measure.digest.md5, sha256=measure.digest.sha256)


def _info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = 3
    info.external_attr = (0o100000 | mode & 0o777) << 16
    return info
