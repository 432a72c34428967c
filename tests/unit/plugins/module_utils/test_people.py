"""What is to change of users and groups."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _enrolment, _people
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

names = st.sampled_from([f"s{number}" for number in range(8)])
groups = st.sampled_from(["lab1", "lab2", "staff", "administrator"])
memberships = st.dictionaries(names, st.frozensets(groups))
states = st.builds(
    lambda users, more: _people.State(users, frozenset().union(more, *users.values())),
    memberships,
    st.frozensets(groups),
)


@given(states, memberships)
def test_a_plan_that_is_done_leaves_nothing_to_do(now: _people.State, wanted: dict[str, frozenset[str]]) -> None:
    plan = _people.plan(now, wanted, {})
    then = _people.after(now, plan)
    assert _people.plan(then, wanted, {}).empty
    assert all(mine <= then.users[name] for name, mine in wanted.items())
    # Nobody loses anything, and no user goes.
    assert all(mine <= then.users[name] for name, mine in now.users.items())


@given(states, memberships, st.frozensets(groups))
def test_an_exclusive_plan_leaves_others_groups_alone(
    now: _people.State, wanted: dict[str, frozenset[str]], owned: frozenset[str]
) -> None:
    plan = _people.plan(now, wanted, _people.others(now, wanted, owned))
    then = _people.after(now, plan)
    assert now.users.keys() <= then.users.keys()
    for name, mine in then.users.items():
        assert mine & owned == wanted.get(name, frozenset()) & owned
        assert mine - owned == (now.users.get(name, frozenset()) | wanted.get(name, frozenset())) - owned
    assert _people.plan(then, wanted, _people.others(then, wanted, owned)).empty


@given(states, memberships, st.frozensets(groups))
def test_what_is_told_is_what_differs(
    now: _people.State, wanted: dict[str, frozenset[str]], owned: frozenset[str]
) -> None:
    plan = _people.plan(now, wanted, _people.others(now, wanted, owned))
    then = _people.after(now, plan)
    differ = {name for name in then.users if then.users[name] != now.users.get(name)}
    assert {one["student"] for one in _enrolment.outcomes(plan, {})} == differ
    shown = _people.diff(now, plan)
    assert {line.partition(":")[0] for line in shown["after"].splitlines()} == differ
    assert plan.empty == (not differ)


def test_groups_are_made_before_anyone_joins_them() -> None:
    plan = _people.plan(_people.State({}, frozenset({"lab1"})), {"ann": {"lab1", "lab2"}}, {})
    assert (plan.create, plan.new_groups, plan.join) == (["ann"], ["lab2"], {"lab1": ["ann"], "lab2": ["ann"]})


def test_who_is_removed_is_gone() -> None:
    now = _people.State({"ann": frozenset({"lab1"}), "bob": frozenset()}, frozenset({"lab1"}))
    assert _people.diff(now, _people.Plan(remove=["ann"])) == {"before": "ann: lab1\n", "after": ""}


@pytest.mark.parametrize("name", ["ann", "ann@example.org", "o'neil", "d.j", "josé", "李", "x_1-2"])
def test_names_of_people(name: str) -> None:
    assert _people.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "spaces around"),
        (" ann", "spaces around"),
        ("Ann", "write ann"),
        ("ann smith", "has a space"),
        ("ann\tsmith", "invisible character"),
        ("ann\u200b", "invisible character"),
        ("ann\u00a0smith", "has a space"),
        ("ann/../bob", "slash"),
        ("..", "dots"),
        ("a" * 256, "longer than 255"),
        ("jose\u0301", "accents"),
    ],
)
def test_odd_names(name: str, words: str) -> None:
    with pytest.raises(CoursehubError, match=words):
        _people.check_name(name)


USERS: dict[str, Any] = {"ann": {"lab1"}, "bob": {"lab1", "lab2"}, "cid": set()}
NONE: dict[str, Any] = {"students": None, "roster": None, "pattern": None, "group": None}


@pytest.mark.parametrize(
    ("how", "chosen"),
    [
        ({"students": ["bob", "ann", "bob"]}, ["bob", "ann"]),
        ({"group": "lab2"}, ["bob"]),
        ({"pattern": "*n*"}, ["ann"]),
        ({}, ["ann", "bob", "cid"]),
    ],
)
def test_a_choice(how: dict[str, Any], chosen: list[str]) -> None:
    assert _people.choose(USERS, {"lab1", "lab2"}, {**NONE, **how}) == (chosen, [])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"students": ["ann", "bbo"]}, "the hub does not know bbo"),
        ({"group": "lab3"}, "no group 'lab3', it has: lab1, lab2"),
        ({"pattern": "z*"}, r"no user's name is like 'z\*'"),
    ],
)
def test_a_choice_of_nobody(how: dict[str, Any], words: str) -> None:
    with pytest.raises(CoursehubError, match=words):
        _people.choose(USERS, {"lab1", "lab2"}, {**NONE, **how})


def test_a_roster_may_have_those_who_never_came(tmp_path: Any) -> None:
    (tmp_path / "class.csv").write_text("student\nann\nzoe\n", encoding="utf-8")
    choice = _people.choose(USERS, {"lab1"}, {**NONE, "roster": str(tmp_path / "class.csv")})
    assert choice == (["ann"], ["zoe"])
