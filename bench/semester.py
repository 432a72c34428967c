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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, isinf
from pathlib import Path
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing

from . import report
from .semester_cluster import Cluster, Design, Told, machine_of
from .semester_trace import HOUR_S, Parameters, load, of_data, sessions

ENGINE = report.ROOT / "build/bench/class_day.json"
# What the figures must not exceed.
MOST = {
    "cost_vs_static": 0.5,
    "cost_vs_static_installed": 0.5,
    "cost_vs_floor": 1.15,
    "wait_p95_s": 30,
    "wait_p95_installed_s": 30,
    "overfull": 0,
}
# By how much a day of the replay may differ from the engine's: a part of it, or seconds or nodes where that is more.
DAY_PART, DAY_LEAST = 0.2, 5.0
SHAPES = {
    "lectures": "two lectures of 500, twice a week",
    "labs": "20 labs of 50 a week",
    "all at once": "one class of 1000 a week",
    "homework": "no class, deadlines only",
}
# What may go wrong with the lectures, and other engines.
HARD: dict[str, dict[str, Any]] = {
    "the calendar is ten minutes late": {"calendar_late_s": 600.0},
    "every tenth class is not in the calendar": {"calendar_gap": 10},
    "a tenth more come than the calendar says": {"attendance": 1.0, "calendar_seats": 1 / 1.1},
}
IN_A_ROW: dict[str, dict[str, Any]] = {
    "each is followed by another one, of the same students": {},
    "the same, and the calendar names their groups": {"calendar_groups": True},
}
# What is assumed, and how it might be otherwise.
ASSUMED: dict[str, dict[str, Any]] = {
    "six of ten come to a class": {"attendance": 0.6},
    "all come to a class": {"attendance": 1.0},
    "servers are promised 512 MiB": {"guarantee_mib": 512},
    "servers are promised 256 MiB": {"guarantee_mib": 256, "start_mib": 256},
    "work at home is half as long": {"home_median_s": 1500.0},
    "work at home is twice as long": {"home_median_s": 6000.0},
    "work at home is as much in each hour": {"hours": (1.0,) * 24},
    "servers take half as much memory": {"used_median_mib": 130.0},
    "servers take twice as much memory": {"used_median_mib": 520.0},
}


@dataclass(frozen=True)
class Semester:
    """One semester, replayed: by default, here, here without resizing, and as a role is installed that is told no more.

    Costs are in dollars.
    """

    parameters: Parameters
    default: Told
    ours: Told
    fixed: Told
    installed: Told
    static_cost: float
    # Of a static fleet whose servers are promised what they are as installed.
    installed_static_cost: float
    core_cost: float
    # Of hours in which students work, without those in which their servers are idle.
    work_cost: float

    @property
    def vs_static(self) -> float:
        """Return the whole bill, core pool included, as a part of a static fleet's."""
        return (self.ours.nodes_cost + self.core_cost) / (self.static_cost + self.core_cost)

    @property
    def installed_vs_static(self) -> float:
        """Return the same as installed, beside a static fleet that promises as little."""
        return (self.installed.nodes_cost + self.core_cost) / (self.installed_static_cost + self.core_cost)

    @property
    def default_vs_static(self) -> float:
        """Return the same of the default engine."""
        return (self.default.nodes_cost + self.core_cost) / (self.static_cost + self.core_cost)


def designs(parameters: Parameters) -> tuple[Design, Design]:
    """Return the engine as it comes, and this design."""
    one = parameters
    return (
        Design(False, False, False, one.default_decide_s, one.default_remove_s),
        Design(True, True, True, one.decide_s, one.remove_s),
    )


def as_installed(parameters: Parameters, design: Design) -> tuple[Parameters, Design]:
    """Return the same as the role autoscaler has it by default: no scheduler of its own, no resizing, its request."""
    return replace(parameters, guarantee_mib=parameters.start_mib), replace(design, packed=False, resized=False)


def vs_floor(told: Told) -> float:
    """Return the cost of the users' nodes, as a multiple of hours of servers times guarantee by allocatable."""
    return told.nodes_cost / told.promised_cost


def replay(parameters: Parameters, *, placeholders: bool = False) -> Semester:
    """Replay one semester under all designs; with ``placeholders`` in the place of a buffer."""
    trace = sessions(parameters)
    plain, design = designs(parameters)
    design = replace(design, placeholders=placeholders)
    default, ours, fixed = (
        Cluster(parameters, one, trace).run() for one in (plain, design, replace(design, resized=False))
    )
    little, spread = as_installed(parameters, design)
    machine = machine_of(parameters)
    part = max(parameters.guarantee_mib * _packing.MIB / machine.memory, parameters.guarantee_cores / machine.cpu)
    work = sum(one.length for one in trace) / HOUR_S * part * machine.price
    hours = parameters.weeks * 7 * 24
    return Semester(
        parameters,
        default,
        ours,
        fixed,
        Cluster(little, spread, trace).run(),
        static(parameters, default.peak_servers) * hours,
        static(little, default.peak_servers) * hours,
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
    """Return the figures; those in ``MOST`` are judged."""
    return {
        "cost_vs_static": round(one.vs_static, 3),
        "cost_vs_static_installed": round(one.installed_vs_static, 3),
        "cost_vs_floor": round(vs_floor(one.ours), 3),
        "cost_vs_floor_fixed": round(vs_floor(one.fixed), 3),
        "cost_vs_floor_installed": round(vs_floor(one.installed), 3),
        "cost_vs_asked": round(one.ours.nodes_cost / one.ours.floor_cost, 3),
        "wait_p95_s": round(waits(one.ours), 1),
        "wait_p95_installed_s": round(waits(one.installed), 1),
        "overfull": one.ours.overfull + one.fixed.overfull + one.installed.overfull,
    }


def rows(one: Semester) -> list[list[str]]:
    """Return the table for people."""
    static_cost, core = one.static_cost, one.core_cost
    default, ours, fixed, installed = one.default, one.ours, one.fixed, one.installed

    def bill(cost: float, beside: float = static_cost) -> str:
        return f"{cost + core:.0f} dollars ({(cost + core) / (beside + core):.0%})"

    def all_of(show: Callable[[Told], str]) -> list[str]:
        return [show(default), show(installed), show(fixed), show(ours)]

    bills = [bill(told.nodes_cost) for told in (default, fixed, ours)]
    bills.insert(1, bill(installed.nodes_cost, one.installed_static_cost))
    return [
        [
            "what",
            "static at peak",
            "default engine",
            f"as installed, {one.parameters.start_mib} MiB",
            "this design, requests fixed",
            "this design, resized",
            "wanted",
        ],
        ["15 weeks, core pool included", bill(static_cost), *bills, "50 %"],
        [
            "students' nodes, times the floor (hours of servers by guarantee / allocatable)",
            f"{static_cost / default.promised_cost:.2f}",
            *all_of(lambda told: f"{vs_floor(told):.2f}"),
            f"at most {MOST['cost_vs_floor']}",
        ],
        [
            "times the floor of what servers ask for at each moment",
            "",
            *all_of(lambda told: f"{told.nodes_cost / told.floor_cost:.2f}"),
            "",
        ],
        [
            "times the floor of hours at work, idle ones not counted",
            f"{static_cost / one.work_cost:.2f}",
            *all_of(lambda told: f"{told.nodes_cost / one.work_cost:.2f}"),
            "",
        ],
        [
            "wait at a class's start, p95",
            f"{one.parameters.start_s:.1f} s",
            *all_of(lambda told: f"{waits(told):.1f} s"),
            f"at most {MOST['wait_p95_s']} s",
        ],
        ["the longest wait at a class's start", "", *all_of(longest), ""],
        ["nodes at most", "", *all_of(lambda told: f"{told.peak_nodes}"), ""],
        [
            "servers that had less than they asked for",
            "",
            *all_of(lambda told: f"{told.deferred_hours / told.server_hours:.2%} of hours"),
            "",
        ],
        ["the most that was used of a node's memory", "", *all_of(lambda told: f"{told.fullest:.0%}"), ""],
        ["times that a node's memory was used up", "", *all_of(lambda told: f"{told.overfull}"), "0"],
    ]


def longest(told: Told) -> str:
    """Return the longest wait at a class's start, or a dash."""
    return f"{max(told.class_waits):.0f} s" if told.class_waits else "-"


def variant_rows(what: str, found: Mapping[str, Semester]) -> list[list[str]]:
    """Return a table of other semesters, a line each."""
    return [
        [
            what,
            "cost, part of static",
            "default engine's",
            "times the floor, as installed",
            "requests fixed",
            "resized",
            "wait p95",
            "longest",
            "default engine's p95",
            "memory used up",
        ],
        *(
            [
                name,
                f"{one.vs_static:.0%}",
                f"{one.default_vs_static:.0%}",
                f"{vs_floor(one.installed):.2f}",
                f"{vs_floor(one.fixed):.2f}",
                f"{vs_floor(one.ours):.2f}",
                f"{waits(one.ours):.1f} s",
                longest(one.ours),
                f"{waits(one.default):.1f} s",
                f"{one.ours.overfull + one.fixed.overfull + one.installed.overfull}",
            ]
            for name, one in found.items()
        ),
    ]


def hard(parameters: Parameters) -> dict[str, Semester]:
    """Replay what may go wrong with a calendar, seats that placeholders keep, and an engine that takes longer."""
    slow = replace(
        parameters,
        decide_s=parameters.autoscaler_decide_s,
        remove_s=parameters.autoscaler_remove_s,
        default_decide_s=parameters.autoscaler_decide_s,
        default_remove_s=parameters.autoscaler_remove_s,
    )
    return {
        **{name: replay(replace(parameters, **changed)) for name, changed in HARD.items()},
        **{name: replay(replace(parameters, shape="in a row", **changed)) for name, changed in IN_A_ROW.items()},
        "placeholders in the place of a buffer": replay(parameters, placeholders=True),
        "both on cluster-autoscaler (45 s to decide, 600 s to let go)": replay(slow),
    }


def check_day(parameters: Parameters, day: Mapping[str, Any]) -> list[str]:
    """Return how a day of the replay differs from the engine's run: a sentence for each figure."""
    return [
        f"{name}: {float(day[name]):.1f} on the engine, {value:.1f} in the replay, {value - float(day[name]):+.1f}"
        for name, value in replayed_day(parameters, day).items()
    ]


def too_far(parameters: Parameters, day: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each figure of this design's day of which the replay is no picture.

    The default engine's waits are not judged: in the replay nobody overtakes who waits for a node, so that it is kinder
    to the default than the engine is. That is shown, and speaks for the other side.
    """
    return [
        f"{name} of the day is {value:.1f} in the replay and {float(day[name]):.1f} on the engine"
        for name, value in replayed_day(parameters, day).items()
        if name != "wait_p95_default_s"
        and (isinf(day[name]) or abs(value - float(day[name])) > max(DAY_LEAST, DAY_PART * float(day[name])))
    ]


def replayed_day(parameters: Parameters, day: Mapping[str, Any]) -> dict[str, float]:
    """Replay the engine's day; return its figures.

    ``day`` has ``students``, within how many seconds they came, what a server was promised by default, and of
    ``wait_p95_s``, ``wait_p95_default_s`` and ``nodes`` what was measured. Nodes that are none resize no servers, so
    the replay does not either: servers keep what they start with.
    """
    one = replace(
        parameters,
        weeks=1,
        shape="all at once",
        students=int(day["students"]),
        attendance=1.0,
        arrivals_s=float(day["arrivals_s"]),
        guarantee_mib=int(day["guarantee_mib"]),
        guarantee_cores=float(day["guarantee_cores"]),
    )
    trace = [session for session in sessions(one) if session.lesson is not None]
    default_design, design = designs(one)
    default = Cluster(one, default_design, trace).run()
    fixed = replace(one, guarantee_mib=one.start_mib)
    ours = Cluster(fixed, replace(design, resized=False), trace).run()
    replayed = {"wait_p95_s": waits(ours), "wait_p95_default_s": waits(default), "nodes": float(ours.peak_nodes)}
    return {name: value for name, value in replayed.items() if name in day}


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
    found = {name: replay(replace(parameters, shape=shape)) for shape, name in SHAPES.items()}
    difficult = hard(parameters)
    otherwise = {name: replay(replace(parameters, **changed)) for name, changed in ASSUMED.items()}
    one = found[SHAPES[parameters.shape]]
    figures = figures_of(one)
    report.write(
        "semester",
        figures,
        # Whether the engine's times are so, or measured by class_day.
        assumed=not day,
        parameters=asdict(parameters),
        variants={name: figures_of(each) for name, each in (found | difficult | otherwise).items()},
        engine_differences=differences,
        week={"default": one.default.week, "ours": one.ours.week},
        seconds=round(time.monotonic() - begun),
    )
    report.say(json.dumps(figures))
    report.table("semester", rows(one))
    report.table("semester-shapes", variant_rows("shape", found))
    report.table("semester-hard", variant_rows("the lectures, but", difficult))
    report.table("semester-assumed", variant_rows("assumed otherwise", otherwise))
    wrong = [*report.beyond(figures, MOST), *(too_far(parameters, day) if day else [])]
    if wrong:
        report.fail("; ".join(wrong))


if __name__ == "__main__":
    main()
