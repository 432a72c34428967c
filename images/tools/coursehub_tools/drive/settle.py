"""What became of what was about to be done when a run was killed: Drive is asked for each, and there are few."""

from __future__ import annotations

from dataclasses import replace

from . import names
from .objects import Drive, Fact
from .plan import milliseconds
from .rows import FOLDER, MANIFEST, UNKNOWN, Row
from .state import State, Want


def settle(drive: Drive, state: State) -> None:
    """Bring the state to what Drive has. What is not there yet keeps its id, and an upload its session."""
    for file_id, want in list(state.wants.items()):
        known = state.by_id(file_id)
        fact = drive.get(file_id)
        if fact is None and known is None:
            continue
        if fact is None or fact.trashed:
            state.gone(file_id)
        elif known is None or not (want.session is not None and fact.md5 == known.md5):
            row = _row(state, want, known, fact)
            # What is no different may still be on its way, and then it comes by the same id.
            state.done(row)


def _row(state: State, want: Want, known: Row | None, fact: Fact) -> Row:
    wanted = want.row
    if wanted.kind == MANIFEST or (known is None and wanted.kind == FOLDER):
        return wanted
    folder = state.rows.get((names.parent(wanted.path), FOLDER))
    there = known is None or (folder is not None and folder.id == fact.parent and wanted.name == fact.name)
    if there and wanted.kind == FOLDER:
        return wanted
    if there and wanted.md5 == fact.md5 and milliseconds(wanted) == fact.modified_ms and known is not None:
        return wanted
    if wanted.kind == FOLDER and known is not None:
        return known
    path = wanted.path if there or known is None else known.path
    # Read again and compared.
    return replace(wanted, path=path, size=fact.size, md5=fact.md5, sha256="", mtime_ns=UNKNOWN)
