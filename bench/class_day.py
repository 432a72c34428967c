"""One compressed day on the real engine: how long a class waits, and how many nodes it takes.

Karpenter and Kubernetes' own scheduler, with nodes that are none, which register after a minute. 300 students come at
the rate at which 450 came in 8 minutes. Three clusters have the same day, side by side: one as the engine is by
default, and two that this collection's planner runs by the calendar, with the engine's buffer and with placeholders.
``COURSEHUB_BENCH_STUDENTS=30`` is for a quick look: that writes the JSON, but no table.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing

from . import api_server, fake_nodes, report, semester
from .class_day_cluster import Day, Design, Run, Seen, told_of
from .report import ROOT, p95, say
from .semester_cluster import MIB, machine_of
from .semester_trace import Parameters, sessions

STUDENTS = 300
# 450 students came within it; as many a second come here.
ARRIVALS_S, ARRIVED = 480.0, 450
REGISTER_S = 60
# Clusters come up, and the planner runs for the first time.
LEAD_S = 90.0
# The first arrivals are before the hour by this part of the rush: semester_trace.
LEAVE_S, AT_NIGHT_S = (360.0, 420.0), 600.0
DEFAULT, BUFFER, PLACEHOLDER = "default", "buffer", "placeholder"
# What the figures must not exceed. The default engine is there to be compared with, and not judged.
MOST = {"wait_p95_s": 30, "wait_p95_placeholder_s": 30, "unserved": 0, "lost": 0, "left": 0}


def main() -> None:
    """Have the day, and write. Ends with 1 where a figure is not what it must be."""
    students = int(os.environ.get("COURSEHUB_BENCH_STUDENTS", STUDENTS))
    one = parameters_of(students)
    karpenter, kwok = api_server.artefacts("go-karpenter", "go-kwok")
    with tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name:
        seen = have(one, fake_nodes.Programs(karpenter, kwok), Path(name))
    fitted = fitted_to(seen)
    figures = figures_of(seen, one)
    told = {"students": students, "arrivals_s": one.arrivals_s, "nodes": seen[BUFFER].nodes(), **figures}
    told |= {"guarantee_mib": one.guarantee_mib, "guarantee_cores": one.guarantee_cores}
    differences = semester.check_day(replace(Parameters(), **fitted), told)
    report.write(
        "class_day",
        figures,
        parameters=fitted,
        day=told,
        differences=differences,
        seats={design: day.seats for design, day in seen.items()},
    )
    for sentence in (*differences, json.dumps(figures), json.dumps(fitted)):
        say(sentence)
    if students != STUDENTS:
        say(f"{students} students are a quick look: no table is written")
        return
    report.table("class_day", rows(seen, one))
    report.table("class_day-replay", [["figure", "engine", "replay"], *(split(sentence) for sentence in differences)])
    wrong = report.beyond(figures, MOST)
    if wrong:
        report.fail("; ".join(wrong))


def parameters_of(students: int) -> Parameters:
    """Return the day's parameters: the replay's, with a class of so many who come at the published rate."""
    return replace(
        Parameters(),
        weeks=1,
        shape="all at once",
        students=students,
        attendance=1.0,
        arrivals_s=ARRIVALS_S * students / ARRIVED,
        register_s=float(REGISTER_S),
        guarantee_cores=0.1,
    )


def day_of(one: Parameters) -> Day:
    """Return the day, which begins when clusters are up and seats can be warm."""
    trace = [session for session in sessions(one) if session.lesson is not None]
    lead = timedelta(seconds=LEAD_S + one.boot_s + one.early_s)
    return Day(
        begin=datetime.now(UTC).replace(microsecond=0) + lead,
        arrivals=[session.start - (session.lesson or 0.0) for session in trace],
        leave=LEAVE_S,
        end=AT_NIGHT_S,
        boot_s=one.boot_s,
        early_s=one.early_s,
        start_s=one.start_s,
    )


def have(one: Parameters, programs: fake_nodes.Programs, folder: Path) -> dict[str, Seen]:
    """Have the day under each design, side by side; return what was seen of each."""
    machine, day = machine_of(one), day_of(one)
    render(machine, folder)

    def run(design: Design) -> Seen:
        own = folder / design.name
        own.mkdir()
        return Run(design, day, machine, programs)(own, folder)

    found = designs(one)
    with ThreadPoolExecutor(len(found)) as workers:
        return dict(zip((design.name for design in found), workers.map(run, found), strict=True))


def designs(one: Parameters) -> list[Design]:
    """Return the designs. By default a server asks for all that it is promised, here for what it starts with."""
    promised = _packing.Guarantee(one.guarantee_cores, one.guarantee_mib * MIB)
    fresh = _packing.Guarantee(one.guarantee_cores, one.start_mib * MIB)
    return [Design(DEFAULT, promised), *(Design(name, fresh, name) for name in (BUFFER, PLACEHOLDER))]


def render(machine: _packing.Machine, folder: Path) -> None:
    """Write the role's pool and its scheduler's profile into a folder. Ends the benchmark where that fails."""
    told = {
        "folder": str(folder),
        "coursehub_autoscaler_engine": "kwok",
        "coursehub_autoscaler_registration_delay": REGISTER_S,
        "coursehub_autoscaler_machine": told_of(machine),
        "coursehub_autoscaler_limit_nodes": 200,
        "coursehub_autoscaler_scheduler_image": "kube-scheduler",
    }
    command = [".venv/bin/ansible-playbook", "-i", "inventories/local", "bench/playbooks/autoscaler.yml"]
    done = subprocess.run([*command, "--extra-vars", json.dumps(told)], cwd=ROOT, check=False)
    if done.returncode != 0:
        report.fail(f"bench/playbooks/autoscaler.yml ended with {done.returncode}; see above")


def fitted_to(seen: Mapping[str, Seen]) -> dict[str, float]:
    """Return what the replay is to take from the engine, by the names that it has there."""
    default, ours = seen[DEFAULT], seen[BUFFER]
    found = {
        "decide_s": ours.decide_s(),
        "register_s": ours.register_s(),
        "start_s": ours.start_s(),
        "remove_s": ours.remove_s(),
        "default_decide_s": default.decide_s(),
        "default_remove_s": default.remove_s(),
    }
    return {name: round(value, 1) for name, value in found.items()}


def optimum(design: Design, one: Parameters) -> int:
    """Return the fewest nodes that hold the class: all servers are alike, so as many on each as it holds."""
    return ceil(one.students / _packing.seats_of(machine_of(one), design.guarantee))


def figures_of(seen: Mapping[str, Seen], one: Parameters) -> dict[str, float]:
    """Return the figures; those in ``MOST`` are judged. What is counted is of both designs of this collection."""
    by_name = {design.name: design for design in designs(one)}
    ours = [seen[BUFFER], seen[PLACEHOLDER]]
    return {
        "wait_p95_s": round(p95(seen[BUFFER].waits()), 1),
        "wait_p95_default_s": round(p95(seen[DEFAULT].waits()), 1),
        "wait_p95_placeholder_s": round(p95(seen[PLACEHOLDER].waits()), 1),
        "nodes_vs_optimum": round(seen[BUFFER].nodes() / optimum(by_name[BUFFER], one), 3),
        "unserved": sum(day.unserved() for day in ours),
        "lost": sum(day.lost() for day in ours),
        "left": sum(day.left() for day in ours),
    }


def rows(seen: Mapping[str, Seen], one: Parameters) -> list[list[str]]:
    """Return the table for people."""
    by_name = {design.name: design for design in designs(one)}
    names = (DEFAULT, BUFFER, PLACEHOLDER)

    def nodes(name: str) -> str:
        most, best = seen[name].nodes(), optimum(by_name[name], one)
        return f"{most} ({most / best:.2f})"

    return [
        ["what", "default engine", "calendar and buffer", "calendar and placeholders", "wanted"],
        ["wait, p95", *(f"{p95(seen[name].waits()):.1f} s" for name in names), f"at most {MOST['wait_p95_s']} s"],
        ["the longest wait", *(f"{max(seen[name].waits()):.1f} s" for name in names), ""],
        ["students who never had a server", *(f"{seen[name].unserved()}" for name in names), f"{MOST['unserved']}"],
        ["servers that were ended by the engine", *(f"{seen[name].lost()}" for name in names), f"{MOST['lost']}"],
        ["the fewest nodes that hold the class", *(f"{optimum(by_name[name], one)}" for name in names), ""],
        ["the most nodes at once (times the fewest)", *(nodes(name) for name in names), ""],
        ["hours of nodes", *(f"{seen[name].node_hours():.1f}" for name in names), ""],
        [
            "nodes left ten minutes after the class's begin",
            *(f"{seen[name].left()}" for name in names),
            f"{MOST['left']}",
        ],
    ]


def split(sentence: str) -> list[str]:
    """Return the cells of a sentence of ``semester.check_day``."""
    name, rest = sentence.split(": ")
    engine, replayed, _difference = rest.split(", ")
    return [f"`{name}`", engine.removesuffix(" on the engine"), replayed.removesuffix(" in the replay")]


if __name__ == "__main__":
    main()
