# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A page that shows how a cluster was used: one file with its plots in it, that loads nothing; without I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from html import escape
from itertools import accumulate, islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost

WIDTH, HEIGHT, MARGIN = 720, 220, 40
# More points than pixels are only a larger file.
POINTS = 720
# What a label of a time takes is 70 of the 640 pixels between the margins.
LABELS = 8
_HOURS = (1, 2, 3, 6, 12, 24)
_COLOURS = ("#1f77b4", "#d62728", "#7f7f7f")
_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}"
    "td+td{text-align:right}svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}"
)

Line = Sequence[tuple[float, float]]
Ticks = Sequence[tuple[float, str]]


def page(told: _cost.Usage, result: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Return the page, as HTML, of what was counted and what ``_cost.as_result`` says of it, by a zone's clock."""
    points = told.points
    hours = [(one.at - points[0].at).total_seconds() / 3600 for one in points]
    seats = [(at, float(one.seats)) for at, one in zip(hours, points, strict=True)]
    servers = [(at, float(one.servers)) for at, one in zip(hours, points, strict=True)]
    nodes = [(at, float(one.nodes)) for at, one in zip(hours, points, strict=True)]
    clock = ticks(points[0].at, points[-1].at, zone)
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
            f"<p>The plots are by the clock of {escape(zone.key)}.</p>",
            "<h2>Seats and servers, and nodes by the scale on the right</h2>",
            plot({"seats": seats, "servers": servers}, clock, right={"nodes": nodes}, steps=True),
            "<h2>GiB of memory that servers ask for, and have in use where somebody looked</h2>",
            plot({name: line for name, line in memory.items() if line}, clock, steps=True),
            "<h2>Cost, beside a static fleet</h2>",
            plot(
                {
                    "this cluster": list(zip(hours, spent, strict=True)),
                    "static": list(zip(hours, static, strict=True)),
                },
                clock,
            ),
            "<h2>Seconds until a server ran, for so many percent of starts</h2>",
            plot({"seconds": ranks}, [(at, f"{at} %") for at in (0, 50, 95)])
            if ranks
            else "<p>No start was sampled.</p>",
            "<h2>By course</h2>",
            _table(sorted(result["by_course"].items(), key=lambda one: -one[1])),
            "</html>\n",
        )
    )


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def ticks(first: datetime, last: datetime, zone: ZoneInfo) -> list[tuple[float, str]]:
    """Return at most ``LABELS`` times between two moments, as hours since the first one and as the clock says them:
    whole hours, days or weeks; of less than an hour its begin.
    """
    for hours in _steps():
        form = "%Y-%m-%d" if hours >= 24 else "%m-%d %H:%M"
        found = list(islice(_every(hours, first, last, zone), LABELS + 1))
        if len(found) <= LABELS:
            break
    told = found or [first.astimezone(zone)]
    return [((at.timestamp() - first.timestamp()) / 3600, at.strftime(form)) for at in told]


def _steps() -> Iterator[int]:
    yield from _HOURS
    hours = 24 * 7
    while True:
        yield hours
        hours *= 2


def _every(hours: int, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield each so many hours of the clock from the first day's begin on, as long as they are between two moments."""
    # Without a zone: where clocks are set, a day has 23 hours or 25, and its begin is midnight all the same.
    wall = datetime.combine(first.astimezone(zone).date(), time())
    # By way of UTC: an hour that is left out is the one after it.
    while (at := wall.replace(tzinfo=zone).astimezone(UTC)) <= last:
        if at >= first:
            yield at.astimezone(zone)
        wall += timedelta(hours=hours)


def plot(lines: Mapping[str, Line], at: Ticks, *, right: Mapping[str, Line] | None = None, steps: bool = False) -> str:
    """Return a plot as SVG: one curve a line, all axes from zero, with what is written below the lower one.

    Lines of ``right`` have a scale of their own, on that side. ``steps`` hold each value until the next.
    """
    right = right or {}
    end = max((x for line in (*lines.values(), *right.values()) for x, _y in line), default=0) or 1.0
    width, height = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    bottom, edge = HEIGHT - MARGIN, WIDTH - MARGIN
    names = [*lines, *right]
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(", ".join(names))}">']
    for x, text in at:
        place = f"{MARGIN + width * x / end:.1f}"
        parts.append(f'<path d="M{place},{MARGIN}V{bottom + 4}" stroke="#ddd"/>')
        parts.append(f'<text x="{place}" y="{HEIGHT - 22}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<path d="M{MARGIN},{MARGIN}V{bottom}H{edge}" fill="none" stroke="#999"/>')
    parts.append(f'<text x="2" y="{bottom}">0</text>')
    for scaled, x, anchor in ((lines, 2, "start"), (right, WIDTH - 2, "end")):
        top = max((y for line in scaled.values() for _x, y in line), default=0) or 1.0
        if scaled:
            parts.append(f'<text x="{x}" y="{MARGIN + 4}" text-anchor="{anchor}">{top:.4g}</text>')
        for name, line in scaled.items():
            number = names.index(name)
            colour = _COLOURS[number % len(_COLOURS)]
            drawn = thinned(line)
            if steps:
                drawn = [at for one, after in pairwise(drawn) for at in (one, (after[0], one[1]))] + list(drawn[-1:])
            points = " ".join(f"{MARGIN + width * x / end:.1f},{bottom - height * y / top:.1f}" for x, y in drawn)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            parts.append(f'<text x="{MARGIN + 8 + 140 * number}" y="20" style="fill:{colour}">{escape(name)}</text>')
    return "".join((*parts, "</svg>"))


def thinned(line: Line) -> list[tuple[float, float]]:
    """Return at most ``POINTS`` points: of each stretch the highest one, so that no peak is lost, and the last."""
    if len(line) <= POINTS:
        return list(line)
    step = -(-len(line) // (POINTS - 1))
    return [max(line[at : at + step], key=lambda one: one[1]) for at in range(0, len(line), step)] + [line[-1]]
