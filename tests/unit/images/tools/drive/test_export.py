from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import export, runs
from coursehub_tools.drive.export import Exported, Job
from coursehub_tools.drive.pacer import Rates
from coursehub_tools.drive.report import Report

from tests.unit.images.tools.drive import fake
from tests.unit.images.tools.drive.fake import Cloud


def job(tmp_path: Path, slot: str = "0", **values: Any) -> Job:
    """An export by a slot, which has states of its own."""
    return Job("ada", fake.home(tmp_path / "home"), tmp_path / f"state-{slot}", threads=1, **values)


def test_the_list_in_drive_is_told_whether_it_was_written_or_found(tmp_path: Path) -> None:
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, a="1")
    for outcome in ("complete", "unchanged"):
        done = fake.run(cloud, one)
        (file_id,) = cloud.lists()
        in_drive = hashlib.md5(cloud.contents[file_id], usedforsecurity=False).hexdigest()
        assert done == Exported(outcome, in_drive)


def test_a_students_line_tells_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.credentials, "load", lambda *_words: object())
    monkeypatch.setattr(export, "run", lambda *_words: Exported("complete", "m1"))
    asked = runs.Asked("ada", tmp_path / "key", source=tmp_path, state=tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    runs.all_of("export", [asked], runs.Where(), results)
    assert '"list_md5":"m1"' in (results / "ada.json").read_text(encoding="utf-8").replace(" ", "")
    assert "list_md5" not in Report("ada").result("failed")


def test_a_file_that_is_too_large_for_a_day_is_named_and_the_others_go(tmp_path: Path) -> None:
    cloud, one, report = Cloud(), job(tmp_path), Report("ada")
    fake.home(one.source, a="1", z="2")
    with (one.source / "sparse").open("wb") as file:
        file.truncate(200 << 30)
    done = fake.run(cloud, one, report, Rates(bytes_per_day=100 << 30))
    assert done.outcome == "complete"
    assert fake.listed(cloud, one) == ["a", "z"]
    (problem,) = report.problems
    assert problem.startswith("'sparse': 214748364800 bytes are more than is left of the day")
