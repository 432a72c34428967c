"""What the role autoscaler includes."""

from __future__ import annotations

import jinja2
import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.test import core as tests_of_ansible

from tests.unit.paths import ROOT

TASKS = ROOT / "roles/autoscaler/tasks"


@pytest.mark.parametrize(
    ("engine", "state", "file"),
    [
        ("karpenter", "present", "present"),
        ("karpenter", "absent", "absent"),
        ("none", "absent", "absent"),
        # Switched off again: what is there would go on keeping seats warm.
        ("none", "present", "absent"),
    ],
)
def test_without_an_engine_nothing_is_left(engine: str, state: str, file: str) -> None:
    make = yaml.safe_load((TASKS / "main.yml").read_text(encoding="utf-8"))[-1]
    assert "when" not in make
    included = jinja2.Template(make["ansible.builtin.include_tasks"]["file"])
    assert included.render(coursehub_autoscaler_engine=engine, coursehub_state=state) == f"{file}.yml"
    assert (TASKS / f"{file}.yml").exists()


@pytest.mark.parametrize(
    ("machine", "locations", "zones", "same"),
    [
        ("n2-highmem-2", ["b", "a"], ["a", "b"], True),
        ("n2-highmem-2", ["a", "b"], [], True),
        ("n2-highmem-2", ["a"], ["a", "b"], False),
        ("e2-small", ["a"], ["a"], False),
    ],
)
def test_a_pool_of_googles_that_is_another_one_is_refused(
    machine: str, locations: list[str], zones: list[str], same: bool
) -> None:
    tasks = yaml.safe_load((TASKS / "gke.yml").read_text(encoding="utf-8"))
    names = [next(key for key in task if key.startswith("ansible.")) for task in tasks]
    # Before anything is changed, and after the cluster was looked at.
    assert names.index("ansible.builtin.assert") == 1
    told = {
        "_autoscaler_found": [{"config": {"machineType": machine}, "locations": locations}],
        "coursehub_autoscaler_machine": {"type": "n2-highmem-2"},
        "coursehub_autoscaler_zones": zones,
    }
    that = tasks[1]["ansible.builtin.assert"]["that"]
    assert all(jinja2.Environment(autoescape=True).compile_expression(one)(**told) for one in that) == same


def test_nothing_waits_for_what_waits_for_room_and_it_goes_with_the_role() -> None:
    (keep,) = [
        task["coursehub.jupyterhub.manifests"]
        for task in yaml.safe_load((TASKS / "present.yml").read_text(encoding="utf-8"))
        if task.get("coursehub.jupyterhub.manifests", {}).get("part") == "unpacked"
    ]
    # On a node that is full its pod waits until somebody goes.
    assert keep["wait"] is False
    (remove,) = yaml.safe_load((TASKS / "absent.yml").read_text(encoding="utf-8"))
    assert keep["part"] in remove["loop"]


@pytest.mark.parametrize(
    ("page", "allowed", "made"),
    [
        ("/var/lib/coursehub-usage/usage.html", True, True),
        # Whose mode is not ours: the file module would take the sticky bit off.
        ("/tmp/usage.html", True, False),
        ("~/usage.html", True, False),
        ("usage.html", False, False),
    ],
)
def test_a_page_changes_no_folder_of_others(page: str, allowed: bool, made: bool) -> None:
    check, _count, folder, _write, _tell = yaml.safe_load((TASKS / "usage.yml").read_text(encoding="utf-8"))
    environment = jinja2.Environment(autoescape=True)
    environment.filters.update(FilterModule().filters())
    environment.tests.update(tests_of_ansible.TestModule().tests())
    told = {"coursehub_autoscaler_usage_page": page, "_autoscaler_usage_folder": "/var/lib/coursehub-usage"}
    assert folder["ansible.builtin.file"]["path"] == "{{ _autoscaler_usage_folder }}"
    asked = check["ansible.builtin.assert"]["that"], folder["when"]
    assert [environment.compile_expression(one)(**told) for one in asked] == [allowed, made]


def test_the_page_is_of_the_days_and_the_clock_that_are_set() -> None:
    _check, count, *_rest = yaml.safe_load((TASKS / "usage.yml").read_text(encoding="utf-8"))
    told = count["coursehub.jupyterhub.cluster_usage_info"]
    for option, variable in (("since", "usage_since"), ("until", "usage_until"), ("time_zone", "time_zone")):
        assert told[option] == f"{{{{ coursehub_autoscaler_{variable} }}}}"


def test_a_pool_is_applied_with_what_it_may_have_now() -> None:
    tasks = yaml.safe_load((TASKS / "present.yml").read_text(encoding="utf-8"))
    (look,) = [number for number, task in enumerate(tasks) if task.get("register") == "_autoscaler_now"]
    (apply,) = [
        number
        for number, task in enumerate(tasks)
        if task.get("coursehub.jupyterhub.manifests", {}).get("part") == "autoscaler"
    ]
    assert look < apply
    # As runs of seats count it.
    counted = tasks[look]["coursehub.jupyterhub.pool_limit_info"]
    (run,) = [
        task["coursehub.jupyterhub.seats"]
        for task in yaml.safe_load((TASKS / "seats.yml").read_text(encoding="utf-8"))
        if "coursehub.jupyterhub.seats" in task
    ]
    assert {word: counted[word] for word in counted if word != "machine"}.items() <= run.items()


def test_who_tells_what_servers_use_may_be_away_for_a_moment() -> None:
    (check,) = [
        task
        for task in yaml.safe_load((TASKS / "present.yml").read_text(encoding="utf-8"))
        if "coursehub.jupyterhub.server_resize" in task
    ]
    assert (check["check_mode"], check["until"]) == (True, f"{check['register']} is success")
    assert check["retries"] * check["delay"] >= 60
