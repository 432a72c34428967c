# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What exports want of the cluster, looked for before anything is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import (
    _accounts,
    _bulk,
    _course,
    _disks,
    _exporter,
)
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def check_priority(course: _course.Course, name: str, jobs: int) -> None:
    """See that there is a PriorityClass of a name, or none is asked for, and room for so many Jobs at once: without
    them no pod of a Job would be made.

    The role makes it with its quota, and the network policy that lets the Jobs out. Raises CoursehubError.
    """
    if not name:
        return
    if course.kube.get("scheduling.k8s.io/v1", "PriorityClass", name) is None:
        raise CoursehubError(
            f"there is no PriorityClass {name}: set coursehub_drive_export_owner in the inventory and run the"
            " playbook site, which makes it, or leave out priority_class"
        )
    quota = course.kube.get("v1", "ResourceQuota", _exporter.QUOTA, course.namespace) or {}
    # One of them is for a pod that is about to be gone.
    room = int(quota.get("spec", {}).get("hard", {}).get("pods", jobs + 1)) - 1
    if jobs > room:
        raise CoursehubError(
            f"concurrency is {jobs}, and the quota {_exporter.QUOTA} of {course.namespace} has room for {room}: set"
            " coursehub_drive_export_concurrency in the inventory and run the playbook site, or lower it"
        )


def check_account(course: _course.Course, audience: str) -> None:
    """See that there is the account of which pods have a token in the place of a key, where that is asked for: without
    it no pod of a Job would be made. Raises CoursehubError.
    """
    if audience and course.kube.get("v1", "ServiceAccount", _exporter.ACCOUNT, course.namespace) is None:
        raise CoursehubError(
            f"there is no ServiceAccount {_exporter.ACCOUNT} in {course.namespace}, which workload_identity_audience"
            " wants: set coursehub_drive_export_workload_identity_audience in the inventory and run the playbook site,"
            " which makes it"
        )


def secrets(course: _course.Course, accounts: Iterable[_accounts.Account]) -> tuple[dict[str, str], dict[str, str]]:
    """Return which Secrets of accounts are not there, and what is wrong with others, in sentences by Secret.

    Nothing of their content is kept.
    """
    wanted = dict.fromkeys(account.secret for account in accounts)
    found, errors = _bulk.each(wanted, lambda name: course.kube.get("v1", "Secret", name, course.namespace))
    absent = {name: f"there is no Secret {name} in {course.namespace}" for name, item in found.items() if not item}
    wrong = {
        name: f"the Secret {name} can't be looked at: {error}: let this account get it, then {_bulk.AGAIN}"
        for name, error in errors.items()
    }
    wrong |= {
        name: f"the Secret {name} has no {_accounts.KEY}: put what Google gave you there under this name"
        for name, item in found.items()
        if item and _accounts.KEY not in (item.get("data") or {})
    }
    return absent, wrong


def with_credentials(
    course: _course.Course,
    parameters: Mapping[str, Any],
    disks: Sequence[_disks.Disk],
    accounts: Mapping[str, _accounts.Account],
) -> tuple[dict[str, _disks.Disk], list[str], dict[str, str]]:
    """Return the disks whose Secrets are there, by claim, the students who have not consented, and what is wrong
    with other Secrets, by claim.

    That some have not consented is usual, so only one who is named is refused. Raises CoursehubError.
    """
    absent, wrong = secrets(course, (accounts[disk.student] for disk in disks))
    no_key = [f"{why}: put the service account's key there" for why in absent.values()] + list(wrong.values())
    if no_key and parameters["owner"] != _accounts.CONSENT:
        raise CoursehubError("; ".join(no_key))
    by_student = {disk.student: accounts[disk.student].secret for disk in disks}
    lacking = {student: absent[secret] for student, secret in by_student.items() if secret in absent}
    if lacking and parameters["students"]:
        raise CoursehubError(
            "; ".join(f"{student}: {reason}: ask the student to consent" for student, reason in lacking.items())
        )
    there = {disk.claim: disk for disk in disks if disk.student not in lacking}
    problems = {disk.claim: wrong[by_student[disk.student]] for disk in disks if by_student[disk.student] in wrong}
    return there, sorted(lacking), problems
