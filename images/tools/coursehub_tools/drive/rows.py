"""What an export knows of one thing: how it is in the home, and what stands for it in Drive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Any

from . import names

FILE = "file"
FOLDER = "folder"
LINK = "link"
# A folder with all in it as one zip.
BUNDLE = "bundle"
# The list of all rows, itself a file in Drive.
MANIFEST = "manifest"

# The content in Drive is known by its MD5, not when the file at home was changed: it is read and compared.
UNKNOWN = -(1 << 63)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing. Sizes are bytes, times nanoseconds since 1970; ``path`` is relative to the home, which is ``""``.

    ``id`` is Drive's, empty for what has no file of its own there: links, which are in the manifest alone, and what is
    in a bundle. ``bundle`` is the folder that was packed. ``gone``: no longer at home, still in Drive.
    """

    path: str
    kind: str
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    target: str = ""
    id: str = ""
    md5: str = ""
    sha256: str = ""
    bundle: str = ""
    gone: bool = False

    @property
    def key(self) -> Key:
        """Its path and kind. What is in a bundle may be in Drive by itself too, from before it was bundled."""
        return self.path, f"packed {self.kind}" if self.bundle else self.kind

    @property
    def in_drive(self) -> bool:
        """Whether it is a file or folder of its own in Drive, and no part of something else."""
        return self.kind != LINK and not self.bundle

    @property
    def name(self) -> str:
        """Its name in Drive."""
        name = names.encode(names.base(self.path))
        return f"{name}.bundle.zip" if self.kind == BUNDLE else name


COLUMNS = tuple(field.name for field in fields(Row))
_KINDS = (FILE, FOLDER, LINK, BUNDLE, MANIFEST)
_TEXTS = ("path", "target", "bundle")


def pack(row: Row) -> list[Any]:
    """Return a row as JSON can hold it."""
    values = list(astuple(row))
    for name in _TEXTS:
        index = COLUMNS.index(name)
        values[index] = names.encode(values[index])
    return values


def unpack(values: Any) -> Row:
    """Return the row that was packed. Raises ValueError for what is none."""
    if not isinstance(values, list) or len(values) != len(COLUMNS):
        raise ValueError("a row has other columns")
    for value, field in zip(values, fields(Row), strict=True):
        if type(value).__name__ != field.type:
            raise ValueError(f"{field.name} is {type(value).__name__} and not {field.type}")
    given = dict(zip(COLUMNS, values, strict=True))
    for name in _TEXTS:
        given[name] = names.decode(given[name])
    if given["kind"] not in _KINDS or not _inside(given["path"]) or not _inside(given["bundle"]):
        raise ValueError("a row leads out of the home, or is of a kind that there is not")
    return Row(**given)


def _inside(path: str) -> bool:
    return not path or not any(part in ("", ".", "..") or "\0" in part for part in path.split("/"))


def by_key(rows: Iterable[Row]) -> dict[Key, Row]:
    """Return rows by path and kind."""
    return {row.key: row for row in rows}
