"""Whose Drive, and as whom."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

USUAL = {"owner": "shared_drive", "credentials_secret": "s", "folder": "0A", "name": "{student}"}
NAMES = st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip), unique=True, max_size=20)


def made(*students: str, columns: Any = None, **more: Any) -> dict[str, _accounts.Account]:
    return _accounts.accounts(students, {**USUAL, **more}, columns or {})


@given(students=NAMES, text=st.text(st.characters(exclude_characters="{}"), max_size=5))
def test_no_two_are_called_the_same(students: list[str], text: str) -> None:
    students = list({student.strip(): None for student in students})
    found = made(*students, name=f"{text}{{student}}")
    assert len({account.name for account in found.values()}) == len(students)
    assert all(found[student].name == f"{text}{student}" for student in students)


@given(students=NAMES)
def test_each_who_consents_has_a_secret_of_their_own(students: list[str]) -> None:
    students = list({student.strip(): None for student in students})
    found = made(*students, owner="consent", name="export", folder="")
    assert len({account.identity for account in found.values()}) == len(students)


def test_an_account_is_made_of_the_roster() -> None:
    lines = {"ann": {"student": "ann", "email": "a.b@uni.example", "group": "3"}}
    account = made("ann", columns=lines, owner="delegation", subject="{email}", name="{group}-{student}")["ann"]
    assert (account.subject, account.name) == ("a.b@uni.example", "3-ann")
    assert made("bob", owner="delegation", subject="{student}@uni.example")["bob"].subject == "bob@uni.example"


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            {"owner": "delegation", "subject": "{email}"},
            "ann: the roster has no 'email'.*; bob: the roster has no 'email'",
        ),
        ({"owner": "delegation", "subject": "{student}"}, "ann: the account 'ann' is no address"),
        ({"name": "homes"}, "bob: the export would be called 'homes' as that of ann is"),
    ],
)
def test_each_student_without_an_account_is_named(more: Any, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        made("ann", "bob", **more)


@pytest.mark.parametrize("template", ["{", "{}", "{student!r}", "{student:9}", "{student.x}", "{student[0]}", "}"])
def test_a_template_is_of_columns_alone(template: str) -> None:
    with pytest.raises(CoursehubError, match="name is"):
        _accounts.wanted_columns({"name": template})


def test_columns_need_a_roster() -> None:
    assert _accounts.wanted_columns({"name": "{student}-{group}", "roster": "r.csv"}) == {"group"}
    with pytest.raises(CoursehubError, match="choose the students by roster"):
        _accounts.wanted_columns({"name": "{group}"})


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"owner": "consent"}, "has no use for credentials_secret"),
        ({"subject": "{student}@a.example"}, "has no use for subject"),
        (
            {"owner": "consent", "credentials_secret": None, "workload_identity_audience": "https://a.example"},
            "has no use for workload_identity_audience",
        ),
        ({"folder": ""}, "needs folder"),
        ({"owner": "delegation"}, "needs subject"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(more: Any, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _accounts.check({**USUAL, **more})
