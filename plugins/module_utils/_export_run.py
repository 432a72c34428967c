# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of exports: see whether Drive will take them, then a slot after the other makes and proves them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _bulk,
    _course,
    _disks,
    _exporter,
    _exporting,
    _exports,
    _progress,
    _slots,
    _snapshots,
    _workers,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

# A new export is its folder and its list at least.
LEAST_ITEMS = 2
# Of the 500 000 items of a shared drive: when less is left somebody should look for another one.
FEW_ITEMS = 50_000
# What snapshots may take: their controllers are held to one in two seconds at worst.
SNAPSHOTS_S, SNAPSHOT_S = 600, 2
EXPORTED, VERIFIED = "exported", "verified"


class Run:
    """One run over the chosen disks."""

    def __init__(self, course: _course.Course, parameters: dict[str, Any], check_mode: bool) -> None:
        _accounts.check(parameters)
        self._columns_wanted = _accounts.wanted_columns(parameters)
        _exporter.check(parameters)
        if parameters["snapshot"] == _exports.FRESH and not parameters["snapshot_class"]:
            raise CoursehubError("snapshot: fresh needs snapshot_class, the VolumeSnapshotClass: set it")
        self._course = course
        self._parameters = parameters
        self._check_mode = check_mode
        self._outcomes: dict[str, _exports.Outcome] = {}
        self._accounts: dict[str, _accounts.Account] = {}
        # The disks that say of no export.
        self._new: set[str] = set()
        # What Drive has said to one student and would say to all: that it takes no more today, or nothing there.
        self._closed = ""
        self._until = ""

    def __call__(self) -> Object:
        parameters = self._parameters
        deadline = time.monotonic() + parameters["wait_timeout"]
        state = self._course.look(parameters, 0)
        roster = parameters["roster"]
        columns = _disks.read_lines(roster, sorted(self._columns_wanted)) if roster else {}
        students = [disk.student for disk in state.choice.disks]
        accounts = _accounts.accounts(students, parameters, columns)
        exporter = _exporting.Exporter(self._course, "", deadline)
        exporter.check_priority(parameters["priority_class"], parameters["concurrency"])
        disks, without_consent, problems = self._with_credentials(exporter, state.choice.disks, accounts)
        self._accounts = {claim: accounts[disk.student] for claim, disk in disks.items()}
        self._new = {claim for claim, disk in disks.items() if not disk.drive_export}
        shots, fresh, empty = _exports.choose(disks.values(), state.shots, state.in_use, parameters["snapshot"])
        problems = empty | problems
        if problems and parameters["students"]:
            raise CoursehubError("; ".join(f"{disks[claim].student}: {why}" for claim, why in problems.items()))
        self._plan(disks, shots)
        # Of a whole course somebody always logs in for the first time between the snapshots and the exports.
        self._fail(problems)
        todo = {claim: disk for claim, disk in disks.items() if self._outcomes[claim].done}
        more: Object = {"items_left": None}
        if todo and not self._check_mode:
            image = _workers.image(self._course, parameters)
            exporter = _exporting.Exporter(self._course, image, deadline)
            exporter.sweep()
            more = self._work(exporter, todo, shots, [disk for disk in fresh if disk.claim in todo], state, deadline)
        outcomes = list(self._outcomes.values())
        if parameters["report"] and not self._check_mode:
            write_report(parameters["report"], outcomes)
        return {
            **_exports.result(outcomes),
            **more,
            "without_disk": list(state.choice.without_disk),
            "without_consent": without_consent,
            "report": parameters["report"] or "",
        }

    def _with_credentials(
        self,
        exporter: _exporting.Exporter,
        disks: Sequence[_disks.Disk],
        accounts: Mapping[str, _accounts.Account],
    ) -> tuple[dict[str, _disks.Disk], list[str], dict[str, str]]:
        """Return the disks whose Secrets are there, by claim, the students who have not consented, and what is wrong
        with other Secrets, by claim.

        That some have not consented is usual, so only one who is named is refused. Raises CoursehubError.
        """
        absent, wrong = exporter.secrets(accounts[disk.student] for disk in disks)
        no_key = [f"{why}: put the service account's key there" for why in absent.values()] + list(wrong.values())
        if no_key and self._parameters["owner"] != _accounts.CONSENT:
            raise CoursehubError("; ".join(no_key))
        secrets = {disk.student: accounts[disk.student].secret for disk in disks}
        lacking = {student: absent[secret] for student, secret in secrets.items() if secret in absent}
        if lacking and self._parameters["students"]:
            raise CoursehubError(
                "; ".join(f"{student}: {reason}: ask the student to consent" for student, reason in lacking.items())
            )
        there = {disk.claim: disk for disk in disks if disk.student not in lacking}
        problems = {disk.claim: wrong[secrets[disk.student]] for disk in disks if secrets[disk.student] in wrong}
        return there, sorted(lacking), problems

    def _plan(self, disks: Mapping[str, _disks.Disk], shots: Mapping[str, _snapshots.Shot]) -> None:
        parameters = self._parameters
        for claim, disk in disks.items():
            account = self._accounts[claim]
            name = shots[claim].name if claim in shots else ""
            done = _exports.steps(
                disk,
                name,
                _exports.shape(parameters, account),
                look=parameters["look"],
                verify=parameters["verify"],
            )
            self._outcomes[claim] = _exports.Outcome(
                disk.student, claim, account.subject or account.secret, account.name, name, done
            )

    def _work(
        self,
        exporter: _exporting.Exporter,
        disks: Mapping[str, _disks.Disk],
        shots: dict[str, _snapshots.Shot],
        fresh: Sequence[_disks.Disk],
        state: _course.State,
        deadline: float,
    ) -> Object:
        volumes = {item["metadata"]["name"]: item for item in self._course.kube.list("v1", "PersistentVolume")}
        slots = _slots.divide(
            {claim: _slots.topology(volumes.get(disk.volume)) for claim, disk in disks.items()},
            self._parameters["concurrency"],
        )
        # Fewer slots with work than may run at once: each goes faster.
        at_once = min(self._parameters["concurrency"], len(slots))
        identities = [self._accounts[claim].identity for claim in disks]
        rates = _slots.share(_slots.rates(self._parameters), at_once, identities)
        self._check(exporter, disks, _exporter.common(self._parameters, rates), at_once)
        items_left = self._count(exporter, disks, _exporter.common(self._parameters, rates))
        bodies = {
            disk.claim: _snapshots.manifest(
                disk, self._parameters["snapshot_class"], state.looked_at, in_use=disk.claim in state.in_use
            )
            for disk in fresh
            if not self._outcomes[disk.claim].failed
        }
        limit = min(self._parameters["wait_timeout"], SNAPSHOTS_S + SNAPSHOT_S * len(bodies))
        taken, failed = self._course.take(bodies, limit, min(deadline, time.monotonic() + limit))
        self._fail(failed)
        shots.update(taken)
        for claim, shot in taken.items():
            self._outcomes[claim].snapshot, self._outcomes[claim].took = shot.name, True
        left = {slot: [claim for claim in claims if not self._outcomes[claim].failed] for slot, claims in slots.items()}
        with self._course.progress.phase("exporting homes", sum(map(len, left.values()))) as phase:
            _results, errors = _bulk.each(
                left, lambda slot: self._slot(exporter, slot, left[slot], disks, shots, rates, phase), at_once
            )
        for slot, error in errors.items():
            self._fail({claim: error for claim in left[slot] if not self._outcomes[claim].failed})
        exporter.forget_volumes()
        warnings = ([_few(items_left)] if _is_few(items_left) else []) + exporter.warnings
        return {"items_left": items_left, **({"warnings": warnings} if warnings else {})}

    def _check(
        self, exporter: _exporting.Exporter, disks: Mapping[str, _disks.Disk], common: Object, at_once: int
    ) -> None:
        """See whether Drive lets each identity in, before the first clone is made. Each is asked about once."""
        people: dict[tuple[str, str], str] = {}
        for claim in disks:
            people.setdefault(self._accounts[claim].identity, claim)
        lists = dict(enumerate(_slots.batches(list(people.values()), _exporter.MOST_TOGETHER)))

        def one(number: int) -> dict[str, Object]:
            return exporter.run(self._task(f"drive-check-{number}", "check", lists[number], common))

        told, errors = self._course.each("asking Drive", lists, one, at_once)
        wrong: dict[tuple[str, str], str] = {}
        for number, claims in lists.items():
            for claim in claims:
                account = self._accounts[claim]
                answer = {"failed": str(errors[number])} if number in errors else told[number][account.student]
                if answer["failed"]:
                    # It is said of each student who has the identity, by the student's own name.
                    wrong[account.identity] = str(answer["failed"]).removeprefix(f"{account.student}: ")
        self._fail({claim: wrong[i] for claim in disks if (i := self._accounts[claim].identity) in wrong})

    def _count(self, exporter: _exporting.Exporter, disks: Mapping[str, _disks.Disk], common: Object) -> int | None:
        """Return how many items the shared drive still takes. Raises CoursehubError where those are too few."""
        good = [claim for claim in disks if not self._outcomes[claim].failed]
        if self._parameters["owner"] != _accounts.SHARED_DRIVE or not good:
            return None
        task = self._task("drive-count", "count", good[:1], common)
        told = exporter.run(task)[self._outcomes[good[0]].student]
        if told["failed"]:
            raise CoursehubError(f"the shared drive's items can't be counted: {told['failed']}")
        left = int(told["items_left"])
        new = sum(claim in self._new for claim in good)
        if left < LEAST_ITEMS * new:
            raise CoursehubError(
                f"the shared drive has room for {left} items, and {new} students have no export in it yet: it takes"
                " 500 000 with its bin; set folder to another shared drive, or empty its bin"
            )
        return left

    def _slot(
        self,
        exporter: _exporting.Exporter,
        slot: _slots.Slot,
        claims: Sequence[str],
        disks: Mapping[str, _disks.Disk],
        shots: Mapping[str, _snapshots.Shot],
        rates: _slots.Rates,
        phase: _progress.Phase,
    ) -> None:
        """Export the students of a slot, some in each Job, one Job after the other."""
        if claims:
            exporter.keep_state(slot, disks[claims[0]])
        common = _exporter.common(self._parameters, rates)
        for number, batch in enumerate(_slots.batches(claims, self._parameters["students_per_job"])):
            for claim in batch:
                phase.started(claim)
            if self._closed:
                self._fail(dict.fromkeys(batch, self._closed))
                for claim in batch:
                    self._outcomes[claim].until = self._until
            else:
                try:
                    exporter.see_going(slot.claim)
                    self._export(exporter, slot, f"{slot.claim}-{number}", batch, disks, shots, common)
                    self._verify(exporter, slot, f"{slot.claim}-{number}", batch, disks, shots, common)
                except CoursehubError as error:
                    # It is of this batch alone: those before it are in Drive.
                    self._fail({claim: error for claim in batch if not self._outcomes[claim].failed})
            for claim in batch:
                (phase.failed if self._outcomes[claim].failed else phase.done)(claim)

    def _export(
        self,
        exporter: _exporting.Exporter,
        slot: _slots.Slot,
        name: str,
        batch: Sequence[str],
        disks: Mapping[str, _disks.Disk],
        shots: Mapping[str, _snapshots.Shot],
        common: Object,
    ) -> None:
        # A consent may be gone since: a pod would wait for its Secret, and the others of the batch with it.
        self._see_secrets(exporter, batch)
        todo = {claim: disks[claim] for claim in batch if EXPORTED in self._outcomes[claim].done}
        if not todo:
            return
        with exporter.clones(todo, shots) as (clones, errors):
            self._fail(errors)
            if not clones:
                return
            good = [claim for claim in todo if claim in clones]
            told = exporter.run(self._task(f"{name}-export", "export", good, common, slot.claim, clones))
        for claim in good:
            self._note_export(disks[claim], shots[claim], told[self._outcomes[claim].student])

    def _see_secrets(self, exporter: _exporting.Exporter, batch: Sequence[str]) -> None:
        absent, wrong = exporter.secrets(self._accounts[claim] for claim in batch)
        bad = {secret: f"{why}: put it there, then {_bulk.AGAIN}" for secret, why in absent.items()} | wrong
        self._fail({claim: bad[secret] for claim in batch if (secret := self._accounts[claim].secret) in bad})

    def _note_export(self, disk: _disks.Disk, shot: _snapshots.Shot, told: Object) -> None:
        outcome = self._outcomes[disk.claim]
        for name in ("files", "bytes", "uploaded_files", "uploaded_bytes", "calls", "problems_count"):
            setattr(outcome, name, int(told.get(name, 0)))
        outcome.problems, outcome.until = list(told.get("problems", ())), str(told.get("until", ""))
        if told["failed"]:
            self._note_failure(disk, told)
            return
        account = self._accounts[disk.claim]
        before = _exports.record_of(disk)
        # The export is the one that was proven then. With look others may have been at work in it since.
        unchanged = told.get("outcome") == "unchanged"
        verified_at = before.verified_at if unchanged and before and not self._parameters["look"] else ""
        gone = ([EXPORTED] if unchanged else []) + ([VERIFIED] if verified_at else [])
        outcome.done = [one for one in outcome.done if one not in gone]
        record = _exports.Record(
            snapshot=shot.name,
            taken=shot.taken.isoformat(timespec="seconds"),
            exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
            account=outcome.account,
            name=account.name,
            folder=self._parameters["folder"],
            files=outcome.files,
            bytes=outcome.bytes,
            problems=outcome.problems_count,
            shape=_exports.shape(self._parameters, account),
            verified_at=verified_at,
        )
        self._keep(disk, record)

    def _note_failure(self, disk: _disks.Disk, told: Object) -> None:
        sentence = str(told["failed"]).removeprefix(f"{disk.student}: ")
        self._fail({disk.claim: sentence})
        # What Drive says to one it would say to the next as well: of a folder or a project that all have, and of the
        # day of the identity that all have. Somebody's own Drive is no matter of the others'.
        treatment, folder = told.get("treatment"), self._parameters["folder"]
        place = treatment == "drive" and (folder or told.get("reason") == "accessNotConfigured")
        if place or (treatment == "day" and self._parameters["owner"] == _accounts.SHARED_DRIVE):
            self._closed, self._until = sentence, str(told.get("until", ""))

    def _verify(
        self,
        exporter: _exporting.Exporter,
        slot: _slots.Slot,
        name: str,
        batch: Sequence[str],
        disks: Mapping[str, _disks.Disk],
        shots: Mapping[str, _snapshots.Shot],
        common: Object,
    ) -> None:
        todo = [claim for claim in batch if self._to_verify(claim)]
        if not todo:
            return
        told = exporter.run(self._task(f"{name}-verify", "verify", todo, common, slot.claim))
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        for claim in todo:
            answer = told[self._outcomes[claim].student]
            self._outcomes[claim].calls += int(answer.get("calls", 0))
            if answer["failed"]:
                self._note_failure(disks[claim], answer)
                continue
            record = _exports.record_of(self._disk_now(disks[claim]))
            if record is not None:
                self._keep(disks[claim], replace(record, verified_at=moment))

    def _to_verify(self, claim: str) -> bool:
        return VERIFIED in self._outcomes[claim].done and not self._outcomes[claim].failed

    def _disk_now(self, disk: _disks.Disk) -> _disks.Disk:
        found = self._course.kube.get("v1", "PersistentVolumeClaim", disk.claim, disk.namespace)
        return _disks.disk(found) if found is not None and _disks.is_disk(found) else disk

    def _keep(self, disk: _disks.Disk, record: _exports.Record) -> None:
        try:
            path = self._course.kube.path("v1", "PersistentVolumeClaim", disk.namespace, disk.claim)
            self._course.kube.merge(path, record.annotation())
        except CoursehubError as error:
            self._fail({disk.claim: f"it is in Drive, and that can't be noted on the disk: {error}"})

    def _task(
        self,
        name: str,
        command: str,
        claims: Sequence[str],
        common: Object,
        state: str = "",
        clones: Mapping[str, str] | None = None,
    ) -> _exporter.Task:
        disks = clones or {}
        people = [_exporter.Person(self._accounts[one], disks.get(one, ""), one in self._new) for one in claims]
        return _exporter.Task(
            name, command, people, common, state, self._parameters["api_address"], self._parameters["priority_class"]
        )

    def _fail(self, errors: Mapping[str, CoursehubError | str]) -> None:
        for claim, error in errors.items():
            self._outcomes[claim].failed, self._outcomes[claim].done = str(error), []


def _is_few(items_left: int | None) -> bool:
    return items_left is not None and items_left < FEW_ITEMS


def _few(items_left: int | None) -> str:
    return f"the shared drive takes only {items_left} more items of 500 000: have another one made, or empty its bin"


def write_report(path: str, outcomes: Sequence[_exports.Outcome]) -> None:
    """Write what became of each student, as JSON, in one step. Raises CoursehubError."""
    text = json.dumps({"students": [vars(one) for one in outcomes]}, indent=1)
    try:
        with open(os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.new", path)
    except OSError as error:
        raise CoursehubError(f"the report can't be written: {error}: set report to a path that can be") from error


def failure(result: Object) -> str:
    """Return the sentence with which the module fails, empty where nothing failed."""
    failed = {one["student"]: one["failed"] for one in result.get("failures", [])}
    return _bulk.summary(failed, result["total"]) if failed else ""
