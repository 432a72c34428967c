# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A page that shows how a cluster was used: one file with its plots in it, that loads nothing; without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import accumulate, pairwise
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost

WIDTH, HEIGHT, MARGIN = 720, 220, 40
# More points than pixels are only a larger file.
POINTS = 720
_COLOURS = ("#1f77b4", "#d62728", "#7f7f7f")
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}"
    "td+td{text-align:right}svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}"
)

Line = Sequence[tuple[float, float]]


def page(told: _cost.Usage, result: Mapping[str, Any]) -> str:
    """Return the page, as HTML, of what was counted and of what ``_cost.as_result`` says of it."""
    points = told.points
    hours = [(one.at - points[0].at).total_seconds() / 3600 for one in points]
    seats = [(at, float(one.seats)) for at, one in zip(hours, points, strict=True)]
    servers = [(at, float(one.servers)) for at, one in zip(hours, points, strict=True)]
    costs = [one.cost_an_hour for one in points]
    spans = [0.0 if b - a > _cost.GAP.total_seconds() / 3600 else b - a for a, b in pairwise(hours)]
    spent = list(accumulate([0.0, *(cost * span for cost, span in zip(costs, spans, strict=False))]))
    most = max(costs)
    static = list(accumulate([0.0, *(most * span for span in spans)]))
    memory = {
        "asked": [(at, one.asked_mib / 1024) for at, one in zip(hours, points, strict=True)],
        "in use": [
            (at, one.used_mib / 1024) for at, one in zip(hours, points, strict=True) if one.used_mib is not None
        ],
    }
    waits = sorted(told.waits)
    ranks = [(100 * (number + 1) / len(waits), wait) for number, wait in enumerate(waits)]
    rows = [(name.replace("_", " "), value) for name, value in result.items() if not isinstance(value, dict)]
    return "\n".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>How the cluster was used</title>',
            f"<style>{_STYLE}</style><h1>How the cluster was used</h1>",
            _table(rows),
            "<h2>Seats and servers</h2>",
            plot({"seats": seats, "servers": servers}, "hours", steps=True),
            "<h2>GiB of memory that servers ask for, and have in use where somebody looked</h2>",
            plot({name: line for name, line in memory.items() if line}, "hours", steps=True),
            "<h2>Cost, beside a static fleet</h2>",
            plot(
                {
                    "this cluster": list(zip(hours, spent, strict=True)),
                    "static": list(zip(hours, static, strict=True)),
                },
                "hours",
            ),
            "<h2>Seconds until a server ran, for so many percent of starts</h2>",
            plot({"seconds": ranks}, "percent of starts") if ranks else "<p>No start was sampled.</p>",
            "<h2>By course</h2>",
            _table(sorted(result["by_course"].items(), key=lambda one: -one[1])),
            "</html>\n",
        )
    )


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def plot(lines: Mapping[str, Line], unit: str, *, steps: bool = False) -> str:
    """Return a plot as SVG: one curve a line, both axes from zero. ``steps`` hold each value until the next."""
    right = max((x for line in lines.values() for x, _y in line), default=0) or 1.0
    top = max((y for line in lines.values() for _x, y in line), default=0) or 1.0
    width, height = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN

    def point(x: float, y: float) -> str:
        return f"{MARGIN + width * x / right:.1f},{HEIGHT - MARGIN - height * y / top:.1f}"

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(", ".join(lines))}">']
    parts.append(f'<path d="M{MARGIN},{MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#999"/>')
    parts.append(f'<text x="2" y="{MARGIN + 4}">{top:.4g}</text><text x="2" y="{HEIGHT - MARGIN}">0</text>')
    parts.append(f'<text x="{WIDTH - MARGIN}" y="{HEIGHT - 22}" text-anchor="end">{right:.4g} {escape(unit)}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn = thinned(line)
        if steps:
            drawn = [at for one, after in pairwise(drawn) for at in (one, (after[0], one[1]))] + list(drawn[-1:])
        points = " ".join(point(x, y) for x, y in drawn)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{MARGIN + 8 + 140 * number}" y="20" style="fill:{colour}">{escape(name)}</text>')
    return "".join((*parts, "</svg>"))


def thinned(line: Line) -> list[tuple[float, float]]:
    """Return at most ``POINTS`` points: of each stretch the highest one, so that no peak is lost, and the last."""
    if len(line) <= POINTS:
        return list(line)
    step = -(-len(line) // (POINTS - 1))
    return [max(line[at : at + step], key=lambda one: one[1]) for at in range(0, len(line), step)] + [line[-1]]
