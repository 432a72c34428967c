"""What students are told of it; without I/O."""

from __future__ import annotations

from collections.abc import Iterable

from .rules import Limit, Night, Rules

KEEP = (
    "Your files stay. A cell that computes, a program in an open terminal, a job in the background for as long as it"
    " computes, a download, and what you do in the browser keep it running: to have it longer, do one of them before"
    " the time is over."
)


def for_all(rules: Rules) -> str:
    """Return it for everyone, empty where no server is ended."""
    groups = [f"For {name}: {_when(limit) or 'never'}." for name, limit in sorted(rules.groups.items())]
    words = [f"Your server is stopped {when}." if (when := _when(rules.limit)) else "", *groups, _night(rules.night)]
    return _joined(words) if not rules.empty else ""


def for_one(rules: Rules, groups: Iterable[str]) -> str:
    """Return it for someone in these groups, empty where the server is not ended."""
    when, night = _when(rules.limit_for(groups)), _night(rules.night)
    return _joined([f"Your server is stopped {when}." if when else "", night]) if when or night else ""


def _joined(words: Iterable[str]) -> str:
    return " ".join(word for word in (*words, KEEP) if word)


def _when(limit: Limit) -> str:
    idle = f"after {_span(limit.idle)} in which nothing happens in it" if limit.idle else ""
    age = f"{_span(limit.max_age)} after its start, whatever it does" if limit.max_age else ""
    return " and ".join(part for part in (idle, age) if part)


def _night(night: Night | None) -> str:
    if night is None:
        return ""
    when = f"from {night.begin:%H:%M} to {night.end:%H:%M} ({night.zone.key})"
    idle = f"At night, {when}, {_span(night.idle)} are enough." if night.idle else ""
    all_of_them = f"At {night.begin:%H:%M} ({night.zone.key}) all servers are stopped, whatever they do."
    return " ".join(part for part in (idle, all_of_them if night.everything else "") if part)


def _span(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}{'s' if seconds > size else ''}"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
