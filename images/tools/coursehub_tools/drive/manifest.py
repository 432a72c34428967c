"""The list of all that an export has: lines of JSON, compressed, the same bytes for the same rows.

The first line says what it is, then a row a line, and the last line says how many there were: a list that was cut is
none. It is written to Drive after all else, so an export with a list is one that came to its end.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from ..result import FailedError, shown
from .rows import COLUMNS, Row, pack, unpack

VERSION = 1
NAME = "coursehub-export.jsonl.gz"
TYPE = "application/gzip"
# A million files have paths of some hundred bytes each.
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Header:
    """Whose export it is, of when (RFC 3339), and where, by Drive's ids.

    ``top`` is the student's folder, ``folder`` what it was made in (empty for the top of one's own Drive), ``drive``
    the shared drive, if it is in one.
    """

    student: str
    taken: str
    top: str
    folder: str = ""
    drive: str = ""
    problems: list[str] = field(default_factory=list)


_FIELDS = tuple(one.name for one in fields(Header))


def write(path: Path, header: Header, rows: Iterable[Row]) -> str:
    """Write a list to a file; return its MD5. Raises OSError."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        path.chmod(0o600)
        # Without a time and a name of its own, so that equal rows are equal bytes.
        with gzip.GzipFile("", "wb", 6, _Both(file, digest), mtime=0) as packed:
            packed.write(_line({"coursehub_export": VERSION, "columns": COLUMNS, **asdict(header)}))
            count = 0
            for row in sorted(rows, key=lambda row: row.key):
                packed.write(_line(pack(row)))
                count += 1
            packed.write(_line({"rows": count}))
    return digest.hexdigest()


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class _Both:
    """A file whose content is measured on its way."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def read(path: Path) -> tuple[Header, Iterator[Row]]:
    """Read a list: its header at once, its rows one after the other. Raises FailedError for one that is damaged."""
    lines = _lines(path)
    first = next(lines, None)
    if not isinstance(first, dict) or first.get("coursehub_export") != VERSION or first.get("columns") != list(COLUMNS):
        raise _damaged(path, f"it is none of version {VERSION}")
    try:
        header = Header(**{name: first[name] for name in _FIELDS})
    except KeyError as error:
        raise _damaged(path, f"it has no {error}") from None
    return header, _rows(path, lines)


def _rows(path: Path, lines: Iterator[Any]) -> Iterator[Row]:
    count = 0
    for value in lines:
        if isinstance(value, dict):
            if value != {"rows": count} or next(lines, None) is not None:
                raise _damaged(path, f"it has {count} rows and not {value.get('rows')}")
            return
        try:
            yield unpack(value)
        except ValueError as error:
            raise _damaged(path, str(error)) from None
        count += 1
    raise _damaged(path, f"it ends after {count} rows")


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rb") as file:
            while line := file.readline(_LONGEST_LINE):
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> FailedError:
    return FailedError(
        f"the export's list {path.name} can't be used ({shown(why, 200)}): move it away, and export again"
    )
