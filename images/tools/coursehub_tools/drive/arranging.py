"""What there is to be in an export, and what must be read to plan it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from . import names
from .rows import BUNDLE, FILE, FOLDER, Row


def arrange(found: Iterable[Row], bundled: Collection[str]) -> list[Row]:
    """Return what there is to be in the export, sorted: what a scan found, with these folders as bundles."""
    rows: list[Row] = []
    newest: dict[str, int] = {}
    inside = ""
    for row in sorted(found, key=lambda row: row.path.split("/")):
        if not (inside and names.below(row.path, inside)):
            inside = row.path if row.kind == FOLDER and row.path in bundled else ""
        if inside:
            newest[inside] = max(newest.get(inside, row.mtime_ns), row.mtime_ns)
        rows.append(replace(row, bundle=inside) if inside else row)
    # As new as the newest thing in it, so that it is another one when anything was changed.
    rows += [Row(path, BUNDLE, mtime_ns=mtime_ns) for path, mtime_ns in newest.items()]
    return sorted(rows, key=lambda row: row.key)


def questions(base: Iterable[Row], wanted: Iterable[Row], *, checksum: bool = False) -> list[Row]:
    """Return the files of which the checksums decide something, so that they are to be read before planning.

    With ``checksum`` that is all that may be as they were, also those in bundles: size and time are not believed.
    """
    base, files = list(base), [row for row in wanted if row.kind == FILE]
    things = {row.key: row for row in base if row.in_drive}
    own = [row for row in files if row.in_drive]
    keys = {row.key for row in own}
    lost = {row.size for key, row in things.items() if row.kind == FILE and row.size and key not in keys}
    asked = [row for row in own if _asked(row, things.get(row.key), lost)]
    if checksum:
        sizes = {row.key: row.size for row in base}
        seen = {row.key for row in asked}
        asked += [row for row in files if row.key not in seen and sizes.get(row.key) == row.size]
    return asked


def _asked(row: Row, old: Row | None, lost: Collection[int]) -> bool:
    if old is None:
        return row.size in lost
    return old.size == row.size and old.mtime_ns != row.mtime_ns
