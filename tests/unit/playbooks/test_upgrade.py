"""The way back of an upgrade: what is done in which order, and what only where the database has moved."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jinja2 import Environment

from tests.unit.paths import ROOT

Task = dict[str, Any]


def read(playbook: str) -> list[Task]:
    (play,) = yaml.safe_load((ROOT / "playbooks" / playbook).read_text(encoding="utf-8"))
    return list(play["tasks"])


def entry(task: Task) -> tuple[str, str] | None:
    """Return the role and the tasks of it that a task includes."""
    for word in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
        if word in task:
            return task[word]["name"].rpartition(".")[2], task[word].get("tasks_from", "main")
    return None


def at(tasks: list[Task], name: str) -> int:
    return [task["name"] for task in tasks].index(name)


@pytest.fixture
def upgrade() -> list[Task]:
    return read("upgrade.yml")


@pytest.fixture
def back(upgrade: list[Task]) -> list[Task]:
    return list(next(task["rescue"] for task in upgrade if "rescue" in task))


def holds(when: str | list[str], **known: Any) -> bool:
    """Tell whether a task's conditions hold, each of which must be true or false and nothing else."""
    results = [
        Environment(autoescape=True).compile_expression(one)(**known)
        for one in ([when] if isinstance(when, str) else when)
    ]
    assert all(isinstance(one, bool) for one in results), results
    return all(results)


def test_a_snapshot_is_taken_before_and_old_ones_go_only_after_it_went_well(upgrade: list[Task]) -> None:
    entries = [entry(task) for task in upgrade]
    (change,) = [number for number, task in enumerate(upgrade) if "rescue" in task]
    assert entries.index(("hub", "backup")) < change
    assert entries.index(("hub", "thin")) > change
    # Which a run that was taken back never comes to.
    assert "ansible.builtin.fail" in upgrade[change]["rescue"][-1]


def test_the_database_is_put_back_before_the_hub_of_before_is_started_on_it(back: list[Task]) -> None:
    order = [
        "Go back to what was there",
        "Wait until the hub of before is rolled out",
        "Wait until the newer hub is gone",
        "Ask the hub by the way that students take",
        "Know whether the hub of before knows its database",
        "Put the database back as it was",
        "Ask the hub once more",
    ]
    assert sorted(at(back, name) for name in order) == [at(back, name) for name in order]
    restore, start = back[at(back, "Put the database back as it was")]["block"]
    assert entry(restore) == ("hub", "restore")
    assert start["coursehub.jupyterhub.manifests"]["part"] == "hub"


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "external"])
@pytest.mark.parametrize("found", [{"skipped": True}, {"newer": ""}, {"newer": "a newer schema, ffff"}])
def test_only_where_it_has_moved_and_never_one_outside(back: list[Task], database: str, found: dict[str, Any]) -> None:
    moved = bool(found.get("newer"))
    known = {"coursehub_database": database, "_upgrade_database": found}
    refuse, restore = at(back, "Tell what to do with a database outside"), at(back, "Put the database back as it was")
    refused = holds(back[refuse]["when"], **known)
    assert refused == (moved and database == "external")
    # Who is refused does not come to what is after it.
    assert refuse < restore
    assert holds(back[restore]["when"], **known) == moved
    assert "pg_restore --clean" in back[refuse]["ansible.builtin.fail"]["msg"]


def test_a_hub_that_answers_is_not_asked_and_one_that_does_not_is_no_end(back: list[Task]) -> None:
    for name in ("Wait until the hub of before is rolled out", "Wait until the newer hub is gone"):
        assert back[at(back, name)]["failed_when"] is False
    assert back[at(back, "Ask the hub by the way that students take")]["ignore_errors"] is True
    assert back[at(back, "Know whether the hub of before knows its database")]["when"] == "_upgrade_answer is failed"
    # Nor is the last answer, which a sentence of our own tells of.
    assert back[at(back, "Ask the hub once more") + 1]["when"] == "_upgrade_answer is failed"


def test_a_newer_hub_that_is_ending_is_not_taken_for_the_one_of_before(back: list[Task]) -> None:
    """One that is told to end is of no roll-out any more, and answers for a moment."""
    wait = back[at(back, "Ask the hub by the way that students take") - 1]
    assert wait["coursehub.jupyterhub.hub_database_info"]["wait_timeout"] > 30


def test_who_must_put_it_back_by_hand_is_told_how(back: list[Task]) -> None:
    (tell,) = back[at(back, "Put the database back as it was")]["rescue"]
    said = tell["ansible.builtin.fail"]["msg"]
    assert "playbook restore_hub" in said
    assert "coursehub_hub_database_snapshot={{ _hub_database_snapshot }}" in said
    assert (ROOT / "playbooks/restore_hub.yml").exists()


def test_by_hand_the_hub_is_started_after_its_database_is_back() -> None:
    entries = [entry(task) for task in read("restore_hub.yml")]
    assert entries.index(("hub", "restore")) < entries.index(("hub", "main")) < entries.index(("proxy", "ready"))
