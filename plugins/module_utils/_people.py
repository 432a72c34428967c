# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is at the hub and in which groups, and what is to change of that; without I/O.

Roles are groups: the hub's configuration gives the members of a group what its role may do (``images/hub``), so who has
which role is changed like any other membership, and the hub is not started anew for it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disks, _names
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Object = dict[str, Any]

# The role whose members may do everything; the hub's configuration has it always.
ADMINISTRATOR = "administrator"
# What a roster calls those who have no role.
STUDENT = "student"
# JupyterHub keeps names in 255 characters.
LONGEST = 255
# How the hub's users are chosen; students' disks can be chosen by labels too.
SELECTION_ARGUMENTS: dict[str, dict[str, Any]] = {
    "students": {"type": "list", "elements": "str"},
    "roster": {"type": "path"},
    "pattern": {"type": "str"},
    "group": {"type": "str"},
    "all_students": {"type": "bool", "default": False},
}


@dataclass(frozen=True)
class State:
    """What the hub has: the groups of each user, and all groups, also those that nobody is in."""

    users: Mapping[str, Set[str]]
    groups: Set[str]


@dataclass(frozen=True)
class Plan:
    """What is to be done, in this order. ``join`` and ``leave`` have users by group."""

    create: Sequence[str] = ()
    new_groups: Sequence[str] = ()
    join: Mapping[str, Sequence[str]] = field(default_factory=dict)
    leave: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remove: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        return not (self.create or self.new_groups or self.join or self.leave or self.remove)


def check_name(name: str) -> str:
    """Return a user's name. Raises CoursehubError for one that the hub would not take, or would write otherwise."""
    _names.check(name)
    trouble = _trouble(name)
    if set(name) == {"."}:
        trouble = "is nothing but dots, which is no name in an address"
    if trouble or any(character.isspace() for character in name):
        raise CoursehubError(
            f"the student '{name}' {trouble or 'has a space in the name'}: write the name as the login gives it"
        )
    return name


def check_group(name: str) -> str:
    """Return a group's name. Raises CoursehubError for one that the hub could not be asked for."""
    trouble = "has spaces around it" if name != name.strip() else _trouble(name)
    if trouble or not name:
        raise CoursehubError(f"the group '{name}' {trouble or 'has no name'}: choose another name")
    return name


def _trouble(name: str) -> str:
    if "/" in name:
        return "has a slash in it, which the hub does not take"
    if len(name) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if any(unicodedata.category(character).startswith("C") for character in name):
        return "has an invisible character in it"
    return "" if name == unicodedata.normalize("NFC", name) else "has accents apart from their letters"


def looks_like(name: str) -> str:
    """Return what names have in common that a person takes for the same: case, width and accents' spelling."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def state(users: Iterable[Object], groups: Iterable[str]) -> State:
    """Return what the hub tells."""
    return State({user["name"]: frozenset(user.get("groups") or ()) for user in users}, frozenset(groups))


def plan(now: State, wanted: Mapping[str, Set[str]], unwanted: Mapping[str, Set[str]]) -> Plan:
    """Return what makes everyone of ``wanted`` a user in at least these groups, and nobody of ``unwanted`` a member of
    these; who is not there is in none.
    """
    join: dict[str, list[str]] = {}
    leave: dict[str, list[str]] = {}
    for name in sorted(wanted):
        for group in wanted[name] - now.users.get(name, frozenset()):
            join.setdefault(group, []).append(name)
    for name in sorted(unwanted):
        for group in unwanted[name] & now.users.get(name, frozenset()):
            leave.setdefault(group, []).append(name)
    return Plan(
        create=sorted(wanted.keys() - now.users.keys()),
        new_groups=sorted(join.keys() - now.groups),
        join=dict(sorted(join.items())),
        leave=dict(sorted(leave.items())),
    )


def others(now: State, wanted: Mapping[str, Set[str]], groups: Set[str]) -> dict[str, Set[str]]:
    """Return the members of groups, users with the groups, that nothing of ``wanted`` says."""
    found = {name: (mine & groups) - wanted.get(name, frozenset()) for name, mine in now.users.items()}
    return {name: mine for name, mine in found.items() if mine}


def after(now: State, what: Plan) -> State:
    """Return what the hub has when a plan is done."""
    users = {**now.users, **{name: frozenset() for name in what.create}}
    for group, names in what.join.items():
        users.update({name: users[name] | {group} for name in names})
    for group, names in what.leave.items():
        users.update({name: users[name] - {group} for name in names})
    return State(
        {name: groups for name, groups in users.items() if name not in set(what.remove)},
        now.groups | set(what.new_groups),
    )


def diff(now: State, what: Plan) -> dict[str, str]:
    """Return what a plan changes: one line for each user who is not what they were."""
    then = after(now, what)
    names = sorted(name for name in now.users.keys() | then.users.keys() if now.users.get(name) != then.users.get(name))
    return {"before": _lines(now, names), "after": _lines(then, names)}


def _lines(one: State, names: Iterable[str]) -> str:
    return "".join(
        f"{name}: {', '.join(sorted(one.users[name])) or 'in no group'}\n" for name in names if name in one.users
    )


def choose(
    users: Mapping[str, Set[str]], groups: Set[str], parameters: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return the users that the parameters choose, and those of a roster whom the hub does not know yet.

    Raises CoursehubError for one who is named and is no user, a group that is none, and a pattern that nobody has.
    """
    if parameters.get("roster") or parameters.get("students"):
        roster = parameters.get("roster")
        named = _disks.read_roster(roster) if roster else list(dict.fromkeys(parameters["students"]))
        unknown = [name for name in named if name not in users]
        if unknown and not roster:
            raise CoursehubError(
                f"the hub does not know {', '.join(unknown)}: check the spelling, or make them users by the playbook"
                " roster or the module hub_user"
            )
        return [name for name in named if name in users], unknown
    names = sorted(users)
    if parameters.get("group"):
        if parameters["group"] not in groups:
            raise CoursehubError(
                f"the hub has no group '{parameters['group']}', it has: {', '.join(sorted(groups)) or 'none'}"
            )
        names = [name for name in names if parameters["group"] in users[name]]
    if parameters.get("pattern"):
        names = [name for name in names if fnmatchcase(name, parameters["pattern"])]
        if not names:
            raise CoursehubError(f"no user's name is like '{parameters['pattern']}'")
    return names, []
