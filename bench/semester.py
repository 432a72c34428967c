"""What a semester of 1000 students costs, and how long they wait: static, by default, and with this collection.

A replay, no measurement: ``semester_trace`` says who works when and what is published of that, ``semester_cluster``
runs the collection's own planner. Parameters of the engine come from ``build/bench/class_day.json`` where there is
one: its ``parameters`` by the names that ``Parameters`` has, and its ``day``, with which one day of the replay is
compared. Another file can be named, with parameters alone: ``python -m bench.semester parameters.json``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing

from . import report
from .semester_cluster import Cluster, Design, Told, machine_of
from .semester_trace import HOUR_S, Parameters, load, of_data, sessions

ENGINE = report.ROOT / "build/bench/class_day.json"
# What the figures must not exceed.
MOST = {"cost_vs_static": 0.5, "cost_vs_floor": 1.15, "wait_p95_s": 30}
SHAPES = {
    "lectures": "two lectures of 500, twice a week",
    "labs": "20 labs of 50 a week",
    "all at once": "one class of 1000 a week",
    "homework": "no class, deadlines only",
}


@dataclass(frozen=True)
class Semester:
    """One shape, replayed: as it is by default and as it is here. Costs are in dollars."""

    parameters: Parameters
    default: Told
    ours: Told
    static_cost: float
    core_cost: float
    # Of hours in which students work, without those in which their servers are idle.
    work_cost: float

    @property
    def vs_static(self) -> float:
        """Return the whole bill, core pool included, as a part of a static fleet's."""
        return (self.ours.nodes_cost + self.core_cost) / (self.static_cost + self.core_cost)

    @property
    def vs_floor(self) -> float:
        """Return the cost of the users' nodes, as a multiple of hours of servers times guarantee by allocatable."""
        return self.ours.nodes_cost / self.ours.promised_cost


def designs(parameters: Parameters) -> tuple[Design, Design]:
    """Return the default engine's design and this one."""
    one = parameters
    return (
        Design(False, False, False, one.default_decide_s, one.default_remove_s),
        Design(True, True, True, one.decide_s, one.remove_s),
    )


def replay(parameters: Parameters) -> Semester:
    """Replay one semester under both designs."""
    trace = sessions(parameters)
    default, ours = (Cluster(parameters, design, trace).run() for design in designs(parameters))
    machine = machine_of(parameters)
    part = max(parameters.guarantee_mib * _packing.MIB / machine.memory, parameters.guarantee_cores / machine.cpu)
    work = sum(one.length for one in trace) / HOUR_S * part * machine.price
    hours = parameters.weeks * 7 * 24
    return Semester(
        parameters,
        default,
        ours,
        static(parameters, default.peak_servers) * hours,
        parameters.core_nodes * parameters.price * hours,
        work,
    )


def static(parameters: Parameters, servers: int) -> float:
    """Return the price an hour of a fleet for so many servers: of this machine, or of one four times as large."""
    large = replace(
        parameters, cores=4 * parameters.cores, machine_mib=4 * parameters.machine_mib, price=4 * parameters.price
    )
    guarantee = _packing.Guarantee(parameters.guarantee_cores, parameters.guarantee_mib * _packing.MIB)
    return min(
        ceil(servers / _packing.seats_of(machine, guarantee)) * machine.price
        for machine in (machine_of(parameters), machine_of(large))
    )


def waits(told: Told) -> float:
    """Return the wait at a class's start that 95 of 100 do not exceed; where there is no class, of all starts."""
    return report.p95(told.class_waits or told.home_waits)


def figures_of(one: Semester) -> dict[str, float]:
    """Return the figures that are judged."""
    return {
        "cost_vs_static": round(one.vs_static, 3),
        "cost_vs_floor": round(one.vs_floor, 3),
        "wait_p95_s": round(waits(one.ours), 1),
    }


def complaints(figures: Mapping[str, float]) -> list[str]:
    """Return what is not as it must be, a sentence each."""
    return [f"{name} is {figures[name]}, more than {most}" for name, most in MOST.items() if figures[name] > most]


def rows(one: Semester, fixed: Told) -> list[list[str]]:
    """Return the table for people. ``fixed`` is this design with requests that stay as they are."""
    static_cost, core = one.static_cost, one.core_cost
    default, ours = one.default, one.ours

    def bill(cost: float) -> str:
        return f"{cost + core:.0f} dollars ({(cost + core) / (static_cost + core):.0%})"

    def parts(told: Told, floor: float) -> str:
        return f"{told.nodes_cost / floor:.2f}"

    return [
        ["what", "static at peak", "default engine", "this design", "wanted"],
        ["15 weeks, core pool included", bill(static_cost), bill(default.nodes_cost), bill(ours.nodes_cost), "50 %"],
        [
            "students' nodes, times the floor (hours of servers by guarantee / allocatable)",
            parts(replace(default, nodes_cost=static_cost), default.promised_cost),
            parts(default, default.promised_cost),
            parts(ours, ours.promised_cost),
            f"at most {MOST['cost_vs_floor']}",
        ],
        ["the same, requests fixed", "", "", parts(fixed, fixed.promised_cost), ""],
        ["times the floor of what servers ask for at each moment", "", "", parts(ours, ours.floor_cost), ""],
        [
            "times the floor of hours at work, idle ones not counted",
            f"{static_cost / one.work_cost:.2f}",
            parts(default, one.work_cost),
            parts(ours, one.work_cost),
            "",
        ],
        [
            "wait at a class's start, p95",
            f"{one.parameters.start_s:.1f} s",
            f"{waits(default):.1f} s",
            f"{waits(ours):.1f} s",
            f"at most {MOST['wait_p95_s']} s",
        ],
        ["the longest wait at a class's start", "", f"{longest(default)} s", f"{longest(ours)} s", ""],
        ["nodes at most", "", f"{default.peak_nodes}", f"{ours.peak_nodes}", ""],
        [
            "servers that had less than they asked for",
            "",
            "",
            f"{ours.deferred_hours / ours.server_hours:.2%} of hours",
            "",
        ],
        ["times that a node's memory was used up", "", f"{default.overfull}", f"{ours.overfull}", ""],
    ]


def longest(told: Told) -> str:
    """Return the longest wait at a class's start, or a dash."""
    return f"{max(told.class_waits):.0f}" if told.class_waits else "-"


def shape_rows(found: Mapping[str, Semester]) -> list[list[str]]:
    """Return the table of other shapes."""
    return [
        ["shape", "cost, part of static", "default engine's", "times the floor", "wait p95", "default engine's"],
        *(
            [
                SHAPES[shape],
                f"{one.vs_static:.0%}",
                f"{(one.default.nodes_cost + one.core_cost) / (one.static_cost + one.core_cost):.0%}",
                f"{one.vs_floor:.2f}",
                f"{waits(one.ours):.1f} s",
                f"{waits(one.default):.1f} s",
            ]
            for shape, one in found.items()
        ),
    ]


def check_day(parameters: Parameters, day: Mapping[str, Any]) -> list[str]:
    """Return how a day of the replay differs from the engine's run: a sentence for each figure.

    ``day`` has ``students``, within how many seconds they came, and of ``wait_p95_s``, ``wait_p95_default_s`` and
    ``nodes`` what was measured. Nodes that are none resize no servers, so the replay does not either: servers start
    with the floor, and keep it.
    """
    one = replace(
        parameters,
        weeks=1,
        shape="all at once",
        students=int(day["students"]),
        attendance=1.0,
        arrivals_s=float(day["arrivals_s"]),
    )
    trace = [session for session in sessions(one) if session.lesson is not None]
    default_design, design = designs(one)
    default = Cluster(one, default_design, trace).run()
    fixed = replace(one, guarantee_mib=one.floor_mib)
    ours = Cluster(fixed, replace(design, resized=False), trace).run()
    replayed = {"wait_p95_s": waits(ours), "wait_p95_default_s": waits(default), "nodes": float(ours.peak_nodes)}
    return [
        f"{name}: {float(day[name]):.1f} on the engine, {value:.1f} in the replay, {value - float(day[name]):+.1f}"
        for name, value in replayed.items()
        if name in day
    ]


def parameters_of(arguments: Sequence[str]) -> tuple[Parameters, Mapping[str, Any]]:
    """Return the parameters, and the engine's day where there is one. Ends the benchmark for a file that is none."""
    parameters, day = Parameters(), {}
    try:
        if arguments:
            parameters = load(Path(arguments[0]))
        elif ENGINE.exists():
            told = json.loads(ENGINE.read_text(encoding="utf-8"))
            parameters, day = of_data(told["parameters"]), told["day"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        report.fail(f"the parameters can't be read: {error}")
    return parameters, day


def main() -> None:
    """Replay, and write. Ends with 1 where a figure is not what it must be."""
    begun = time.monotonic()
    parameters, day = parameters_of(sys.argv[1:])
    report.say("the engine's figures are " + ("those of class_day" if day else "assumed: run class_day first"))
    differences = check_day(parameters, day) if day else []
    for sentence in differences:
        report.say(sentence)
    found = {}
    for shape in SHAPES:
        found[shape] = replay(replace(parameters, shape=shape))
        report.say(f"{shape}: {json.dumps(figures_of(found[shape]))}")
    one = found["lectures"]
    ours = designs(parameters)[1]
    fixed = Cluster(one.parameters, replace(ours, resized=False), sessions(one.parameters)).run()
    figures = figures_of(one)
    report.write(
        "semester",
        figures,
        parameters=asdict(parameters),
        shapes={shape: figures_of(each) for shape, each in found.items()},
        engine_differences=differences,
        week={"default": one.default.week, "ours": one.ours.week},
        seconds=round(time.monotonic() - begun),
    )
    report.table("semester", rows(one, fixed))
    report.table("semester-shapes", shape_rows(found))
    wrong = complaints(figures)
    if wrong:
        report.fail("; ".join(wrong))


if __name__ == "__main__":
    main()
