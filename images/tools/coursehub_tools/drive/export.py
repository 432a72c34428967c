"""One student's export, from the walk through the home to the list that says that it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import tree
from ..result import FailedError, because, say, shown
from . import arranging, bundle, known_disk, look, manifest, names, parallel, plan, scan, state, turn, upload
from .apply import Applying
from .client import Client, RefusedError
from .ignore import Ignore, student_lines
from .lists import Lists
from .manifest import Header
from .objects import TOP, Drive
from .reasons import Treatment
from .report import Report
from .rows import FILE, FOLDER, LINK, MANIFEST, Row
from .settle import settle
from .state import State
from .steps import Digest, Plan
from .upload import Content


@dataclass(frozen=True)
class Job:
    """What is to be exported, as whom, and how.

    ``source`` is the home, ``state`` the folder of all students' states, ``folder`` Drive's id of the folder (or shared
    drive) for the exports, empty for the top of one's own Drive, and ``name`` what the student's folder is called.
    """

    student: str
    source: Path
    state: Path
    folder: str = ""
    name: str = ""
    exclude: tuple[str, ...] = ()
    bundle: str = bundle.AUTO
    prune: bool = False
    threads: int = 4
    # Look into Drive for what others have changed there, instead of trusting the last list.
    look: bool = False
    writes_per_second: float = 2.0
    # Whether this disk was never exported, as far as whoever runs this knows, and which one it is.
    new: bool = False
    disk_uid: str = ""
    # Read each file and compare, also those that have the size and time that they had.
    checksum: bool = False

    @property
    def folder_name(self) -> str:
        return self.name or self.student

    @property
    def own_state(self) -> Path:
        return self.state / state.folder_name(self.student)


@dataclass(frozen=True)
class Exported:
    """What it came to, ``complete``, or ``unchanged`` where there was nothing to do; and the list that Drive has."""

    outcome: str
    list_md5: str


def run(job: Job, client: Client, report: Report, lists: Lists | None = None) -> Exported:
    """Export one student.

    ``lists`` is shared by students of one identity.

    Raises RefusedError, FailedError, OSError; what had been done by then is in the report and in the state.
    """
    with tree.top(job.source) as home, state.opened(job.own_state, job.student) as kept:
        drive = Drive(client, job.student, turn.of(kept.folder))
        outcome = _Export(job, drive, kept, home, report).run(lists)
        return Exported(outcome, kept.md5)


class _Export:
    def __init__(self, job: Job, drive: Drive, kept: State, home: int, report: Report) -> None:
        self._job = job
        self._drive = drive
        self._state = kept
        self._home = home
        self._report = report
        # What has been read once is not read for another plan.
        self._read: dict[Row, Digest] = {}
        # What could not be, by path, and why.
        self._unread: dict[str, str] = {}

    def run(self, lists: Lists | None) -> str:
        found = self._scan()
        if lists is not None and self._unchanged(found, lists):
            return "unchanged"
        self._know()
        if self._job.new and not known_disk.is_known(self._state.folder, self._job.disk_uid):
            self._see_own(found)
            known_disk.note(self._state.folder, self._job.disk_uid)
        for attempt in (1, 2):
            header = self._top()
            self._plan = self._planned(found)
            try:
                return self._apply(header, self._plan)
            except RefusedError as error:
                if error.treatment is not Treatment.LOOK or attempt == 2:
                    raise
            # Something that we knew of is not there: somebody was at work in Drive.
            say(f"{shown(self._job.student)}: Drive is not as it was left, looking what it has")
            settle(self._drive, self._state)
            self._look()
        raise AssertionError("it was tried twice")

    def _see_own(self, found: scan.Scan) -> None:
        """See that what was exported before is on this disk, which has never been: else it is of a disk that was lost.

        Raises FailedError, or the empty home would become the export.
        """
        if ("", MANIFEST) not in self._state.rows:
            return
        there = {row.path for row in found.rows}
        lacking = [
            row.path
            for row in self._state.rows.values()
            if row.kind == FILE
            and not row.gone
            and row.path not in there
            # What can't be read is no less there.
            and not found.problems.keys() & {row.path, *names.lineage(row.path)}
        ]
        if lacking:
            raise FailedError(
                f"{shown(self._job.student)}: the disk is a new one, and Drive has an export with {len(lacking)} files"
                f" that are not on it (first '{shown(min(lacking))}'): bring them back by the playbook drive_import; if"
                " nobody wants them, put the export's folder into Drive's bin; then run this again"
            )

    def _scan(self) -> scan.Scan:
        ignore = Ignore(self._job.exclude, student_lines(self._home))
        found = scan.scan(self._home, ignore)
        for path, why in found.problems.items():
            self._report.problem(path, why)
        for sentence in ignore.problems:
            self._report.problem(".driveignore", sentence)
        files = [row for row in found.rows if row.kind == FILE]
        self._report.set(
            files=len(files),
            folders=sum(row.kind == FOLDER for row in found.rows),
            links=sum(row.kind == LINK for row in found.rows),
            bytes=sum(row.size for row in files),
            left_out=len(found.special),
            ignored=found.ignored,
        )
        return found

    def _unchanged(self, found: scan.Scan, lists: Lists) -> bool:
        """Tell whether there is nothing to do, asking only what the other students of the identity ask as well."""
        header, known = self._state.header, self._state.rows.get(("", MANIFEST))
        if header is None or known is None or self._state.dirty or self._job.look:
            return False
        if header.folder != self._job.folder:
            return False
        return self._same(self._planned(found)) and lists.has(self._drive, header.drive, known.id, self._state.md5)

    def _know(self) -> None:
        """See that what we know of Drive is so: by one call if nothing happened, by a look at all if need be."""
        if self._state.header is not None and self._state.header.folder != self._job.folder:
            # The course exports into another folder now: what is in the old one stays there.
            self._state.rebase(self._header("", self._shared()), [])
            self._look()
            return
        if self._state.header is None and not self._state.dirty:
            self._look()
            return
        settle(self._drive, self._state)
        if self._job.look or not self._is_as_left():
            self._look()

    def _is_as_left(self) -> bool:
        """Tell whether nobody else has exported since: what a run that was killed has left may be of long ago.

        Ours may be newer in Drive than here after a kill.
        """
        known = self._state.rows.get(("", MANIFEST)) or self._state.rows.get(("", FOLDER))
        fact = self._drive.get(known.id) if known is not None else None
        if known is None or fact is None or fact.trashed or fact.turn != self._drive.turn:
            return False
        return known.kind == FOLDER or fact.md5 in self._state.lists

    def _look(self) -> None:
        header = self._state.header
        shared = header.drive if header else self._shared()
        known = list(self._state.rows.values())
        found = look.facts(self._drive, shared, known, self._job.threads)
        # Also that of an export that never came to its end, of which no header tells.
        expected = self._state.rows.get(("", FOLDER))
        top = look.find_top(found, self._job.folder, self._job.folder_name, expected.id if expected else "")
        if top is None:
            if header is not None or known:
                self._state.rebase(self._header("", shared), [])
            return
        there = look.listed(self._drive, found, top.id)
        if there is not None and there.header.student == self._job.student:
            # Of two lists the one in Drive is the newer, unless it is ours and we have something that came after it.
            ours = self._state.dirty and there.fact.md5 in self._state.lists
            known = known + there.rows if ours else there.rows + known
            known = list({row.id or row.key: row for row in reversed(known)}.values())
        rows = look.adopt(found, known, top.id, there)
        self._state.rebase(self._header(top.id, shared), rows, there.fact.md5 if there else "")
        # Before anything is made: whoever went on with it until now has to look from here on.
        self._drive.take(there.fact if there else top)

    def _shared(self) -> str:
        return look.shared_drive(self._drive, self._job.student, self._job.folder)

    def _top(self) -> Header:
        """Return where the export is, and make its folder if there is none."""
        header, top = self._state.header, self._state.rows.get(("", FOLDER))
        shared = header.drive if header else self._shared()
        if top is None:
            row = Row("", FOLDER)
            free = next((file_id for file_id, want in self._state.wants.items() if want.row.key == row.key), None)
            row = replace(row, id=free or self._drive.new_id(1))
            self._state.want(row)
            self._drive.make_folder(row, self._job.folder, self._job.folder_name, TOP)
            self._state.done(row)
            top = row
        return self._header(top.id, shared)

    def _header(self, top: str, shared: str) -> Header:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Header(self._job.student, now, top, self._job.folder, shared)

    def _planned(self, found: scan.Scan) -> Plan:
        base = list(self._state.rows.values())
        bundled = bundle.choose(found.rows, base, self._job.bundle, self._job.writes_per_second)
        wanted = arranging.arrange(found.rows, bundled)
        digests = self._digests(arranging.questions(base, wanted, checksum=self._job.checksum))
        steps = plan.plan(base, wanted, digests, found.problems, prune=self._job.prune)
        for row in steps.settled:
            if row.kind == FILE and row.path in self._unread:
                self._report.problem(row.path, f"{self._unread.pop(row.path)}: what was exported of it stays")
        return steps

    def _digests(self, rows: Sequence[Row]) -> dict[str, Digest]:
        def read(row: Row) -> None:
            # What can't be read and is to be sent is met again then, and named.
            try:
                with scan.opened(self._home, row) as file:
                    content = Content(file, row, lambda: scan.see_unchanged(file, row))
                    self._read[row] = upload.digest(content)
            except OSError as error:
                self._unread[row.path] = f"it can't be read ({because(error)})"
            except scan.ChangedError as error:
                self._unread[row.path] = str(error)

        parallel.each(read, [row for row in rows if row not in self._read], self._job.threads)
        return {row.path: self._read[row] for row in rows if row in self._read}

    def _apply(self, header: Header, steps: Plan) -> str:
        header = replace(header, problems=self._report.problems[:100])
        if self._same(steps):
            return "unchanged"
        say(f"{shown(self._job.student)}: {len(steps.actions)} steps, {steps.bytes} bytes to send")
        rows = Applying(self._drive, self._state, self._home, self._report, threads=self._job.threads).run(
            steps, header.top
        )
        self._write_list(header, rows)
        return "complete"

    def _same(self, steps: Plan) -> bool:
        """Tell whether the last list says all that there is to say."""
        if self._state.header is None or self._state.dirty or steps.actions:
            return False
        return _unordered(steps.settled) == _unordered(self._state.rows.values())

    def _write_list(self, header: Header, rows: list[Row]) -> None:
        """Put the list into Drive, which makes the export complete, and then where the next run looks first."""
        known = self._state.rows.get(("", MANIFEST))
        row = known or Row("", MANIFEST)
        body: dict[str, Any] = {}
        if known is None:
            free = next((file_id for file_id, want in self._state.wants.items() if want.row.key == row.key), None)
            row = replace(row, id=free or self._drive.new_id(1))
            body = {"id": row.id, "parents": [header.top]}
        rows = [one for one in rows if one.key not in (("", MANIFEST), ("", FOLDER))]
        rows += [Row("", FOLDER, id=header.top), row]
        path = self._state.folder / "new-manifest"
        self._state.list_to_be(manifest.write(path, header, rows))
        with path.open("rb") as file:
            content = Content(file.fileno(), replace(row, size=path.stat().st_size), lambda: None)
            self._state.want(row)
            body = self._drive.body(row) | {"name": manifest.NAME} | body
            del body["modifiedTime"]
            fact, digest = upload.send(self._drive, self._state, content, body)
        if fact.md5 != digest.md5:
            raise FailedError(
                f"{shown(self._job.student)}: the list of the export is not in Drive as it was sent: run this again"
            )
        self._state.done(row)
        self._state.finish(path, header, rows)


def _unordered(rows: Any) -> set[Row]:
    return set(rows)
