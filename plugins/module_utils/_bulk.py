# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Work on all students at once: every one is tried, each has a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Requests on their way at once. The API server takes 400 by default, and shares them out by fairness.
WORKERS = 16


def each(
    items: Iterable[Item], work: Callable[[Item], Result], workers: int = WORKERS
) -> tuple[dict[Item, Result], dict[Item, CoursehubError]]:
    """Do the work for each item, ``workers`` at a time; return the results and the errors, by item.

    One item's CoursehubError stops no other; any other exception is a defect and is raised.
    """
    results: dict[Item, Result] = {}
    errors: dict[Item, CoursehubError] = {}

    def one(item: Item) -> None:
        try:
            results[item] = work(item)
        except CoursehubError as error:
            errors[item] = error

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for future in [pool.submit(one, item) for item in items]:
            future.result()
    return results, errors


def summary(failed: Mapping[str, str], total: int) -> str:
    """Return one sentence that names the students of whom something failed."""
    named = "; ".join(f"{student}: {reason}" for student, reason in sorted(failed.items()))
    return f"{len(failed)} of {total} students failed: {named}"
