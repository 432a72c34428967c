"""The replay of a semester: what it stands on, and that it counts right."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import semester
from bench.semester_cluster import Cluster, Design
from bench.semester_trace import HOUR_S, Parameters, Session, lessons, load, sessions

WEEK = Parameters(weeks=1, students=100)
DEFAULT, OURS = semester.designs(WEEK)


def run(trace: list[Session], design: Design, parameters: Parameters = WEEK) -> Cluster:
    cluster = Cluster(parameters, design, trace)
    cluster.run()
    return cluster


@pytest.mark.parametrize("shape", semester.SHAPES)
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
    told = run([Session(HOUR_S, 1, 1200.0, 200, None)], DEFAULT).told
    assert told.home_waits == [pytest.approx(45 + 60 + 10.5)]
    # Works 20 minutes, is idle for an hour; culled by the next look, ten minutes apart.
    assert told.server_hours * HOUR_S == pytest.approx(4800 - 105, abs=600)
    lived = told.node_hours * HOUR_S
    assert 4800 + 599 <= lived <= 4800 + 600 + 600 + 120
    assert told.nodes_cost == pytest.approx(told.node_hours * WEEK.price)
    assert told.promised_cost < told.nodes_cost


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
    trace = sessions(WEEK)
    ours, fixed = (run(trace, design).told for design in (OURS, replace(OURS, resized=False)))
    assert ours.floor_cost < fixed.floor_cost
    assert fixed.floor_cost == pytest.approx(fixed.promised_cost)


def test_the_day_is_compared_with_the_engines() -> None:
    said = semester.check_day(WEEK, {"students": 60, "arrivals_s": 64, "wait_p95_s": 12.5, "nodes": 5})
    assert said[0] == "wait_p95_s: 12.5 on the engine, 10.5 in the replay, -2.0"
    assert len(said) == 2


def test_tables_are_even_and_figures_are_judged() -> None:
    one = semester.replay(WEEK)
    for table in (semester.rows(one, one.ours), semester.shape_rows({"labs": one})):
        assert {len(row) for row in table} == {len(table[0])}
    assert set(semester.figures_of(one)) == set(semester.MOST)
    assert semester.complaints({"cost_vs_static": 0.6, "cost_vs_floor": 1.0, "wait_p95_s": 31}) == [
        "cost_vs_static is 0.6, more than 0.5",
        "wait_p95_s is 31, more than 30",
    ]


def test_a_static_fleet_is_of_the_cheaper_machine() -> None:
    one = Parameters()
    # 510 servers are 43 small machines or nine large ones.
    assert semester.static(one, 510) == pytest.approx(9 * 4 * one.price)
