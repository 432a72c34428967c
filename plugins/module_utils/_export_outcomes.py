# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of each student in a run of exports, by the claim of the disk; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _disks, _exports, _snapshots
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

EXPORTED, VERIFIED = "exported", "verified"
# The exporter's reason where its own count of the day's bytes has no room; Drive may take more.
OUR_COUNT = "dayShareSpent"
# What Drive says of the Google Cloud project, which all students have, whoever owns the files.
OF_THE_PROJECT = ("accessNotConfigured", "dailyLimitExceeded")
_COUNTS = ("files", "bytes", "uploaded_files", "uploaded_bytes", "calls", "problems_count")


class Outcomes:
    """What is to be done for each, and then what was. Threads share it, each for students of its own."""

    def __init__(self, parameters: Mapping[str, Any], accounts: Mapping[str, _accounts.Account]) -> None:
        self._parameters = parameters
        self._accounts = accounts
        self._outcomes: dict[str, _exports.Outcome] = {}
        # What Drive has said to one student and would say to all: that it takes no more today, or nothing there.
        self._closed = ""
        self._until = ""
        # By claim, of whom the exporter said that its share of the day is used up: a share is a slot's.
        self._spent: dict[str, tuple[str, str]] = {}

    def __getitem__(self, claim: str) -> _exports.Outcome:
        return self._outcomes[claim]

    def all(self) -> list[_exports.Outcome]:
        """Return all of them."""
        return list(self._outcomes.values())

    def plan(self, disks: Mapping[str, _disks.Disk], shots: Mapping[str, _snapshots.Shot]) -> None:
        """Note what is to be done for each disk. One without a snapshot has its own still to be taken."""
        again = self._parameters["look"] or self._parameters["checksum"]
        for claim, disk in disks.items():
            account = self._accounts[claim]
            name = shots[claim].name if claim in shots else ""
            done = _exports.steps(disk, name, self._shape(account), again=again, verify=self._parameters["verify"])
            self._outcomes[claim] = _exports.Outcome(
                disk.student, claim, account.subject or account.secret, account.name, name, done
            )

    def _shape(self, account: _accounts.Account) -> str:
        return _exports.shape(self._parameters, account)

    def took(self, shots: Mapping[str, _snapshots.Shot]) -> None:
        """Note the snapshots that were taken for this."""
        for claim, shot in shots.items():
            self._outcomes[claim].snapshot, self._outcomes[claim].took = shot.name, True

    def fail(self, errors: Mapping[str, CoursehubError | str]) -> None:
        """Note why something failed, by claim."""
        for claim, error in errors.items():
            self._outcomes[claim].failed, self._outcomes[claim].done = str(error), []

    def fail_others(self, claims: Iterable[str], error: CoursehubError) -> None:
        """Note an error for those that have not failed for another one."""
        self.fail(dict.fromkeys(self.good(claims), error))

    def good(self, claims: Iterable[str]) -> list[str]:
        """Return those of the claims that have not failed."""
        return [claim for claim in claims if not self._outcomes[claim].failed]

    def to_do(self, what: str, claims: Iterable[str]) -> list[str]:
        """Return those of the claims of which this is to be done."""
        return [claim for claim in claims if what in self._outcomes[claim].done]

    def leave_out(self, claims: Iterable[str], slot: Iterable[str] = ()) -> bool:
        """Fail these where what was said to another one would be said to them; tell whether it is so.

        Drive's own word is for all. That a share of the day's bytes is used up is for those of its ``slot``.
        """
        closed, until = self._closed, self._until
        spent = next((self._spent[claim] for claim in slot if claim in self._spent), None)
        if not closed and spent is not None:
            closed, until = spent
        if not closed:
            return False
        for claim in claims:
            self.fail({claim: closed})
            self._outcomes[claim].until = until
        return True

    def exported(self, disk: _disks.Disk, shot: _snapshots.Shot, told: Object, now: datetime) -> _exports.Record | None:
        """Note what the exporter told of a disk; return the record of the export where it is a good one."""
        outcome = self._outcomes[disk.claim]
        for name in _COUNTS:
            setattr(outcome, name, int(told.get(name, 0)))
        outcome.problems, outcome.until = list(told.get("problems", ())), str(told.get("until", ""))
        if told["failed"]:
            self._refused(disk, told)
            return None
        account = self._accounts[disk.claim]
        before = _exports.record_of(disk)
        # Unchanged is against the exporter's last run, of which we may have heard nothing: a proof is of one list. With
        # look others may have been at work in the export since.
        list_md5, unchanged = str(told.get("list_md5") or ""), told.get("outcome") == "unchanged"
        proven = before is not None and unchanged and list_md5 != "" and list_md5 == before.list_md5
        verified_at = before.verified_at if before is not None and proven and not self._parameters["look"] else ""
        gone = ([EXPORTED] if unchanged else []) + ([VERIFIED] if verified_at else [])
        outcome.done = [one for one in outcome.done if one not in gone]
        taken, shape = shot.taken.isoformat(timespec="seconds"), self._shape(account)
        # What waits for a day with more room is tried until there is one.
        again = told.get("put_off_files") or _exports.may_pass(outcome.problems_count, taken, shape, before)
        return _exports.Record(
            snapshot="" if again else shot.name,
            taken=taken,
            exported_at=now.isoformat(timespec="seconds"),
            account=outcome.account,
            name=account.name,
            folder=self._parameters["folder"],
            files=outcome.files,
            bytes=outcome.bytes,
            problems=outcome.problems_count,
            shape=shape,
            verified_at=verified_at,
            list_md5=list_md5,
        )

    def verified(self, disk: _disks.Disk, told: Object) -> bool:
        """Note what the exporter told of a proof; tell whether it is one."""
        self._outcomes[disk.claim].calls += int(told.get("calls", 0))
        if told["failed"]:
            self._refused(disk, told)
        outcome = self._outcomes[disk.claim]
        outcome.problems = [*outcome.problems, *told.get("problems", ())]
        outcome.problems_count += int(told.get("problems_count", 0))
        return not told["failed"]

    def _refused(self, disk: _disks.Disk, told: Object) -> None:
        sentence = str(told["failed"]).removeprefix(f"{disk.student}: ")
        self.fail({disk.claim: sentence})
        # What Drive says to one it would say to the next as well: of a folder or a project that all have, and of the
        # day of the identity that all have. Somebody's own Drive is no matter of the others'.
        treatment, reason = told.get("treatment"), told.get("reason")
        one_account = self._parameters["owner"] == _accounts.SHARED_DRIVE
        if reason == OUR_COUNT:
            if one_account:
                self._spent[disk.claim] = sentence, str(told.get("until", ""))
            return
        place = treatment == "drive" and self._parameters["folder"]
        if reason in OF_THE_PROJECT or place or (treatment == "day" and one_account):
            self._closed, self._until = sentence, str(told.get("until", ""))
