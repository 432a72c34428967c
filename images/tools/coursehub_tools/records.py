"""The small file beside an archive that makes it one: until it is written, the archive doesn't count."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from . import streams
from .result import FailedError, say, shown
from .target import Target

VERSION = 1


@dataclass(frozen=True)
class Record:
    """Whose disk an archive holds, from when, in which file, and what proves that file."""

    student: str
    snapshot: str
    taken: str
    archived_at: str
    files: int
    bytes: int
    file: str
    archive_bytes: int
    sha256: str
    # The archive that it takes the place of, which goes once this counts.
    replaces: str = ""
    version: int = VERSION


_KINDS = {"str": str, "int": int}


def files(name: str, taken: datetime) -> Iterator[str]:
    """Return the names that an archive may have, best first: the one that a record names is not written over."""
    for suffix in ("", "-2"):
        yield f"{name}-{taken:%Y%m%d-%H%M%S}{suffix}.tar.zst"


def read(target: Target, name: str) -> Record | None:
    """Return the record of that name, None where there is none. Raises FailedError for one that isn't ours."""
    content = target.small(f"{name}.json")
    if content is None:
        return None
    try:
        values = json.loads(content)
        record = Record(**values)
        ours = _is_ours(name, record)
    except (TypeError, ValueError):
        ours = False
    if not ours:
        raise FailedError(
            f"'{shown(name)}.json' in the target was not written by this program, or is damaged: "
            "look at it, and move it away to archive under this name"
        )
    return record


def _is_ours(name: str, record: Record) -> bool:
    if not all(isinstance(getattr(record, field.name), _KINDS[str(field.type)]) for field in fields(Record)):
        return False
    file = re.compile(rf"{re.escape(name)}-\d{{8}}-\d{{6}}(-2)?\.tar\.zst")
    replaces = not record.replaces or (file.fullmatch(record.replaces) and record.replaces != record.file)
    return bool(record.version == VERSION and file.fullmatch(record.file) and replaces)


def existing(target: Target, name: str) -> Record:
    """Return the record of that name. Raises FailedError where there is none."""
    record = read(target, name)
    if record is None:
        raise FailedError(
            f"the target has no '{shown(name)}.json', so no archive of that name: look for its name there"
        )
    return record


def write(target: Target, name: str, record: Record) -> None:
    """Write a record, and read it back. Raises FailedError."""
    file = f"{name}.json"
    with target.write(file) as put:
        put(f"{json.dumps(asdict(record), indent=2)}\n".encode())
    if read(target, name) != record:
        raise FailedError(
            f"'{file}' is not read back as it was written: look at the target's storage, then archive again"
        )


def prove(target: Target, record: Record) -> streams.Measure:
    """Read an archive to its end, and decompress it. Raises FailedError for one that isn't as it was written."""
    measure = streams.Measure()
    with target.read(record.file) as content, streams.decompressing(record.file, content, measure) as stream:
        while stream.read(streams.CHUNK):
            pass
    if (measure.sha256, measure.bytes) != (record.sha256, record.archive_bytes):
        raise FailedError(
            f"{record.file} is damaged: it has {measure.bytes} bytes with the SHA-256 {measure.sha256}, "
            f"not {record.archive_bytes} with {record.sha256}; take another copy or archive again"
        )
    say(f"{record.file}: {measure.bytes} bytes, whole")
    return measure
