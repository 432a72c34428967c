"""What students notice when parts of a hub are taken away: of this collection's, and of a default JupyterHub.

Six students at work in each, on one cluster of three nodes; the same is broken in both, in one after the other. Only
the hour without a hub is the same hour for both: all takes two and a half of them.
``COURSEHUB_HUB_AWAY_S=330 COURSEHUB_BENCH_PATIENCE_S=120`` is for a quick look: it writes no table.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import chp, engine, hub, report, scenario
from .api_server import images
from .report import ROOT, say

REPORTS = ROOT / "build/reports"
OURS, DEFAULT = "tests/e2e/faults", "tests/e2e/default_hub"
# The test of either folder that takes the hub away.
AWAY = "away_for_long"
# The reports that they write.
NAMES = ("faults", "faults_default")
# As the tests name them.
CASES = {
    "hub_killed": "the hub is killed",
    "hub_frozen": "the hub freezes, and wakes up later",
    "hub_away": "the hub is away",
    "proxy_killed": "a proxy is killed",
    "proxy_node_stopped": "a proxy's node stops",
    "redis_killed": "Redis is killed",
    "redis_wiped": "Redis is wiped",
    "redis_full": "Redis is full",
    "redis_away": "Redis is away for 2 min",
    "hub_node_stopped": "the hub's node stops",
    "hub_and_redis_node_stopped": "the node of the hub and of Redis stops",
    "hub_kubelet_stopped": "the kubelet of the hub's node stops; then the hub's pod is given up",
    "database_node_stopped": "the node of a database in the cluster stops",
    "student_node_stopped": "a student's node stops (the others' requests)",
    "api_away": "the API server is away for 3 min; a start is asked for",
    "database_full": "the database's disk is full, and grows",
    "upgrade": "every part is upgraded",
    "upgrade_taken_back": "an upgrade fails, and is taken back",
    "bad_image": "an image that can't start; a new student comes",
}
AWAY_S, PATIENCE_S = 3600, 800
Outcomes = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Measure, and write. Ends with 1 where a student of this collection's hub noticed something."""
    # Told to end, it cleans up as after a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))
    hub.refuse_beside_others()
    for name, value in (("COURSEHUB_HUB_AWAY_S", AWAY_S), ("COURSEHUB_BENCH_PATIENCE_S", PATIENCE_S)):
        os.environ.setdefault(name, str(value))
    image, singleuser = peer_image()
    for name in NAMES:
        _path(name).unlink(missing_ok=True)
    try:
        scenario.stand_up("faults")
        told = {"default_hub_image": image, "singleuser_image": singleuser, "default_hub_token": secrets.token_hex(32)}
        if not scenario.play("bench/playbooks/default_hub.yml", told):
            report.fail("the default JupyterHub was not stood up; see above")
        with ThreadPoolExecutor(2) as pool:
            away_well, default_well = pool.map(lambda tests: scenario.verify(tests, AWAY), (OURS, DEFAULT))
        ours, default = map(outcomes, NAMES)
        well = scenario.verify(OURS, f"not {AWAY}") and away_well
        default_well = scenario.verify(DEFAULT, f"not {AWAY}") and default_well
    finally:
        scenario.remove()
    if not default_well:
        report.fail("not every case of the default JupyterHub was measured; see above")
    # The tests wrote their reports anew.
    ours, default = (earlier | outcomes(name) for earlier, name in zip((ours, default), NAMES, strict=True))
    away = os.environ["COURSEHUB_HUB_AWAY_S"]
    report.write("faults", figures_of(ours, default), hub_away_s=float(away), ours=ours, default=default)
    if float(away) < AWAY_S:
        say("a quick look: no table is written")
    else:
        report.table("faults", rows(ours, default))
    if not well:
        report.fail("not every case passed; see above")


def peer_image() -> tuple[str, str]:
    """Build the image of the default JupyterHub; return it, and the students' image."""
    base, singleuser = images("hub", "singleuser")
    program = chp.install()
    containerfile = ROOT / "bench/default_hub/Containerfile"
    digest = hashlib.sha256(base.encode() + containerfile.read_bytes() + (program / "installed.json").read_bytes())
    reference = f"localhost/coursehub/default-hub:{digest.hexdigest()[:16]}"
    say("building the image of the default JupyterHub")
    engine.build(reference, containerfile, program, BASE=base)
    return reference, singleuser


def outcomes(name: str) -> dict[str, dict[str, Any]]:
    """Return what the tests wrote, by case; nothing where they did not come so far."""
    return dict(json.loads(_path(name).read_text(encoding="utf-8"))) if _path(name).exists() else {}


def _path(name: str) -> Path:
    return REPORTS / f"{name}.json"


def figures_of(ours: Outcomes, default: Outcomes) -> dict[str, float | None]:
    """Return the figures: of each case ``failed``, ``longest_gap_s`` and ``recovery_s``, of both hubs."""
    return {
        f"{case}{suffix}_{name}": one[name] if one[name] is None else round(one[name], 1)
        for suffix, all_of in (("", ours), ("_default", default))
        for case, one in all_of.items()
        for name in ("failed", "longest_gap_s", "recovery_s")
    }


def rows(ours: Outcomes, default: Outcomes) -> list[list[str]]:
    """Return the table for people: failed requests, longest gap and recovery of both hubs."""

    def cells(one: Mapping[str, Any] | None) -> list[str]:
        if one is None:
            return ["", "", ""]
        recovery = "not seen" if one["recovery_s"] is None else f"{one['recovery_s']:.1f} s"
        return [f"{one['failed']} of {one['requests']}", f"{one['longest_gap_s']:.1f} s", recovery]

    head = ["what is broken", "failed", "longest gap", "recovery", "failed, default", "longest gap", "recovery"]
    return [
        head,
        *([text, *cells(ours.get(case)), *cells(default.get(case))] for case, text in CASES.items()),
    ]


if __name__ == "__main__":
    main()
