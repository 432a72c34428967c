# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work on all students at once: every one is tried, each has a result."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Requests on their way at once. The API server takes 400 by default, and shares them out by fairness.
WORKERS = 16
# Students that a failure's message names; the result has all.
NAMED = 20
# What many reasons say themselves.
AGAIN = "run this again"


def each(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    workers: int = WORKERS,
    progress: _progress.Phase | None = None,
) -> tuple[dict[Item, Result], dict[Item, CoursehubError]]:
    """Do the work for each item, ``workers`` at a time; return the results and the errors, by item.

    One item's CoursehubError stops no other; any other exception is a defect and is raised.
    """
    results: dict[Item, Result] = {}
    errors: dict[Item, CoursehubError] = {}
    phase = progress or _progress.Progress().phase("", 0)

    def one(item: Item) -> None:
        phase.started(item)
        try:
            results[item] = work(item)
        except CoursehubError as error:
            errors[item] = error
            phase.failed(item)
        else:
            phase.done(item)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for future in [pool.submit(one, item) for item in items]:
            future.result()
    return results, errors


def summary(failed: Mapping[str, str], total: int, what: str = "students") -> str:
    """Return one sentence that names the students, or what else there are, of whom something failed, with the reasons
    and what to do.

    Those with the same reason are named together, the most first. Of many, some are named for each reason.
    """
    groups: dict[str, list[str]] = {}
    for student, reason in sorted(failed.items()):
        groups.setdefault(_without_names(student, reason), []).append(student)
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1]))[:NAMED]
    spare = NAMED - len(ranked)
    named, words = 0, []
    for shared, students in ranked:
        shown = students[: 1 + spare]
        spare -= len(shown) - 1
        named += len(shown)
        reason = failed[students[0]] if len(students) == 1 else shared
        words.append(f"{', '.join(shown)}{', ...' if len(shown) < len(students) else ''}: {reason}")
    if named < len(failed):
        words.append(f"and {len(failed) - named} more, see {what} in the result")
    if not all(AGAIN in reason for reason in failed.values()):
        words.append(f"when that is mended, {AGAIN} for them")
    return f"{len(failed)} of {total} {what} failed: {'; '.join(words)}"


def _without_names(student: str, reason: str) -> str:
    """Return a reason without the student's own name in it, also as KubeSpawner writes it in names of objects."""
    slug = re.sub("[^a-z0-9]+", "-", student.lower()).strip("-")
    names = "|".join(re.escape(name) for name in (student, slug) if name)
    return re.sub(rf"(?<![A-Za-z0-9])(?:{names})(?:---[0-9a-f]{{8}})?(?![A-Za-z0-9])", "...", reason)
