# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose Google Drive a student's files go to, and as whom; without I/O.

Of a credential only the name of its Secret is known here. The exporter reads it in its pod, from a file.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _names
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import ROSTER_COLUMN
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

SHARED_DRIVE, DELEGATION, CONSENT = "shared_drive", "delegation", "consent"
OWNERS = (SHARED_DRIVE, DELEGATION, CONSENT)
CONSENT_PREFIX = "drive-consent-"
# On the Secrets that hold what students have consented to, to find them by.
CONSENT_LABEL = "coursehub.jupyterhub/drive-consent"
# The file in a Secret.
KEY = "key.json"

Columns = Mapping[str, Mapping[str, str]]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "owner": {"type": "str", "choices": list(OWNERS), "required": True},
    # A Secret's name, no secret.
    "credentials_secret": {"type": "str", "no_log": False},
    "folder": {"type": "str", "default": ""},
    "subject": {"type": "str"},
    "name": {"type": "str", "default": "{student}"},
    "project_units_per_minute": {"type": "float", "default": 1_000_000},
    "identity_units_per_minute": {"type": "float", "default": 325_000},
    "workload_identity_audience": {"type": "str", "default": ""},
    "api_address": {"type": "str", "default": ""},
}


@dataclass(frozen=True)
class Account:
    """Where one student's export goes: by which Secret, as which user (empty: the credential's own), called what."""

    student: str
    secret: str
    subject: str
    name: str

    @property
    def identity(self) -> tuple[str, str]:
        """What Drive counts limits for."""
        return self.secret, self.subject


def consent_name(student: str) -> str:
    """Return the name of the Secret with what a student has consented to."""
    return f"{CONSENT_PREFIX}{_names.slug(student)}"


def check(parameters: Mapping[str, Any]) -> None:
    """Raise CoursehubError for parameters of which one wants another, before the cluster is asked for anything."""
    owner = parameters["owner"]
    named = ("credentials_secret", "folder", "subject", "workload_identity_audience")
    given = {name for name in named if parameters.get(name)}
    needed = {
        SHARED_DRIVE: {"credentials_secret": "the Secret with the service account's key", "folder": "the drive's id"},
        DELEGATION: {
            "credentials_secret": "the Secret with the service account's key",
            "subject": "how students' addresses are made, as in '{student}@uni.example'",
        },
        CONSENT: {},
    }
    unwanted = {SHARED_DRIVE: {"subject"}, DELEGATION: set(), CONSENT: {*named} - {"folder"}}
    for name, what in needed[owner].items():
        if name not in given:
            raise CoursehubError(f"owner {owner} needs {name}, {what}: set it")
    for name in sorted(unwanted[owner] & given):
        raise CoursehubError(f"owner {owner} has no use for {name}: leave it out, or set another owner")


def wanted_columns(parameters: Mapping[str, Any]) -> set[str]:
    """Return the columns of the roster that the templates name. Raises CoursehubError for a bad template."""
    named = {
        column
        for option in ("subject", "name")
        for column in _fields(option, parameters.get(option) or "")
        if column != ROSTER_COLUMN
    }
    if named and not parameters.get("roster"):
        raise CoursehubError(
            f"subject or name has {{{sorted(named)[0]}}}, a column of a roster, and none is given: choose the students"
            " by roster, or use {student} alone"
        )
    return named


def accounts(students: Iterable[str], parameters: Mapping[str, Any], columns: Columns) -> dict[str, Account]:
    """Return each student's account. ``columns`` has the roster's line of each student.

    Raises CoursehubError with a sentence for each student who has none, or whose export would be called as another's.
    """
    found: dict[str, Account] = {}
    problems: list[str] = []
    taken: dict[tuple[str | tuple[str, str], str], str] = {}
    for student in students:
        try:
            account = _account(student, parameters, columns.get(student, {}))
        except CoursehubError as error:
            problems.append(str(error))
            continue
        place = (parameters.get("folder") or account.identity, account.name)
        if place in taken:
            problems.append(
                f"{student}: the export would be called '{account.name}' as that of {taken[place]} is, in the same"
                " folder: put {student} into name"
            )
            continue
        taken[place] = student
        found[student] = account
    if problems:
        raise CoursehubError("; ".join(problems))
    return found


def _account(student: str, parameters: Mapping[str, Any], line: Mapping[str, str]) -> Account:
    values = {**line, ROSTER_COLUMN: student}
    subject = _filled("subject", parameters.get("subject") or "", student, values)
    if subject and subject.count("@") != 1:
        raise CoursehubError(f"{student}: the account '{subject}' is no address: correct subject or the roster")
    owner = parameters["owner"]
    secret = consent_name(student) if owner == CONSENT else parameters["credentials_secret"]
    return Account(student, secret, subject, _filled("name", parameters["name"], student, values))


def _filled(option: str, template: str, student: str, values: Mapping[str, str]) -> str:
    words = []
    for text, column, _form, _conversion in string.Formatter().parse(template):
        words.append(text)
        if column is not None:
            value = (values.get(column) or "").strip()
            if not value:
                raise CoursehubError(f"{student}: the roster has no '{column}', which {option} wants: write it there")
            words.append(value)
    return "".join(words)


def _fields(option: str, template: str) -> list[str]:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise CoursehubError(
            f"{option} is '{template}', which is no template ({error}): write as {{student}}"
        ) from None
    for _text, column, form, conversion in parsed:
        if column is not None and (not column or form or conversion or not column.replace("_", "a").isalnum()):
            raise CoursehubError(f"{option} is '{template}': between braces stands 'student' or a roster's column")
    return [column for _text, column, _form, _conversion in parsed if column is not None]
