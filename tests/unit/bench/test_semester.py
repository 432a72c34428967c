"""The replay of a semester: what it stands on, and that it counts right."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from math import ceil, inf
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

from bench import report, semester
from bench.semester_cluster import Cluster, Design
from bench.semester_trace import HOUR_S, Parameters, Session, group_of, lessons, load, sessions
from tests.unit.paths import ROOT

WEEK = Parameters(weeks=1, students=100)
DEFAULT, OURS = semester.designs(WEEK)


def run(trace: list[Session], design: Design, parameters: Parameters = WEEK) -> Cluster:
    cluster = Cluster(parameters, design, trace)
    cluster.run()
    return cluster


@pytest.mark.parametrize("shape", [*semester.SHAPES, "in a row"])
def test_the_same_seed_gives_the_same_semester_and_all_shapes_have_the_same_students(shape: str) -> None:
    one = replace(WEEK, shape=shape)
    trace = sessions(one)
    assert trace == sessions(one)
    assert trace != sessions(replace(one, seed=9))
    assert {session.student for session in trace} <= set(range(100))
    assert [session.start for session in trace] == sorted(session.start for session in trace)


def test_nine_of_ten_come_to_a_class_within_eight_minutes() -> None:
    one = replace(Parameters(), weeks=1)
    trace = sessions(one)
    for lesson in lessons(one):
        came = [session.start for session in trace if session.lesson == lesson.start]
        assert 420 < len(came) < 480
        assert max(came) - min(came) <= 480


def test_an_unknown_shape_or_parameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no shape 'party'"):
        sessions(replace(WEEK, shape="party"))
    path = tmp_path / "told.json"
    path.write_text(json.dumps({"register_s": 90.0}), encoding="utf-8")
    assert load(path).boot_s == 100.0
    path.write_text(json.dumps({"regster_s": 90.0}), encoding="utf-8")
    with pytest.raises(ValueError, match="no parameter regster_s"):
        load(path)


def test_one_student_by_default_waits_for_a_node_and_pays_for_it_until_it_is_let_go() -> None:
    slow = replace(DEFAULT, decide_s=45.0, remove_s=600.0)
    told = run([Session(HOUR_S, 1, 1200.0, 200, None)], slow).told
    assert told.home_waits == [pytest.approx(45 + 60 + 10.5)]
    # Works 20 minutes, is idle for an hour; culled by the next look, ten minutes apart.
    assert told.server_hours * HOUR_S == pytest.approx(4800 - 105, abs=600)
    lived = told.node_hours * HOUR_S
    assert 4800 + 599 <= lived <= 4800 + 600 + 600 + 120
    assert told.nodes_cost == pytest.approx(told.node_hours * WEEK.price)
    assert told.promised_cost < told.nodes_cost


def test_both_designs_have_the_same_engine() -> None:
    assert (DEFAULT.decide_s, DEFAULT.remove_s) == (OURS.decide_s, OURS.remove_s)


def test_a_server_starts_with_what_the_roles_give_it() -> None:
    hub = yaml.safe_load((ROOT / "roles/hub/defaults/main.yml").read_text(encoding="utf-8"))
    assert parse_quantity(hub["coursehub_hub_server_memory"]) == WEEK.start_mib << 20
    assert parse_quantity(hub["coursehub_hub_server_memory_limit"]) == WEEK.limit_mib << 20
    assert float(parse_quantity(hub["coursehub_hub_server_cpu"])) == WEEK.guarantee_cores


def test_who_works_on_with_more_takes_more_of_the_node() -> None:
    # The second begins while the first still runs; the third on a server of its own, when that is gone.
    first, again = Session(HOUR_S, 1, 1200.0, 200, None), Session(HOUR_S + 1800, 1, 1200.0, 1500, None)
    later = Session(5 * HOUR_S, 1, 1200.0, 300, None)
    cluster = run([first, again, later], OURS)
    assert cluster.told.fullest == pytest.approx(1500 * 2**20 / cluster.machine.memory)
    assert run([first, again], OURS).told.fullest == cluster.told.fullest
    assert run([first, later], OURS).told.fullest == pytest.approx(300 * 2**20 / cluster.machine.memory)


def test_a_node_that_is_used_up_is_counted() -> None:
    many = [Session(HOUR_S + number, number, 1200.0, 2048, None) for number in range(30)]
    told = run(many, replace(OURS, resized=False)).told
    assert told.overfull > 0
    assert told.fullest > 1
    assert report.beyond({**dict.fromkeys(semester.MOST, 0.0), "overfull": told.overfull}, semester.MOST)


@pytest.mark.parametrize("changed", semester.HARD.values(), ids=str)
def test_a_wrong_calendar_is_paid_for_with_waiting(changed: dict[str, Any]) -> None:
    one = replace(WEEK, weeks=8, students=1000)
    well, wrong = (
        run([each for each in sessions(case) if each.lesson is not None], OURS, case).told
        for case in (one, replace(one, **changed))
    )
    assert max(well.class_waits) == one.start_s
    assert max(wrong.class_waits) > one.start_s


def test_a_class_in_a_row_pays_for_its_students_once_where_the_calendar_names_them() -> None:
    one = replace(WEEK, students=1000, shape="in a row")
    trace = [session for session in sessions(one) if session.lesson is not None]
    fixed = replace(OURS, resized=False)
    unnamed, named = (run(trace, fixed, replace(one, calendar_groups=word)).told for word in (False, True))
    # Those who were not in the first one find their seats all the same.
    assert max(unnamed.class_waits) == max(named.class_waits) == one.start_s
    assert named.nodes_cost < 0.95 * unnamed.nodes_cost


@pytest.mark.parametrize("named", [False, True])
def test_a_class_of_others_in_a_row_has_all_its_seats(named: bool) -> None:
    one = replace(WEEK, students=400, shape="in a row", calendar_groups=named)
    first, others = [lesson.start for lesson in lessons(one)][:2], range(200, 400)
    trace = [session for session in sessions(one) if session.lesson in first]
    trace = [each._replace(student=200 + each.student) if each.lesson == first[1] else each for each in trace]
    cluster = Cluster(one, OURS, trace)
    before, after, *_rest = cluster.meetings
    cluster.meetings = deque([before, replace(after, groups=(group_of(others),)) if named else after])
    assert max(cluster.run().class_waits) == one.start_s


def test_placeholders_keep_seats_as_a_buffer_does_and_both_are_filled_up_behind_who_comes() -> None:
    one = replace(WEEK, students=1000, shape="all at once")
    trace = [session for session in sessions(one) if session.lesson is not None]
    buffer, held = (run(trace, replace(OURS, placeholders=word), one).told for word in (False, True))
    assert semester.waits(held) == semester.waits(buffer) == one.start_s
    # Between two runs of the planner.
    seats = Cluster(one, OURS, []).seats_per_node
    assert min(held.peak_nodes, buffer.peak_nodes) > ceil(1000 / seats)


def test_at_a_class_nobody_waits_for_a_node_with_the_calendar_and_all_do_without() -> None:
    one = replace(WEEK, shape="all at once")
    trace = [session for session in sessions(one) if session.lesson is not None]
    ours, default = run(trace, OURS, one).told, run(trace, DEFAULT, one).told
    assert semester.waits(ours) == one.start_s
    assert semester.waits(default) > 60
    assert len(ours.class_waits) == len(default.class_waits) == len(trace)


@pytest.mark.parametrize("design", [DEFAULT, OURS])
def test_at_the_end_nothing_is_left_and_books_are_balanced(design: Design) -> None:
    cluster = run(sessions(WEEK), design)
    assert (cluster.servers, cluster.nodes, cluster.memory) == ({}, [], 0)
    assert cluster.cpu == pytest.approx(0)
    assert [len(each) for each in (cluster.idle, cluster.deferred, cluster.pending)] == [0, 0, 0]
    assert cluster.told.nodes_cost >= cluster.told.floor_cost > 0


def test_a_server_that_is_resized_costs_the_floor_less() -> None:
    # Where it is promised more than it uses.
    one = replace(WEEK, guarantee_cores=0.1)
    trace = sessions(one)
    ours, fixed = (run(trace, design, one).told for design in (OURS, replace(OURS, resized=False)))
    assert ours.floor_cost < fixed.floor_cost
    assert fixed.floor_cost == pytest.approx(fixed.promised_cost)


def test_as_installed_is_what_the_role_does_that_is_told_no_more() -> None:
    role = yaml.safe_load((ROOT / "roles/autoscaler/defaults/main.yml").read_text(encoding="utf-8"))
    little, design = semester.as_installed(WEEK, OURS)
    assert parse_quantity(role["coursehub_autoscaler_server_memory"]) == little.guarantee_mib << 20
    assert design.resized == role["coursehub_autoscaler_resize"]
    assert design.packed == bool(role["coursehub_autoscaler_scheduler_image"])
    assert design.planned
    assert little.unpacked == role["coursehub_autoscaler_unpacked"]
    # What is unpacked, a DaemonSet of the role's keeps free, whoever fills the nodes.
    seats = [Cluster(little, one, []).seats_per_node for one in (design, replace(design, packed=True))]
    assert seats[0] == seats[1] < Cluster(little, DEFAULT, []).seats_per_node


def test_without_a_scheduler_that_fills_nodes_more_of_them_stay() -> None:
    one, spread = semester.as_installed(replace(WEEK, students=1000, weeks=1), OURS)
    trace = sessions(one)
    told = [run(trace, design, one).told.nodes_cost for design in (spread, replace(spread, packed=True))]
    assert told[0] > told[1]
    found = semester.replay(replace(WEEK, guarantee_mib=1024))
    # Its floor, and the fleet that it is compared with, are of what it promises.
    assert found.installed.promised_cost < found.fixed.promised_cost
    assert found.installed_static_cost <= found.static_cost


def test_the_day_is_compared_with_the_engines() -> None:
    day = {"students": 60, "arrivals_s": 64, "guarantee_mib": 1024, "guarantee_cores": 0.1}
    said = semester.check_day(WEEK, {**day, "wait_p95_s": 12.5, "nodes": 5})
    assert said[0] == "wait_p95_s: 12.5 on the engine, 10.5 in the replay, -2.0"
    assert len(said) == 2
    assert semester.too_far(WEEK, {**day, "wait_p95_s": 12.5, "nodes": 5}) == []
    assert semester.too_far(WEEK, {**day, "wait_p95_default_s": 1000.0}) == []
    assert semester.too_far(WEEK, {**day, "wait_p95_s": inf}) == [
        "wait_p95_s of the day is 10.5 in the replay and inf on the engine"
    ]
    assert semester.too_far(WEEK, {**day, "wait_p95_s": 25.0}) == [
        "wait_p95_s of the day is 10.5 in the replay and 25.0 on the engine"
    ]


def test_tables_are_even_and_figures_are_judged() -> None:
    one = semester.replay(WEEK)
    for table in (semester.rows(one), semester.variant_rows("shape", {"labs": one})):
        assert {len(row) for row in table} == {len(table[0])}
    figures = semester.figures_of(one)
    assert set(figures) == {*semester.MOST, "cost_vs_asked", "cost_vs_floor_fixed", "cost_vs_floor_installed"}
    well = dict.fromkeys(semester.MOST, 0.0)
    assert report.beyond({**well, "cost_vs_static_installed": 0.6, "wait_p95_installed_s": 31}, semester.MOST) == [
        "cost_vs_static_installed is 0.6, more than 0.5",
        "wait_p95_installed_s is 31, more than 30",
    ]
    assert report.beyond({**well, "cost_vs_static": 0.6, "cost_vs_floor": 1.0, "wait_p95_s": 31}, semester.MOST) == [
        "cost_vs_static is 0.6, more than 0.5",
        "wait_p95_s is 31, more than 30",
    ]


def test_a_static_fleet_is_of_the_cheaper_machine() -> None:
    one = Parameters()
    # 510 servers of a GiB each are 43 small machines or nine large ones; of a quarter of that, 15 or four.
    assert semester.static(one, 510) == pytest.approx(9 * 4 * one.price)
    assert semester.static(replace(one, guarantee_mib=256), 510) == pytest.approx(15 * one.price)
