"""Exports to Google Drive: our exporter beside rclone, on one emulated Drive with Drive's limits, and beside the limit.

The first export goes at the pace that Drive has for one identity. The second one, and one of 1 % changed files, are of
a larger course, whose first export is let through without that pace. ``COURSEHUB_BENCH_STUDENTS=2`` is for a quick
look: that writes the JSON, but no table, and judges nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from . import drive_homes, drive_planning, drive_runs, report
from .drive_homes import KIB, MIB, Shape
from .drive_runs import WRITES_PER_SECOND, Ours, Peer, Run
from .report import fail, say

# At Drive's pace; two of five have data sets.
TIMED = Shape(5, 6, 6, 1, (4 * KIB, 64 * KIB), 128 * KIB, 3, (16 * MIB, 48 * MIB))
# 200 files each: for calls, whatever the pace.
COURSE = Shape(50, 20, 8, 2, (2 * KIB, 4 * KIB), 2 * KIB)
PLANNED = Shape(1000, 20, 8, 2, (0, 0), 0)
# A folder as data sets of pictures or tokens have it.
TINY = Shape(1, 1, 0, 1000, (0, 0), KIB)
# Of one student who has a data set as large as a film.
LARGE_BYTES, QUICK_BYTES = 5 * 10**9, 100 * 10**6
# The fastest of what was tried: by itself rclone is faster than Drive takes it, is refused, and waits too long.
FLAGS = ("--fast-list", "--tpslimit=4", "--transfers=2")
FREE = {
    "bundle": "never",
    "threads": 16,
    "identity_units_per_minute": 1e9,
    "project_units_per_minute": 1e9,
}
UNPACED = ("--drive-pacer-min-sleep=1ms",)
# With one checker it asks for fifty folders in a call, with eight for what each of them has come by.
FEWEST_CALLS = ("--fast-list", "--checkers=1")
PERCENT = 1
# What the figures must not exceed. Of a changed file: itself, and where it is its student's only one, the list twice.
MOST = {
    "time_vs_floor": 1.1,
    "time_vs_rclone": 1.0,
    "second_run_bytes": 0,
    "second_run_calls_vs_rclone": 0.1,
    "calls_per_changed_file": 3.5,
    "plan_1000_s": 60,
    "plan_1000_mb": 500,
    "large_file_mb": 128,
}


@dataclass
class Measured:
    """What was measured; counts are of files, folders and students, times in seconds."""

    students: int
    things: int
    bytes: int
    floor: float
    ours: Run
    peer: Run
    course: int
    course_files: int
    second: Run
    peer_second: Run
    peer_second_plain: Run
    changed_files: int
    changed: Run
    peer_changed: Run
    tiny: Run
    large_bytes: int
    large: Run
    peer_large: Run
    planned: int
    planned_files: int
    plan: Run


def main() -> None:
    """Measure, and write. Ends with 1 where a figure is not what it must be."""
    count = students_of(os.environ)
    if shutil.which("rclone") is None:
        fail("this runs rclone (Debian's name) beside the exporter: install it")
    shapes = [replace(one, students=min(one.students, count or one.students)) for one in (TIMED, COURSE, PLANNED)]
    large = Shape(1, 0, 0, 0, (0, 0), 0, data_bytes=(QUICK_BYTES if count else LARGE_BYTES,))
    with tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name:
        measured = measure(Path(name), *shapes, large)
    say(f"measured: {json.dumps(asdict(measured))}")
    figures = figures_of(measured)
    report.write("drive", figures, flags=FLAGS, writes_per_second=WRITES_PER_SECOND, values=asdict(measured))
    quick = f"{count} students" if count is not None else ""
    report.end(figures, report.beyond(figures, MOST), {"drive": rows(figures, measured)}, quick)


def students_of(environment: Mapping[str, str]) -> int | None:
    """Return how many students a quick look has at most, None for the whole. Ends the benchmark for anything else."""
    text = environment.get("COURSEHUB_BENCH_STUDENTS")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        fail(f"COURSEHUB_BENCH_STUDENTS is '{text}': write a number of students, as 2")
    return int(text)


def measure(folder: Path, timed: Shape, course: Shape, planned: Shape, large: Shape) -> Measured:
    """Run everything, one after the other."""
    say(f"first export at {WRITES_PER_SECOND} files a second, at least {floor(timed):.0f} s each")
    with drive_runs.place(folder / "timed", timed) as place:
        place.limit(user_writes_per_second=WRITES_PER_SECOND)
        ours = Ours(place, bundle="never").run(WRITES_PER_SECOND)
        say(f"exporter: {ours}")
        peer = Peer(place, FLAGS).run()
        say(f"rclone: {peer}")
    with drive_runs.place(folder / "tiny", TINY) as place:
        place.limit(user_writes_per_second=WRITES_PER_SECOND)
        tiny = Ours(place).run(WRITES_PER_SECOND)
        say(f"many tiny files: {tiny}")
    say(f"a file of {drive_homes.size(large) / 1e9:g} GB")
    with drive_runs.place(folder / "large", large) as place:
        one, peer_one = Ours(place, **FREE).run(), Peer(place, UNPACED).run()
        say(f"exporter: {one}; rclone: {peer_one}")
    shutil.rmtree(folder / "large")
    say(f"a course of {course.students}: first export without that pace, then calls")
    with drive_runs.place(folder / "course", course) as place:
        place.limit(user_units_per_minute=0, project_units_per_minute=0)
        exporter, rclone = Ours(place, **FREE), Peer(place, UNPACED)
        say(f"exporter: {exporter.run()}")
        second = exporter.run()
        say(f"second run: {second}")
        say(f"rclone: {rclone.run()}")
        peer_second, peer_second_plain = rclone.run(*FEWEST_CALLS), rclone.run()
        say(f"second run: {peer_second}, without --fast-list {peer_second_plain}")
        these = drive_homes.changed(course, PERCENT)
        drive_homes.change(place.homes, these)
        changed, peer_changed = exporter.run(), rclone.run(*FEWEST_CALLS)
        say(f"{len(these)} files changed: {changed}; rclone: {peer_changed}")
    say(f"planning {planned.students} students")
    plan = _plan(folder, planned)
    say(f"planned: {plan}")
    return Measured(
        students=timed.students,
        things=drive_homes.things(timed),
        bytes=drive_homes.size(timed),
        floor=floor(timed),
        ours=ours,
        peer=peer,
        course=course.students,
        course_files=drive_homes.count(course),
        second=second,
        peer_second=peer_second,
        peer_second_plain=peer_second_plain,
        changed_files=len(these),
        changed=changed,
        peer_changed=peer_changed,
        tiny=tiny,
        large_bytes=drive_homes.size(large),
        large=one,
        peer_large=peer_one,
        planned=planned.students,
        planned_files=drive_homes.count(planned),
        plan=plan,
    )


def _plan(folder: Path, shape: Shape) -> Run:
    with drive_runs.place(folder / "planned", shape) as place:
        exporter = Ours(place)
        names = drive_homes.names(shape)
        drive_planning.pretend(place.drive, exporter.drive_id, place.homes, exporter.state, names)
        place.counted(0)
        plan = exporter.run()
    if plan.sent or plan.calls > shape.students / 10 + 5:
        fail(f"planning was to find nothing to do, and it took {plan}")
    return plan


def floor(shape: Shape) -> float:
    """Return the seconds that Drive's pace alone dictates for all files and folders, of which two may come at once."""
    return (drive_homes.things(shape) - WRITES_PER_SECOND) / WRITES_PER_SECOND


def figures_of(measured: Measured) -> dict[str, float]:
    """Return the figures that are judged."""
    return {
        "time_vs_floor": round(measured.ours.seconds / measured.floor, 3),
        "time_vs_rclone": round(measured.ours.seconds / measured.peer.seconds, 3),
        "second_run_bytes": measured.second.sent,
        "second_run_calls_vs_rclone": round(measured.second.calls / measured.peer_second.calls, 3),
        "calls_per_changed_file": round(measured.changed.calls / measured.changed_files, 2),
        "plan_1000_s": round(measured.plan.seconds, 1),
        "plan_1000_mb": measured.plan.rss_mb,
        "large_file_mb": measured.large.rss_mb,
    }


def rows(figures: Mapping[str, float], measured: Measured) -> list[list[str]]:
    """Return the table for people."""

    def first(run: Run) -> str:
        return f"{run.seconds:.1f} s, {run.calls} calls, {run.refused} refused"

    def later(run: Run) -> str:
        return f"{run.calls} calls, {run.sent} bytes, {run.seconds:.1f} s"

    at_pace = (
        f"first export, {measured.students} homes, {measured.things} files and folders, {measured.bytes >> 20} MiB"
    )
    course = f"{measured.course} homes, {measured.course_files} files"
    return [
        ["what", "exporter", "rclone", "wanted"],
        [at_pace, first(measured.ours), first(measured.peer), ""],
        ["the limit alone", f"{measured.floor:.1f} s", f"{measured.floor:.1f} s", ""],
        [
            "time, times the limit's",
            f"{figures['time_vs_floor']}",
            f"{measured.peer.seconds / measured.floor:.3f}",
            f"at most {MOST['time_vs_floor']}",
        ],
        ["time, times rclone's", f"{figures['time_vs_rclone']}", "", f"at most {MOST['time_vs_rclone']}"],
        [f"second run, {course}", later(measured.second), later(measured.peer_second), "0 bytes"],
        ["the same without `--fast-list`", "", later(measured.peer_second_plain), ""],
        [
            "calls, times rclone's",
            f"{figures['second_run_calls_vs_rclone']}",
            "",
            f"at most {MOST['second_run_calls_vs_rclone']}",
        ],
        [f"{measured.changed_files} of these files changed", later(measured.changed), later(measured.peer_changed), ""],
        [
            "calls a changed file",
            f"{figures['calls_per_changed_file']}",
            f"{measured.peer_changed.calls / measured.changed_files:.2f}",
            f"at most {MOST['calls_per_changed_file']}",
        ],
        ["a folder of 1000 tiny files, `bundle: auto`, at that pace", first(measured.tiny), "", ""],
        [
            f"a file of {measured.large_bytes / 1e9:g} GB, as fast as it goes; the most memory",
            f"{measured.large.seconds:.0f} s, {measured.large.calls} calls, {figures['large_file_mb']} MB",
            f"{measured.peer_large.seconds:.0f} s, {measured.peer_large.calls} calls",
            f"at most {MOST['large_file_mb']} MB",
        ],
        [
            f"planning {measured.planned} homes, {measured.planned_files} files",
            f"{figures['plan_1000_s']} s, {figures['plan_1000_mb']} MB",
            "",
            f"at most {MOST['plan_1000_s']} s, {MOST['plan_1000_mb']} MB",
        ],
    ]


if __name__ == "__main__":
    sys.exit(main())
