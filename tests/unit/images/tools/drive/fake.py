"""A Drive in memory that has just what an export asks for, to run whole exports against without a server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from coursehub_tools import tree
from coursehub_tools.drive import export, look, state, turn
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.export import Exported, Job
from coursehub_tools.drive.lists import Lists
from coursehub_tools.drive.objects import FOLDER_TYPE, ROLE, STUDENT, TURN, Drive, Fact
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.drive.report import Report
from coursehub_tools.drive.rows import MANIFEST


class PowerCutError(Exception):
    """The run is killed here."""


@dataclass
class Cloud:
    """What Drive has: facts and contents by id. ``cut`` is after how many writes the next run is killed."""

    facts: dict[str, Fact] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    cut: int = 0
    asked: list[str] = field(default_factory=list)
    read: list[str] = field(default_factory=list)

    def paths(self) -> list[str]:
        """Return where everything is, below the folder of the export."""
        return sorted(self._path(fact) for fact in self.facts.values() if not fact.trashed)

    def lists(self) -> list[str]:
        """Return the ids of the exports' lists."""
        return sorted(fact.id for fact in self.facts.values() if fact.role == MANIFEST)

    def _path(self, fact: Fact) -> str:
        above = self.facts.get(fact.parent)
        return f"{self._path(above)}/{fact.name}" if above else fact.name


class FakeDrive(Drive):
    """One student's part of it, asked as the real one is."""

    def __init__(self, cloud: Cloud, student: str, rates: Rates, turn: str = "") -> None:
        super().__init__(Client(None, Pacer(rates)), student, turn)
        self._cloud = cloud

    def get(self, file_id: str) -> Fact | None:
        self._cloud.asked.append("get")
        return self._cloud.facts.get(file_id)

    def all(self, drive: str) -> Iterator[Fact]:
        self._cloud.asked.append("all")
        return iter([fact for fact in self._cloud.facts.values() if not fact.trashed])

    def lists(self, drive: str) -> Iterator[Fact]:
        self._cloud.asked.append("lists")
        return (self._cloud.facts[one] for one in self._cloud.lists())

    def new_id(self, expected: int) -> str:
        return f"id{next(self._cloud.numbers):03}"

    def create(self, body: dict[str, Any], media: Any = None) -> Fact:
        assert body["id"] not in self._cloud.facts
        assert body["appProperties"][STUDENT] == self.student
        parent, folder = body.get("parents", [""])[0], body.get("mimeType") == FOLDER_TYPE
        role, turn = body["appProperties"][ROLE], body["appProperties"].get(TURN, "")
        return self._write(Fact(body["id"], body["name"], parent, folder, "", 0, 0, False, "", role, turn), media)

    def update(self, file_id: str, body: dict[str, Any], media: Any = None, **where: str) -> Fact:
        fact = self._cloud.facts[file_id]
        fact = replace(fact, name=body.get("name", fact.name), trashed=body.get("trashed", fact.trashed))
        fact = replace(fact, turn=body.get("appProperties", {}).get(TURN, fact.turn))
        return self._write(fact, media)

    def content(self, file_id: str, start: int, end: int) -> bytes:
        self._cloud.read.append(file_id)
        return self._cloud.contents[file_id][start:end]

    def _write(self, fact: Fact, media: Any) -> Fact:
        if media is not None:
            data = media.getbytes(0, media.size())
            self._cloud.contents[fact.id] = data
            fact = replace(fact, md5=hashlib.md5(data, usedforsecurity=False).hexdigest(), size=len(data))
        self._cloud.facts[fact.id] = fact
        self._cloud.cut -= 1
        if self._cloud.cut == 0:
            raise PowerCutError
        return fact


def run(
    cloud: Cloud, job: Job, report: Report | None = None, rates: Rates | None = None, lists: Lists | None = None
) -> Exported:
    """Export as ``export.run`` does, into this Drive."""
    with tree.top(job.source) as home, state.opened(job.own_state, job.student) as kept:
        drive = FakeDrive(cloud, job.student, rates or Rates(), turn.of(kept.folder))
        outcome = export._Export(job, drive, kept, home, report or Report(job.student)).run(lists)
        return Exported(outcome, kept.md5)


def killed(cloud: Cloud, job: Job, writes: int) -> None:
    """Export, and be killed after so many writes, before the answer of the last one has come."""
    cloud.cut = writes
    with suppress(PowerCutError):
        run(cloud, job)
        raise AssertionError("it came to its end before")
    cloud.cut = 0


def listed(cloud: Cloud, job: Job) -> list[str]:
    """Return the paths of the list that an import would use."""
    drive = FakeDrive(cloud, job.student, Rates())
    there = look.exported(drive, job.student, job.folder, job.folder_name)
    return sorted(row.path for row in there.rows if row.path and not row.gone)


def home(folder: Path, **files: str) -> Path:
    """Make a home of files with these contents."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder
