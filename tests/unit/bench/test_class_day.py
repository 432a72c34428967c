"""The compressed day: what it is, and how what was seen becomes figures."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing, _warm

from bench import class_day, fake_nodes, report
from bench.class_day_cluster import Day, Run, Seen, pool, server
from bench.semester_trace import Parameters

ONE = class_day.parameters_of(300)
DEFAULT, BUFFER, PLACEHOLDER = class_day.designs(ONE)


def seen(students: int = 34, wait: float = 12.0, lost: int = 0, unserved: int = 0, left: int = 1) -> Seen:
    """Return a day of two nodes: the second is ordered as the first student comes, and may stay."""
    names = [f"jupyter-{number}" for number in range(students)]
    return Seen(
        asked={name: 100.0 + number for number, name in enumerate(names)},
        bound={name: 100.0 + number + wait - 10.0 for number, name in enumerate(names[unserved:], unserved)},
        running={name: 100.0 + number + wait for number, name in enumerate(names[unserved:], unserved)},
        # Students go in the end, also those whose server the engine ended before.
        gone={name: 300.0 if number < lost else 500.0 for number, name in enumerate(names)},
        told_to_go=dict.fromkeys(names, 495.0),
        node_of=dict.fromkeys(names, "node-1"),
        ordered={"claim-1": 30.0, "claim-2": 100.0},
        ready={"claim-1": 92.0, "claim-2": 164.0},
        removed={"claim-1": 560.0} if left else {"claim-1": 560.0, "claim-2": 560.0},
        name_of={"claim-1": "node-1", "claim-2": "node-2"},
        wanted=[20.0],
    )


def test_a_day_becomes_figures() -> None:
    one = seen(lost=2)
    assert (one.lost(), one.nodes(), max(one.waits())) == (2, 2, 12.0)
    assert (one.decide_s(), one.register_s(), one.start_s(), one.remove_s()) == (10.0, 63.0, 10.0, 60.0)
    # The first from 30 to 560; the second from 100 to the last that was seen of anything.
    assert one.node_hours() == pytest.approx((530 + 460) / 3600)


def test_figures_rows_and_parameters_are_whole() -> None:
    days = {"default": seen(wait=80.0, lost=1), "buffer": seen(), "placeholder": seen(wait=15.0)}
    figures = class_day.figures_of(days, ONE)
    # 300 at 17 a node are 18 nodes.
    assert figures == {
        "wait_p95_s": 12.0,
        "wait_p95_default_s": 80.0,
        "wait_p95_placeholder_s": 15.0,
        "nodes_vs_optimum": 0.111,
        "unserved": 0,
        "lost": 0,
        "left": 2,
    }
    head, *body = class_day.rows(days, ONE)
    assert {len(row) for row in body} == {len(head)}
    assert class_day.rows(days, ONE)[4][1:4] == ["1", "0", "0"]
    # The replay knows all of them.
    fitted = class_day.fitted_to(days)
    assert set(fitted) <= set(vars(Parameters()))


@pytest.mark.parametrize("name", ["buffer", "placeholder"])
@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"wait": 30.5}, ["wait"]),
        # One of 34 is less than 5 of 100.
        ({"unserved": 1}, ["unserved"]),
        ({"unserved": 11}, ["wait", "unserved"]),
        ({"lost": 1}, ["lost"]),
        ({"left": 1}, ["left"]),
    ],
)
def test_all_that_is_wanted_of_this_collection_is_judged(name: str, changed: dict[str, Any], wrong: list[str]) -> None:
    bad = {"default": seen(lost=3, unserved=9), "buffer": seen(left=0), "placeholder": seen(left=0)}
    bad[name] = seen(**{"left": 0, **changed})
    figures = class_day.figures_of(bad, ONE)
    said = report.beyond(figures, class_day.MOST)
    assert [sentence.partition(" is ")[0].partition("_")[0] for sentence in said] == wrong
    # And nothing else has a wish in the table.
    judged = {row[0]: row[-1] for row in class_day.rows(bad, ONE)[1:] if row[-1]}
    assert len(judged) == 4


def test_who_never_had_a_server_has_waited_without_end() -> None:
    one = seen(students=300, unserved=100)
    assert (one.unserved(), sum(map(isinf, one.waits())), len(one.waits())) == (100, 100, 300)
    days = {"default": seen(), "buffer": one, "placeholder": seen()}
    assert class_day.rows(days, ONE)[1][2] == "inf s"


def test_a_difference_becomes_a_row() -> None:
    sentence = "nodes: 20.0 on the engine, 18.0 in the replay, -2.0"
    assert class_day.split(sentence) == ["`nodes`", "20.0", "18.0"]


def test_300_come_at_the_published_rate() -> None:
    day = class_day.day_of(ONE)
    assert len(day.arrivals) == 300
    assert list(day.arrivals) == sorted(day.arrivals)
    assert 280 < day.arrivals[-1] - day.arrivals[0] <= 320
    # All who come are there before the first goes.
    assert day.arrivals[-1] + 100 < day.leave[0]


def test_only_what_this_collection_does_is_different() -> None:
    ours, theirs = server("jupyter-1", BUFFER), server("jupyter-1", DEFAULT)
    assert ours["spec"]["nodeSelector"] == theirs["spec"]["nodeSelector"] == _warm.POOL
    assert ours["spec"]["schedulerName"] == "coursehub-packing"
    assert theirs["spec"]["schedulerName"] == "default-scheduler"
    assert theirs["metadata"]["annotations"] == {}
    assert int(ours["spec"]["containers"][0]["resources"]["requests"]["memory"]) == _packing.MIB * 512
    assert int(theirs["spec"]["containers"][0]["resources"]["requests"]["memory"]) == _packing.MIB * 1024


def test_the_planner_is_told_what_the_module_takes() -> None:
    day = Day(datetime(2026, 9, 1, 10, 0, 7, tzinfo=UTC), [-1.0, 2.0], (10.0, 20.0), 30.0, 70.0, 300.0, 10.5)
    programs = fake_nodes.Programs(Path(), Path())
    machine = class_day.machine_of(ONE)
    told = Run(PLACEHOLDER, day, machine, programs).parameters()
    assert told["classes"][0]["start"] == "2026-09-01 10:00:07"
    assert told["classes"][0]["seats"] == 2
    assert _packing.parse_machine(told["machine"], told["prices"]).cpu == pytest.approx(machine.cpu, abs=0.001)


def test_the_default_pool_is_the_engines_own(tmp_path: Path) -> None:
    nodes = {
        "kind": "NodePool",
        "spec": {"disruption": {"consolidationPolicy": "WhenEmpty"}, "template": {"spec": {"expireAfter": "Never"}}},
    }
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(nodes), encoding="utf-8")
    (ours,), (theirs,) = pool(tmp_path, planned=True), pool(tmp_path, planned=False)
    assert ours == nodes
    assert theirs["spec"]["disruption"]["consolidationPolicy"] == "WhenEmptyOrUnderutilized"
    assert theirs["spec"]["template"]["spec"] == {}


def test_a_type_leaves_pods_what_the_machine_has_for_them() -> None:
    machine = _packing.Machine("small", 1.78, 12 << 30, 127, 0.1)
    one = fake_nodes.machine_type(machine, {"zone-a": 0.1, "zone-b": 0.2})
    assert one["resources"]["cpu"] == "1880m"
    assert int(one["resources"]["memory"]) == (12 << 30) + fake_nodes.KEPT_MEMORY
    assert [offer["Requirements"][1]["values"] for offer in one["offerings"]] == [["zone-a"], ["zone-b"]]


def test_a_kubeconfig_has_the_context_that_was_meant_and_is_nobody_elses(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text(yaml.safe_dump({"current-context": "other", "contexts": [{"name": "mine"}]}), encoding="utf-8")
    written = fake_nodes.kubeconfig_of(source, "mine", tmp_path / "target")
    assert yaml.safe_load(written.read_text(encoding="utf-8"))["current-context"] == "mine"
    assert written.stat().st_mode & 0o077 == 0
