"""What all benchmarks write: one JSON file for programs, one table for people."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "docs/benchmarks.md"


def today() -> str:
    """Return the date, as RFC 3339 has it, in UTC."""
    return datetime.now(UTC).date().isoformat()


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": os.cpu_count(), "memory_gib": round(pages / 2**30), "system": platform.system()}


def p95(seconds: Sequence[float]) -> float:
    """Return the 95th percentile by nearest rank: of 20 values, the 19th. Raises ValueError for none."""
    if not seconds:
        raise ValueError("no values")
    # Whole numbers: 0.95 is a little more than 95/100 and would take the 20th of 20.
    return sorted(seconds)[-(-len(seconds) * 95 // 100) - 1]


def write(name: str, figures: Mapping[str, float | None], **more: Any) -> Path:
    """Write ``build/bench/<name>.json``; return its path. ``more`` goes beside the figures.

    A figure is None where what it tells of did not happen.
    """
    path = ROOT / f"build/bench/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"bench": name, "figures": figures, "date": today(), "machine": machine(), **more}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def table(name: str, rows: Sequence[Sequence[str]]) -> None:
    """Put a benchmark's table in its place in the docs. The first row is the head.

    Raises ValueError where the docs have no place for it.
    """
    head, *body = rows
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body)]
    TABLES.write_text(replaced(TABLES.read_text(encoding="utf-8"), name, "\n".join(lines)), encoding="utf-8")


def replaced(text: str, name: str, content: str) -> str:
    """Return ``text`` with ``content`` between the marks of ``name``. Raises ValueError where there are none."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{TABLES.name} has no place '{begin} … {end}'")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{content}\n{end}{after}"


def beyond(
    figures: Mapping[str, float], most: Mapping[str, float] | None = None, least: Mapping[str, float] | None = None
) -> list[str]:
    """Return a sentence for each figure that is beyond its limit."""
    return [
        *(
            f"{name} is {figures[name]}, less than {limit}"
            for name, limit in (least or {}).items()
            if figures[name] < limit
        ),
        *(
            f"{name} is {figures[name]}, more than {limit}"
            for name, limit in (most or {}).items()
            if figures[name] > limit
        ),
    ]


def end(
    figures: Mapping[str, float], wrong: Sequence[str], tables: Mapping[str, Sequence[Sequence[str]]], quick: str = ""
) -> None:
    """Write a benchmark's tables, and end it with what is wrong, if anything is. ``quick`` says of what a quick look
    was: that only tells the figures.
    """
    if quick:
        say(f"{quick} are a quick look: no table is written; {json.dumps(figures)}")
        return
    for name, rows in tables.items():
        table(name, rows)
    if wrong:
        fail("; ".join(wrong))


def say(sentence: str) -> None:
    """Tell what happens: a benchmark takes minutes."""
    print(f"bench: {sentence}", flush=True)


def fail(sentence: str) -> None:
    """End the benchmark with one sentence."""
    sys.exit(f"bench: {sentence}")
