"""What is refused before the hub is asked, and what is planned."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _people
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import hub_server, hub_user

PARAMETERS: dict[str, Any] = {"users": ["ann"], "state": "present", "groups": [], "leave_groups": [], "admin": None}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"users": ["Ann"]}, "write ann"),
        ({"groups": ["lab1"], "leave_groups": ["lab1"]}, "both have lab1"),
        ({"groups": ["administrator"]}, "is set by admin"),
        ({"groups": ["lab/1"]}, "slash"),
        ({"state": "absent", "groups": ["lab1"]}, "nobody for groups"),
        ({"state": "absent", "admin": True}, "nobody for groups or admin"),
    ],
)
def test_what_makes_no_sense(more: dict[str, Any], words: str) -> None:
    with pytest.raises(CoursehubError, match=words):
        hub_user.check({**PARAMETERS, **more})


def test_whether_someone_is_an_administrator_stays_where_it_is_not_said() -> None:
    now = _people.State({"ann": frozenset({"administrator"})}, frozenset({"administrator"}))
    assert hub_user.plan(now, PARAMETERS).empty
    assert hub_user.plan(now, {**PARAMETERS, "admin": True}).empty
    assert hub_user.plan(now, {**PARAMETERS, "admin": False}).leave == {"administrator": ["ann"]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "none of them is set"),
        ({"students": ["ann"], "group": "lab1"}, "students and group is set"),
        ({"students": ["ann"], "concurrency": 0}, "concurrency is 0"),
    ],
)
def test_a_choice_that_is_none(more: dict[str, Any], words: str) -> None:
    with pytest.raises(CoursehubError, match=words):
        hub_server.check({"concurrency": 10, **more})
