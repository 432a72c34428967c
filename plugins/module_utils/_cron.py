# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How often a schedule comes, as cron writes it; without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

# Between two runs that count seats. Samples are kept so often, and after twice as long ``status`` says that none ran.
MOST_MINUTES = 5
_PART = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")


def check_frequent(schedule: str) -> None:
    """Raise CoursehubError for a schedule that leaves more than ``MOST_MINUTES`` between two runs, at any hour of any
    day: a limit that is not looked at ends nothing.
    """
    try:
        minutes, *others = schedule.split()
        due = sorted({minute for part in minutes.split(",") for minute in _minutes(part)})
        apart = max(after - one for one, after in pairwise([*due, due[0] + 60]))
    except ValueError:
        others, apart = [], 60
    if others != ["*"] * 4 or apart > MOST_MINUTES:
        raise CoursehubError(
            f"the schedule '{schedule}' does not come every {MOST_MINUTES} minutes of every day, and between two runs"
            " neither students who come nor money are counted: write '* * * * *', or '*/5 * * * *' at most"
        )


def _minutes(part: str) -> Iterator[int]:
    """Yield the minutes of an hour that a part of a schedule names. Raises ValueError for one that names none.

    https://pkg.go.dev/github.com/robfig/cron/v3#hdr-CRON_Expression_Format, which Kubernetes reads schedules with.
    """
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(part)
    first, last, step = match.groups()
    low = int(first or 0)
    # A number with a step goes on to the end of the hour.
    high = int(last) if last else 59 if step or not first else low
    if not low <= high <= 59:
        raise ValueError(part)
    yield from range(low, high + 1, int(step or 1))
