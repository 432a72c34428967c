# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks Drive, before the first clone is made, whether it will take the exports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _course,
    _export_outcomes,
    _export_tasks,
    _exporter,
    _exporter_jobs,
    _exports,
    _slots,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]


def let_in(
    course: _course.Course,
    jobs: _exporter_jobs.Jobs,
    tasks: _export_tasks.Tasks,
    outcomes: _export_outcomes.Outcomes,
    claims: Iterable[str],
    at_once: int,
) -> None:
    """See whether Drive lets each identity in, and fail those of whom it does not. Each is asked about once."""
    accounts = {claim: tasks.accounts[claim] for claim in claims}
    people: dict[tuple[str, str], str] = {}
    for claim, account in accounts.items():
        people.setdefault(account.identity, claim)
    lists = dict(enumerate(_slots.batches(list(people.values()), _exporter.MOST_TOGETHER)))

    def one(number: int) -> dict[str, Object]:
        return jobs.run(tasks.task(f"drive-check-{number}", "check", lists[number]))

    told, errors = course.each("asking Drive", lists, one, at_once)
    wrong: dict[tuple[str, str], str] = {}
    for number, asked in lists.items():
        for claim in asked:
            account = accounts[claim]
            answer = {"failed": str(errors[number])} if number in errors else told[number][account.student]
            if answer["failed"]:
                # It is said of each student who has the identity, by the student's own name.
                wrong[account.identity] = str(answer["failed"]).removeprefix(f"{account.student}: ")
    outcomes.fail({claim: wrong[one.identity] for claim, one in accounts.items() if one.identity in wrong})


def items_left(jobs: _exporter_jobs.Jobs, tasks: _export_tasks.Tasks, good: list[str]) -> int:
    """Return how many items the shared drive of these still takes. Raises CoursehubError where those are too few."""
    student = tasks.accounts[good[0]].student
    told = jobs.run(tasks.task("drive-count", "count", good[:1]))[student]
    if told["failed"]:
        raise CoursehubError(f"the shared drive's items can't be counted: {told['failed']}")
    left = int(told["items_left"])
    _exports.see_room(left, sum(claim in tasks.new for claim in good))
    return left
