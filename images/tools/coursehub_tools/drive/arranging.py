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


def questions(base: Iterable[Row], wanted: Iterable[Row]) -> list[Row]:
    """Return the files of which the checksums decide something, so that they are to be read before planning."""
    things = {row.key: row for row in base if row.in_drive}
    wanted = [row for row in wanted if row.in_drive and row.kind == FILE]
    keys = {row.key for row in wanted}
    lost = {row.size for key, row in things.items() if row.kind == FILE and row.size and key not in keys}
    return [row for row in wanted if _asked(row, things.get(row.key), lost)]


def _asked(row: Row, old: Row | None, lost: Collection[int]) -> bool:
    if old is None:
        return row.size in lost
    return old.size == row.size and old.mtime_ns != row.mtime_ns
