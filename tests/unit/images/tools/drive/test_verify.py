from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import export, verify
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.drive.report import Report

from tests.unit.images.tools.drive import fake
from tests.unit.images.tools.drive.fake import Cloud, FakeDrive


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An export of forty files, and days that go by from one look at the clock to the next."""
    made = Cloud()
    home = fake.home(tmp_path / "home", **{f"f{number}": "x" * number for number in range(1, 41)})
    fake.run(made, export.Job("ada", home, tmp_path / "state", threads=1))
    monkeypatch.setattr(verify, "Drive", lambda _client, student: FakeDrive(made, student, Rates()))
    days = iter(range(100))

    class Days(datetime):
        @classmethod
        def now(cls, _zone: Any = None) -> datetime:
            return datetime(2026, 11, 1, 3, tzinfo=UTC) + timedelta(days=next(days))

    monkeypatch.setattr(verify, "datetime", Days)
    return made


def sampled(cloud: Cloud, seed: str = "") -> tuple[str, list[str]]:
    """Verify; return the seed that is told, and which files were read."""
    cloud.read.clear()
    told = verify.run(verify.Job("ada", sample=5, seed=seed, threads=1), Client(None, Pacer(Rates())), Report("ada"))
    assert (told["verdict"], told["sampled"]) == ("proven", 5)
    read = [file_id for file_id in cloud.read if file_id not in cloud.lists()]
    assert len(read) == 5
    return told["seed"], read


def test_each_run_reads_other_files_and_tells_how_to_read_them_again(cloud: Cloud) -> None:
    first, second = sampled(cloud), sampled(cloud)
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert sampled(cloud, first[0]) == first


def test_all_files_have_their_turn(cloud: Cloud) -> None:
    seen: set[str] = set()
    for _night in range(60):
        seen |= set(sampled(cloud)[1])
    assert len(seen) == 40
