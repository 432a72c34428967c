"""Who works when in a semester: the parameters of the replay, and sessions made from them by a fixed seed.

What is published, and by whom:

- 450 students start within 8 minutes at a class; 2i2c and Berkeley's hubs, in the project's collected figures.
- A class of 350 meets twice a week for 75 to 90 minutes; its hub goes from 70 to 320 servers when it begins
  (github.com/berkeley-dsep-infra/datahub/issues/8377 and /5315).
- 610 of 2800 students of a week come on one day
  (blog.jupyter.org/accurately-counting-daily-weekly-monthly-active-users-on-jupyterhub-6fbec6c6ce2f).
- Two days before a deadline a third of 150 students were there at a time
  (github.com/berkeley-dsep-infra/datahub/issues/4312).
- Labs of three hours, three to four in a week for each student's section
  (github.com/berkeley-dsep-infra/datahub/issues/7610); an exam of 340 at once (/3048).
- 100 servers on a node never used more than 20 GB (github.com/jupyterhub/mybinder.org-deploy/pull/697); hardly anybody
  goes over 1 GiB (github.com/berkeley-dsep-infra/datahub/pull/1821).
- Data 8's hub promises each server 1 GB and a twentieth of a core, and lets none have more than 1 GB; Berkeley's hub
  for all courses promises 512 MB (github.com/berkeley-dsep-infra/datahub, deployments/data8/config/common.yaml and
  deployments/datahub/config/common.yaml).

Not published, so assumed, and varied by ``semester.ASSUMED``: that nine of ten come to a class, how long a student
works at home (median 50 minutes, spread 0.7), how the hours of a day share that, and what a server takes of memory
(median 260 MiB, spread 0.6; the last source only bounds it).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from math import ceil, log
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._calendar import Meeting

EPOCH = datetime(2026, 8, 31, tzinfo=UTC)  # a Monday
DAY_S = 86400
HOUR_S = 3600


@dataclass(frozen=True)
class Parameters:
    """All that the replay stands on; times in seconds, memory in MiB, prices an hour.

    The first block is what a run of the class_day benchmark measures on the real engine, and may overwrite.
    """

    decide_s: float = 10.0  # from a pod that fits nowhere to the order of a node
    register_s: float = 60.0  # from the order to a node that takes pods
    start_s: float = 10.5  # of a server on a node that is there: docs/benchmarks.md, setup, the floor
    remove_s: float = 60.0  # from a node that is no longer needed to its end, this design
    default_decide_s: float = 10.0  # the same two of the same engine as it comes
    default_remove_s: float = 60.0
    autoscaler_decide_s: float = 45.0  # cluster-autoscaler decides in 30 to 60 s
    autoscaler_remove_s: float = 600.0  # and lets a node go after 10 minutes

    seed: int = 8
    weeks: int = 15
    students: int = 1000
    shape: str = "lectures"
    attendance: float = 0.9
    arrivals_s: float = 480.0
    class_s: float = 5400.0
    # Of those who come in a week, how many come on a day for work at home; doubled on the day of the deadline.
    daily: float = 610 / 2800
    home_median_s: float = 3000.0
    home_sigma: float = 0.7
    # Parts of a day's work at home that begin in each hour.
    hours: tuple[float, ...] = (2, 1, 0.5, 0, 0, 0, 0.5, 1, 3, 5, 7, 7, 6, 8, 9, 9, 9, 8, 7, 8, 10, 10, 8, 5)
    # How the calendar is wrong: each class so much later than it is; every so-manieth missing (0: none); seats for this
    # part of who is enrolled.
    calendar_late_s: float = 0.0
    calendar_gap: int = 0
    calendar_seats: float = 1.0
    # Whether it names the groups of a class.
    calendar_groups: bool = False

    machine: str = "n2-highmem-2"
    cores: int = 2
    machine_mib: int = 16384
    disks: int = 127
    price: float = 400 / 730 / 4  # an n2-highmem-8 is 400 dollars a month; the type's prices are linear
    core_nodes: int = 2
    # What a node's own pods take: network, storage, metrics.
    system_mib: int = 512
    system_cores: float = 0.15

    # As Data 8's hub has them. A server that is resized starts with what the role hub promises by default, and moves
    # between the floor of the role autoscaler and the limit.
    guarantee_mib: int = 1024
    guarantee_cores: float = 0.05
    limit_mib: int = 1024
    start_mib: int = 512
    floor_mib: int = 256
    unpacked: float = 0.1
    idle_cores: float = 0.02
    used_median_mib: float = 260.0
    used_sigma: float = 0.6
    idle_after_s: float = 300.0
    cull_idle_s: float = 3600.0
    cull_every_s: float = 600.0
    # As the role autoscaler has them.
    early_s: float = 300.0
    peak_s: float = 900.0
    share: float = 1.0

    @property
    def boot_s(self) -> float:
        """Return the time from the need to a node, in this design."""
        return self.decide_s + self.register_s


def load(path: Path) -> Parameters:
    """Return the parameters with those that a JSON file has in place of the defaults; see ``of_data``."""
    return of_data(json.loads(path.read_text(encoding="utf-8")))


def of_data(told: Mapping[str, Any]) -> Parameters:
    """Return the parameters with those that are told in place of the defaults.

    Raises ValueError for a name that is none: a figure of the engine must not be passed over in silence.
    """
    unknown = sorted(set(told) - {one.name for one in fields(Parameters)})
    if unknown:
        raise ValueError(f"the replay has no parameter {', '.join(unknown)}")
    return replace(Parameters(), **told)


class Session(NamedTuple):
    """A student who works from ``start`` on for ``length`` seconds; ``used_mib`` is what the kernels come to take."""

    start: float
    student: int
    length: float
    used_mib: int
    # The begin of the class that it is for, or None.
    lesson: float | None


class Lesson(NamedTuple):
    """A class: seconds since the semester's begin, how long, and whose."""

    start: float
    length: float
    students: range


def at(seconds: float) -> datetime:
    """Return a moment of the semester."""
    return EPOCH + timedelta(seconds=seconds)


def lessons(parameters: Parameters) -> list[Lesson]:
    """Return the semester's classes, in order."""
    one = parameters
    found = []
    for week in range(one.weeks):
        for day, hour, length, students in _week(one):
            found.append(Lesson(week * 7 * DAY_S + day * DAY_S + hour * HOUR_S, length, students))
    return sorted(found, key=lambda lesson: lesson.start)


def group_of(students: range) -> str:
    """Return the name of the hub's group that a class's students are."""
    return f"{students.start}-{students.stop}"


def _week(one: Parameters) -> Iterator[tuple[int, float, float, range]]:
    """Yield day, hour, length and students of a week's classes."""
    half = one.students // 2
    if one.shape == "lectures":
        for days, hour, students in (((0, 2), 10, range(half)), ((1, 3), 14, range(half, one.students))):
            for day in days:
                yield day, hour, one.class_s, students
    elif one.shape == "in a row":
        # Of each half one lecture after the other, in the same room.
        for days, hour, students in (((0, 2), 10, range(half)), ((1, 3), 14, range(half, one.students))):
            for day in days:
                yield day, hour, one.class_s, students
                yield day, hour + one.class_s / HOUR_S, one.class_s, students
    elif one.shape == "labs":
        # Each student has one lab a week; four a day on five days.
        size = one.students // 20
        for number in range(20):
            yield number // 4, 9 + 3 * (number % 4), 10000.0, range(number * size, (number + 1) * size)
    elif one.shape == "all at once":
        yield 2, 10, one.class_s, range(one.students)
    elif one.shape != "homework":
        raise ValueError(f"there is no shape '{one.shape}'")


def meetings(parameters: Parameters) -> list[Meeting]:
    """Return the classes as the calendar tells them: all who are enrolled have a seat in it, unless it is wrong."""
    late, gap, part = parameters.calendar_late_s, parameters.calendar_gap, parameters.calendar_seats
    return [
        Meeting(
            at(one.start + late),
            at(one.start + late + one.length),
            "class",
            ceil(len(one.students) * part),
            (group_of(one.students),) if parameters.calendar_groups else (),
        )
        for number, one in enumerate(lessons(parameters), start=1)
        if not gap or number % gap
    ]


def sessions(parameters: Parameters) -> list[Session]:
    """Return who works when, in order, always the same for the same parameters."""
    one, dice = parameters, random.Random(parameters.seed)  # noqa: S311 - a replay, no secret
    found = []

    def used() -> int:
        return max(120, min(one.limit_mib, int(dice.lognormvariate(log(one.used_median_mib), one.used_sigma))))

    for lesson in lessons(one):
        for student in lesson.students:
            if dice.random() < one.attendance:
                # From three eighths of the rush before the hour on; most at the hour.
                start = lesson.start + one.arrivals_s * dice.triangular(-0.375, 0.625, 0.0)
                end = lesson.start + lesson.length + dice.triangular(-600, 300, 0)
                found.append(Session(start, student, max(300.0, end - start), used(), lesson.start))
    for day in range(one.weeks * 7):
        # The deadline is at the end of Thursday.
        part = one.daily * (2 if day % 7 == 3 else 1)
        for student in range(one.students):
            if dice.random() < part:
                hour = dice.choices(range(24), one.hours)[0]
                length = min(4 * HOUR_S, dice.lognormvariate(log(one.home_median_s), one.home_sigma))
                start = day * DAY_S + (hour + dice.random()) * HOUR_S
                found.append(Session(start, student, max(120.0, length), used(), None))
    return sorted(found, key=lambda one: (one.start, one.student))
