"""Students' homes for the benchmark ``drive``: many small notebooks, a few large data sets.

No study that we know of says what students' homes have. That there are 200 files a student is how courses are planned
here; what makes Drive slow is the number of files, not their size, and most of these are notebooks of some kilobytes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KIB, MIB = 1 << 10, 1 << 20
# An hour in 2020; what a file's time is in the benchmark changes with its content alone.
_TIME = 1_600_000_000


@dataclass(frozen=True)
class Shape:
    """How many students, weeks of a course, and files a week; what a notebook has in bytes, from and to; and which
    student in so many has data sets of these sizes.
    """

    students: int
    weeks: int
    notebooks: int
    tables: int
    notebook_bytes: tuple[int, int]
    table_bytes: int
    every: int = 1
    data_bytes: tuple[int, ...] = ()


@dataclass(frozen=True)
class File:
    """One file of a home, by its path and size in bytes."""

    path: str
    size: int


def names(shape: Shape) -> list[str]:
    """Return the students' names."""
    return [f"student-{number:04}" for number in range(shape.students)]


def files(shape: Shape, student: int) -> list[File]:
    """Return what a student has; the same for the same student."""
    chance = random.Random(student)  # noqa: S311 - no secret
    found = []
    for week in range(1, shape.weeks + 1):
        for number in range(1, shape.notebooks + 1):
            found.append(File(f"week {week:02}/lab {number:02}.ipynb", chance.randint(*shape.notebook_bytes)))
        for number in range(1, shape.tables + 1):
            found.append(File(f"week {week:02}/table {number:02}.csv", shape.table_bytes))
    if student % shape.every == 0:
        found += [File(f"data/set {number}.bin", size) for number, size in enumerate(shape.data_bytes, 1)]
    return found


def things(shape: Shape) -> int:
    """Return how many files and folders Drive is to have, with a folder for each student."""
    count = 0
    for student in range(shape.students):
        found = files(shape, student)
        count += 1 + len(found) + len({file.path.rpartition("/")[0] for file in found})
    return count


def count(shape: Shape) -> int:
    """Return how many files there are in all homes."""
    return sum(len(files(shape, student)) for student in range(shape.students))


def size(shape: Shape) -> int:
    """Return the bytes of all homes."""
    return sum(file.size for student in range(shape.students) for file in files(shape, student))


def write(shape: Shape, folder: Path) -> None:
    """Write all homes into a folder, each in one of its own."""
    for number, name in enumerate(names(shape)):
        for file in files(shape, number):
            path = folder / name / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            _fill(path, file.size, f"{name}/{file.path}")
            os.utime(path, (_TIME, _TIME))


def changed(shape: Shape, percent: int) -> list[tuple[str, File]]:
    """Return the files to change, with their students: every hundredth for 1 percent, so that it strikes many homes."""
    every = 100 // percent
    found = [(name, file) for number, name in enumerate(names(shape)) for file in files(shape, number)]
    return found[every // 2 :: every]


def change(folder: Path, these: Sequence[tuple[str, File]]) -> None:
    """Give files another content of the same size, and a later time."""
    for name, file in these:
        path = folder / name / file.path
        _fill(path, file.size, f"{name}/{file.path} changed")
        os.utime(path, (_TIME + 3600, _TIME + 3600))


def _fill(path: Path, size: int, seed: str) -> None:
    with path.open("wb") as target:
        for block in _blocks(size, seed):
            target.write(block)


def _blocks(size: int, seed: str) -> Iterator[bytes]:
    chance = random.Random(seed)  # noqa: S311 - no secret
    while size:
        block = chance.randbytes(min(size, MIB))
        yield block
        size -= len(block)
