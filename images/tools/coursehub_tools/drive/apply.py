"""A plan's steps, taken: each one in the journal before it is taken and after it."""

from __future__ import annotations

import dataclasses
from itertools import groupby

from ..result import FULL, FailedError, because, shown
from . import names, parallel, upload
from .client import NOT_TODAY, RefusedError
from .objects import Drive, Fact
from .packing import content_of
from .reasons import Treatment
from .report import Report
from .rows import FOLDER, UNKNOWN, Key, Row
from .scan import ChangedError
from .state import State
from .steps import BIN, CHANGE, MAKE, UPLOAD, Action, Digest, Plan


class Applying:
    """One student's plan on its way. ``home`` is the top folder of the files, held open."""

    def __init__(self, drive: Drive, state: State, home: int, report: Report, *, threads: int) -> None:
        self._drive = drive
        self._state = state
        self._home = home
        self._report = report
        self._threads = threads
        self._free: dict[Key, str] = {
            want.row.key: file_id for file_id, want in state.wants.items() if state.by_id(file_id) is None
        }
        self._folders: dict[str, str] = {}
        self._rows: dict[Key, Row] = {}
        self._left = 0

    def run(self, plan: Plan, top: str) -> list[Row]:
        """Take all steps; return the rows of the new list. Raises RefusedError, FailedError where it must stop."""
        self._rows = {row.key: row for row in plan.settled}
        self._folders = {row.path: row.id for row in plan.settled if row.kind == FOLDER and row.id and not row.gone}
        self._folders[""] = top
        self._left = len(plan.actions)
        self._report.todo = self._left
        # Folders of one depth don't need each other.
        for _depth, level in groupby(sorted(plan.folders, key=_depth_of), key=_depth_of):
            parallel.each(self._take, level, self._threads)
        # A list of steps that is long is not copied; large files first would hold up the small ones.
        parallel.each(self._take, plan.files, self._threads)
        parallel.each(self._take, plan.bins, self._threads)
        return list(self._rows.values())

    def _take(self, action: Action) -> None:
        try:
            self._step(action)
        except RefusedError as error:
            if error.treatment is not Treatment.FILE:
                raise
            self._keep(action, f"{error}: {error.rule.remedy}")
            if error.rule is NOT_TODAY:
                self._report.add(put_off_files=1)
        except ChangedError as error:
            self._keep(action, str(error))
        except OSError as error:
            if error.errno in FULL:
                # A folder that could not be packed is missing in Drive, and the next one would be too.
                raise FailedError(
                    f"{shown(self._report.student)}: there is no room for '{shown(action.row.path)}' while it is"
                    f" exported ({because(error)}): bundle less (bundle: auto), or give the nodes larger disks"
                ) from None
            self._keep(action, f"it can't be read ({because(error)})")
        self._report.step()

    def _step(self, action: Action) -> None:
        row = action.row
        if action.verb == BIN:
            self._drive.update(row.id, {"trashed": True})
            self._state.gone(row.id)
            self._report.add(binned=1)
            return
        parent = self._folders.get(names.parent(row.path))
        if parent is None:
            self._keep(action, "the folder that it is in could not be made")
            return
        if action.verb == MAKE:
            self._make_folder(row, parent)
        elif action.verb == CHANGE:
            self._change(action, parent)
        else:
            self._send(action, parent)

    def _keep(self, action: Action, why: str) -> None:
        """Leave what Drive has as it is, and name what could not be done."""
        self._report.problem(action.row.path, why)
        known = self._state.by_id(action.row.id) if action.row.id else None
        if known is not None:
            self._settle(known)

    def _settle(self, *rows: Row) -> None:
        self._rows.update((row.key, row) for row in rows)

    def _wanted(self, row: Row) -> Row:
        """Give a new row an id, one that it was to have before a kill if there is one, and tell the journal."""
        file_id = self._free.get(row.key)
        if file_id is None:
            row = dataclasses.replace(row, id=self._drive.new_id(self._left))
            self._state.want(row)
        else:
            row = dataclasses.replace(row, id=file_id)
            if self._state.wants[file_id].session is None:
                self._state.want(row)
        return row

    def _make_folder(self, row: Row, parent: str) -> None:
        row = self._wanted(row)
        self._drive.make_folder(row, parent)
        self._state.done(row)
        self._settle(row)
        self._folders[row.path] = row.id
        self._report.add(made_folders=1)

    def _change(self, action: Action, parent: str) -> None:
        row = action.row
        known = self._state.by_id(row.id)
        before = self._state.rows.get((names.parent(known.path), FOLDER)) if known else None
        where = {}
        if before is not None and before.id != parent:
            where = {"addParents": parent, "removeParents": before.id}
        self._state.want(row)
        self._drive.update(row.id, self._drive.body(row), **where)
        self._state.done(row, action.members)
        self._settle(row, *action.members)
        if row.kind == FOLDER:
            self._folders[row.path] = row.id
        self._report.add(changed=1)

    def _send(self, action: Action, parent: str) -> None:
        row = action.row
        with content_of(self._home, action) as (content, members):
            row = content.row
            new = action.verb == UPLOAD
            if new:
                row = self._wanted(row)
            elif (want := self._state.wants.get(row.id)) is None or want.session is None:
                self._state.want(row)
            body = self._drive.body(row) | ({"id": row.id, "parents": [parent]} if new else {})
            fact, digest = upload.send(self._drive, self._state, dataclasses.replace(content, row=row), body)
        row = self._proven(row, fact, digest)
        members = members if row.mtime_ns != UNKNOWN else ()
        self._state.done(row, members)
        self._settle(row, *members)
        self._report.add(uploaded_files=1, uploaded_bytes=row.size)

    def _proven(self, row: Row, fact: Fact, digest: Digest) -> Row:
        """Return the row with its checksums, where Drive has what was sent."""
        if (fact.md5, fact.size) == (digest.md5, row.size):
            return dataclasses.replace(row, md5=digest.md5, sha256=digest.sha256)
        self._report.problem(row.path, "what Drive has differs from what was sent: run this again, which sends it anew")
        return dataclasses.replace(row, md5=fact.md5, size=fact.size, sha256="", mtime_ns=UNKNOWN)


def _depth_of(action: Action) -> int:
    return action.row.path.count("/")
