"""The routes of a class of 1000: written while its servers start, 64 side by side, and again after Redis was emptied.

traefik with the role's settings over a Redis with the role's, through the hub's own class; beside it
configurable-http-proxy. ``COURSEHUB_BENCH_ROUTES=100`` is for a quick look: it writes no table.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from . import chp, class_start, environment, hub, proxy, report
from .api_server import artefacts, images
from .report import ROOT, fail, say

ROUTES = 1000
# What the figures must not exceed. Minutes of work that a proxy is behind with are minutes in which a change of a route
# is not seen; written one event a key, it was more than that.
MOST = {"slowest_route_s": 5.0, "busy_s": 30.0, "again_s": 10.0}


def main() -> None:
    """Measure, and write. Ends with 1 where a figure is above its limit."""
    hub.refuse_beside_others()
    routes = int(os.environ.get("COURSEHUB_BENCH_ROUTES", ROUTES))
    (image,), (traefik,) = images("proxy"), artefacts("go-traefik")
    program = chp.install()
    environment.install(class_start.VENV, class_start.REQUIREMENTS, "what the hub's image has")
    with (
        tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name,
        proxy.echo(200, 1) as (target,),
        proxy.echo(404, 1) as (nobody,),
    ):
        with proxy.ours(Path(name), traefik / "traefik", image, nobody) as running:
            ours = seen("ours", running, target, routes)
        with proxy.peer(program, nobody) as running:
            default = seen("chp", running, target, routes)
    figures = figures_of(ours, default)
    report.write("routes", figures, routes=routes, ours=ours, chp=default)
    quick = f"{routes} routes" if routes != ROUTES else ""
    report.end(figures, report.beyond(figures, MOST), {"routes": rows(ours, default)}, quick)


def seen(kind: str, running: proxy.Running, target: int, routes: int) -> dict[str, Any]:
    """Let a proxy have the routes; return what its client saw."""
    say(f"{kind}: {routes} routes")
    command = [
        *(str(class_start.VENV / "bin/python"), "bench/route_class.py", kind, json.dumps(running.settings)),
        *map(str, (running.port, running.process, target, routes)),
    ]
    told = {**os.environ, "PYTHONPATH": f"{ROOT / 'images/hub'}:{ROOT / 'bench'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        fail(f"the routes of {kind} were not written; see above")
    return dict(json.loads(done.stdout))


def figures_of(ours: dict[str, Any], default: dict[str, Any]) -> dict[str, float]:
    """Return the figures; those of the peer end with ``_chp``."""
    both = {
        f"{name}{suffix}": round(value, 2)
        for suffix, one in (("", ours), ("_chp", default))
        for name, value in {
            "all_s": one["all_s"],
            "route_s": median(one["route_s"]),
            "slowest_route_s": max(one["route_s"]),
            "busy_s": one["busy_s"],
            "compare_s": one["compare_s"],
        }.items()
    }
    return {**both, "again_s": round(ours["again_s"], 2), "again_busy_s": round(ours["again_busy_s"], 2)}


def rows(ours: dict[str, Any], default: dict[str, Any]) -> list[list[str]]:
    """Return the table for people."""

    def row(what: str, name: str, most: str = "") -> list[str]:
        cells = [f"{one[name]:.1f} s" if name in one else "" for one in (ours, default)]
        return [what, *cells, most]

    def route(one: dict[str, Any]) -> str:
        return f"{median(one['route_s']):.2f} s, slowest {max(one['route_s']):.2f} s"

    return [
        ["what", "this proxy", "configurable-http-proxy", "at most"],
        row(f"until all {ROUTES} are served", "all_s"),
        ["of each, median", route(ours), route(default), f"slowest {MOST['slowest_route_s']:.0f} s"],
        row("the proxy's processor, until it is quiet", "busy_s", f"{MOST['busy_s']:.0f} s"),
        row("the hub's comparison of all routes", "compare_s"),
        row(
            "after Redis was emptied, until a new route is served, and all others",
            "again_s",
            f"{MOST['again_s']:.0f} s",
        ),
        row("the proxy's processor for that", "again_busy_s"),
    ]


if __name__ == "__main__":
    main()
