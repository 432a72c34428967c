"""How long snapshots of all disks of a course take: by this collection, by a playbook with a loop, and at the least.

1000 real disks of the lab. ``COURSEHUB_BENCH_DISKS=100`` is for a quick look: that writes the JSON, but no table, and
judges nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from statistics import median

from . import hub, report
from .report import ROOT, say
from .snapshot_runs import MANY, Bench, Measured, install_peer

DISKS = 1000
# What the figures must reach, and what they must not exceed.
LEAST = {"speedup_vs_loop": 20}
MOST = {"time_vs_floor": 1.2, "rss_mb_5000": 250, "info_1000_s": 3, "skip_unchanged_s": 10}


def main() -> None:
    """Measure, and write. Ends with 1 where a figure is not what it must be."""
    count = disks_of(os.environ)
    # Told to end, it cleans up as after a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))
    hub.refuse_beside_others()
    subprocess.run(["make", "lab"], cwd=ROOT, check=True)
    install_peer()
    measured = Measured(count)
    try:
        hub.play("storage", folder="bench/playbooks")
        Bench(measured, hub.KUBECONFIG, hub.CONTEXT).run()
    finally:
        # Of a run that fails, what it had found is not lost.
        say(f"measured: {json.dumps(vars(measured))}")
        hub.play("teardown", coursehub_confirm_removal=hub.NAME)
    figures = figures_of(measured)
    report.write("snapshots", figures, disks=count, memory_disks=MANY * count, values=vars(measured))
    tables = {"snapshots": rows(figures, measured), "snapshots-throttle": throttle_rows(measured.throttle)}
    quick = f"{count} disks" if count != DISKS else ""
    report.end(figures, report.beyond(figures, MOST, LEAST), tables, quick)


def disks_of(environment: Mapping[str, str]) -> int:
    """Return how many disks to make. Ends the benchmark for anything but a whole number from 1 on."""
    text = environment.get("COURSEHUB_BENCH_DISKS", str(DISKS))
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        report.fail(f"COURSEHUB_BENCH_DISKS is '{text}': write a number of disks, as 100")
    return int(text)


def per_minute(disks: int, seconds: float) -> float:
    """Return the disks a minute."""
    return disks * 60 / seconds


def figures_of(measured: Measured) -> dict[str, float]:
    """Return the figures that are judged."""
    ours = median(measured.ours)
    looped = per_minute(measured.loop_disks, measured.loop)
    return {
        "speedup_vs_loop": round(per_minute(measured.disks, ours) / looped, 1),
        "time_vs_floor": round(ours / median(measured.floor), 3),
        "rss_mb_5000": max(measured.rss_mb.values()),
        "info_1000_s": round(median(measured.info), 2),
        "skip_unchanged_s": round(measured.skip_unchanged, 2),
    }


def rows(figures: Mapping[str, float], measured: Measured) -> list[list[str]]:
    """Return the table for people."""

    def seconds(values: Sequence[float]) -> str:
        return f"{median(values):.1f} s ({min(values):.1f} to {max(values):.1f})"

    def loop(value: float) -> str:
        return f"{value:.1f} s for {measured.loop_disks}, {per_minute(measured.loop_disks, value):.0f} a minute"

    disks, rounds, ours = measured.disks, len(measured.ours), median(measured.ours)
    faster = per_minute(disks, ours) / per_minute(measured.loop_disks, measured.loop_all)
    return [
        ["what", "measured", "wanted"],
        [f"`student_disk_snapshot`, {disks} disks, median of {rounds}", seconds(measured.ours), ""],
        [f"floor, {disks} disks, median of {rounds}", seconds(measured.floor), ""],
        ["time, as a multiple of the floor's", f"{figures['time_vs_floor']}", f"at most {MOST['time_vs_floor']}"],
        ["disks a minute", f"{per_minute(disks, ours):.0f}", ""],
        [f"loop over `kubernetes.core.k8s`, {measured.loop_disks} disks", loop(measured.loop), ""],
        ["disks a minute, times the loop's", f"{figures['speedup_vs_loop']}", f"at least {LEAST['speedup_vs_loop']}"],
        ["the loop, with one wait for all", loop(measured.loop_all), ""],
        ["disks a minute, times that loop's", f"{faster:.1f}", ""],
        [
            f"second run with `skip_unchanged`, {disks} disks, nothing taken",
            f"{figures['skip_unchanged_s']} s",
            f"at most {MOST['skip_unchanged_s']} s",
        ],
        [
            f"`student_disk_info`, {disks} disks, the module's process",
            f"{figures['info_1000_s']} s",
            f"at most {MOST['info_1000_s']} s",
        ],
        ["the same by `ansible-playbook`", f"{measured.info_playbook:.2f} s", ""],
        *(
            [f"memory of `{name}`, {MANY * disks} disks", f"{value} MB", f"at most {MOST['rss_mb_5000']} MB"]
            for name, value in measured.rss_mb.items()
        ),
    ]


def throttle_rows(measured: Sequence[Mapping[str, float]]) -> list[list[str]]:
    """Return the table of what the sidecars' throttle does."""
    head = ["requests a second", "burst", "disks", "time", "disks a minute"]
    return [
        head,
        *(
            [
                f"{one['qps']}",
                f"{one['burst']}",
                f"{one['disks']}",
                f"{one['seconds']:.1f} s",
                f"{per_minute(int(one['disks']), one['seconds']):.0f}",
            ]
            for one in measured
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
