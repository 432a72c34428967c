from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools.drive import export, importing, look, manifest, runs
from coursehub_tools.drive.client import Client
from coursehub_tools.drive.export import Exported, Job
from coursehub_tools.drive.lists import Lists
from coursehub_tools.drive.pacer import Pacer, Rates
from coursehub_tools.drive.report import Report
from coursehub_tools.drive.rows import FILE, Row
from coursehub_tools.result import FailedError

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


def test_a_file_that_waits_for_a_day_with_room_is_counted(tmp_path: Path) -> None:
    """Whoever goes by the result alone would take the home for exported, and never send it."""
    cloud, one, report = Cloud(), job(tmp_path), Report("ada")
    fake.home(one.source, a="x" * 60_000, b="x" * 61_000)
    fake.run(cloud, one, report, Rates(bytes_per_day=100_000))
    assert report.result("complete")["put_off_files"] == 1
    fake.home(one.source, c="x" * 101_000)
    report = Report("ada")
    fake.run(cloud, one, report, Rates(bytes_per_day=100_000))
    # What no day has room for does not wait.
    assert (report.result("complete")["problems_count"], report.result("complete").get("put_off_files", 0)) == (1, 0)


# The top, five files, the list: what a first export of these writes.
FILES = {"a": "1", "b": "22", "c": "333", "d": "4444", "e": "55555"}
WRITES = 7


@pytest.mark.parametrize("writes", range(1, WRITES + 1))
def test_what_a_killed_run_left_long_ago_is_not_believed(tmp_path: Path, writes: int) -> None:
    """Another slot has exported the student since, as where ``concurrency`` was another for one run."""
    cloud, first, other = Cloud(), job(tmp_path), job(tmp_path, "1")
    fake.home(first.source, **FILES)
    fake.killed(cloud, first, writes)
    fake.home(first.source, f="666666")
    fake.run(cloud, other)
    fake.home(first.source, g="7777777")
    fake.run(cloud, first)
    see_each_once(cloud, first, [*FILES, "f", "g"])


@pytest.mark.parametrize("writes", range(1, 5))
def test_neither_is_it_after_a_first_export(tmp_path: Path, writes: int) -> None:
    cloud, first, other = Cloud(), job(tmp_path), job(tmp_path, "1")
    fake.home(first.source, a="1", b="22")
    fake.run(cloud, first)
    fake.home(first.source, a="11", c="333", d="4444")
    fake.killed(cloud, first, writes)
    fake.home(first.source, e="55555")
    fake.run(cloud, other)
    fake.run(cloud, first)
    see_each_once(cloud, first, FILES)
    assert cloud.contents[next(fact.id for fact in cloud.facts.values() if fact.name == "a")] == b"11"


@pytest.mark.parametrize("writes", range(1, WRITES + 1))
def test_what_a_killed_run_left_just_now_is_believed_without_a_look(tmp_path: Path, writes: int) -> None:
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, **FILES)
    fake.killed(cloud, one, writes)
    cloud.asked.clear()
    fake.run(cloud, one)
    assert "all" not in cloud.asked
    see_each_once(cloud, one, FILES)


def test_what_a_look_found_is_believed_by_the_run_after_a_kill(tmp_path: Path) -> None:
    cloud, first, other = Cloud(), job(tmp_path), job(tmp_path, "1")
    fake.home(first.source, a="1", b="22")
    fake.run(cloud, first)
    fake.run(cloud, other)
    fake.home(first.source, **FILES)
    fake.run(cloud, other)
    fake.home(first.source, f="666666", g="7777777")
    # After the mark that it goes on with the export, and a file.
    fake.killed(cloud, first, 2)
    cloud.asked.clear()
    fake.run(cloud, first)
    assert "all" not in cloud.asked
    see_each_once(cloud, first, [*FILES, "f", "g"])


@pytest.mark.parametrize("newer", ["id000", "zzz"])
def test_of_two_lists_the_one_that_was_taken_last_is_the_exports(tmp_path: Path, newer: str) -> None:
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, a="1")
    next(cloud.numbers)
    fake.run(cloud, one)
    (older,) = cloud.lists()
    fact = cloud.facts[older]
    there = look.listed(fake.FakeDrive(cloud, "ada", Rates()), cloud.facts, fact.parent)
    assert there is not None
    path = tmp_path / "newer"
    header = replace(there.header, taken="2100-01-01T00:00:00+00:00")
    md5 = manifest.write(path, header, [*there.rows, Row("later", FILE, id="x")])
    cloud.contents[newer] = path.read_bytes()
    cloud.facts[newer] = replace(fact, id=newer, md5=md5, size=path.stat().st_size)
    assert fake.listed(cloud, one) == ["a", "later"]
    # The next one writes over it, and the older one never is the newest again.
    fake.home(one.source, b="22")
    fake.run(cloud, job(tmp_path, "1"))
    assert cloud.contents[older] == there_bytes(there, tmp_path)
    assert cloud.facts[newer].md5 != md5


def there_bytes(there: look.Listed, folder: Path) -> bytes:
    manifest.write(folder / "again", there.header, there.rows)
    return (folder / "again").read_bytes()


def see_each_once(cloud: Cloud, one: Job, files: Iterable[str]) -> None:
    """See that Drive has each file once, and one list, which has all of them."""
    assert cloud.paths() == sorted(["ada", f"ada/{manifest.NAME}", *(f"ada/{name}" for name in files)])
    assert fake.listed(cloud, one) == sorted(files)


@pytest.mark.parametrize("bundled", ["never", "always"])
def test_another_content_of_the_same_length_and_time_is_found_by_a_checksum(tmp_path: Path, bundled: str) -> None:
    """An assignment that is unpacked again from a zip with fixed times, where only the answer differs."""
    cloud, one = Cloud(), job(tmp_path, bundle=bundled)
    for content in ("the answer is 41", "the answer is 42"):
        for name in ("a", "b"):
            fake.home(one.source / "work", **{name: content if name == "a" else "the same as ever"})
            os.utime(one.source / "work" / name, ns=(1, 1_000_000_000))
        os.utime(one.source / "work", ns=(1, 1_000_000_000))
        if content.endswith("1"):
            fake.run(cloud, one)
    before = dict(cloud.contents)
    assert fake.run(cloud, one).outcome == "unchanged"
    careful = replace(one, checksum=True)
    assert fake.run(cloud, careful).outcome == "complete"
    (changed,) = (key for key, content in before.items() if cloud.contents[key] != content and key not in cloud.lists())
    assert cloud.facts[changed].name == ("a" if bundled == "never" else "work.bundle.zip")
    assert fake.run(cloud, careful).outcome == "unchanged"
    # A file of its own, or what is in a bundle: each is the new one, by the list's checksum of it.
    there = look.exported(fake.FakeDrive(cloud, "ada", Rates()), "ada", "", "ada")
    (row,) = (row for row in there.rows if row.path == "work/a")
    assert row.sha256 == hashlib.sha256(b"the answer is 42").hexdigest()


def test_a_file_that_can_not_be_read_to_be_compared_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud, one = Cloud(), job(tmp_path, checksum=True)
    fake.home(one.source, a="1")
    fake.run(cloud, one)

    def broken(*_words: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(export.upload, "digest", broken)
    report = Report("ada")
    assert fake.run(cloud, one, report).outcome == "unchanged"
    assert report.problems == ["'a': it can't be read (Input/output error): what was exported of it stays"]


def test_a_problem_that_two_plans_meet_is_one_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of students who share an identity the first plan only sees whether there is anything to do."""
    cloud, one = Cloud(), job(tmp_path, checksum=True)
    fake.home(one.source, a="1")
    fake.run(cloud, one)
    fake.home(one.source, b="22")
    digest = export.upload.digest

    def broken(content: Any) -> Any:
        if content.row.path == "a":
            raise OSError(5, "Input/output error")
        return digest(content)

    monkeypatch.setattr(export.upload, "digest", broken)
    report = Report("ada")
    assert fake.run(cloud, one, report, lists=Lists()).outcome == "complete"
    assert report.problems == ["'a': it can't be read (Input/output error): what was exported of it stays"]
    assert report.result("complete")["problems_count"] == 1


def test_without_a_checksum_nothing_that_is_as_it_was_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, a="1", b="22")
    fake.run(cloud, one)
    read: list[str] = []
    digest = export.upload.digest
    monkeypatch.setattr(export.upload, "digest", lambda content: (read.append(content.row.path), digest(content))[1])
    fake.run(cloud, one)
    assert read == []
    fake.run(cloud, replace(one, checksum=True))
    assert sorted(read) == ["a", "b"]


@pytest.mark.parametrize("before", [0, 2, 4])
@pytest.mark.parametrize("writes", [1, 2, 4, 6])
def test_neither_is_it_where_another_run_did_not_come_to_its_end_either(
    tmp_path: Path, before: int, writes: int
) -> None:
    """No list tells of the other one then. ``before`` are the writes of the first run, none for one that ended."""
    cloud, first, other = Cloud(), job(tmp_path), job(tmp_path, "1")
    fake.home(first.source, a="1", b="22", c="333")
    if before:
        fake.killed(cloud, first, before)
    else:
        fake.run(cloud, first)
    fake.home(first.source, d="4444", e="55555", f="666666", g="7777777", h="88888888")
    fake.killed(cloud, other, writes)
    fake.run(cloud, first)
    see_each_once(cloud, first, "abcdefgh")


def test_a_list_of_lists_says_that_another_state_went_on(tmp_path: Path) -> None:
    cloud, first, other = Cloud(), job(tmp_path), job(tmp_path, "1")
    fake.home(first.source, a="1")
    fake.run(cloud, first)
    cloud.asked.clear()
    assert fake.run(cloud, first, lists=Lists()).outcome == "unchanged"
    assert cloud.asked == ["lists"]
    # Killed after its mark and another content, and then the home is as it was before.
    times = (first.source / "a").stat().st_mtime_ns
    fake.home(first.source, a="other")
    fake.killed(cloud, other, 2)
    fake.home(first.source, a="1")
    os.utime(first.source / "a", ns=(1, times))
    assert fake.run(cloud, first, lists=Lists()).outcome == "complete"
    (content,) = (cloud.contents[fact.id] for fact in cloud.facts.values() if fact.name == "a")
    assert content == b"1"


def test_a_first_export_that_was_killed_is_found_by_its_id(tmp_path: Path) -> None:
    """Its folder was renamed in Drive since: without a list there is no header that tells of it."""
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, **FILES)
    fake.killed(cloud, one, 3)
    (top,) = (fact for fact in cloud.facts.values() if not fact.parent)
    cloud.facts[top.id] = replace(top, name="mine")
    fake.run(cloud, replace(one, look=True))
    assert cloud.paths() == sorted(["mine", f"mine/{manifest.NAME}", *(f"mine/{name}" for name in FILES)])


def test_what_a_late_list_lacks_is_asked_for_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, at 0.1 s an answer, the proof of a new export of 10 000 files would wait for 17 minutes."""
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, a="1", b="22")
    fake.run(cloud, one)
    together = threading.Barrier(2, timeout=20)

    def get(_self: fake.FakeDrive, file_id: str) -> Any:
        together.wait()
        return cloud.facts.get(file_id)

    monkeypatch.setattr(fake.FakeDrive, "all", lambda *_words: iter(()))
    monkeypatch.setattr(fake.FakeDrive, "get", get)
    rows = [Row(fact.name, FILE, id=fact.id) for fact in cloud.facts.values()]
    assert look.facts(fake.FakeDrive(cloud, "ada", Rates()), "", rows, 2) == cloud.facts
    assert len(rows) == 4


def test_a_list_that_is_looked_at_is_not_left_in_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed then would leave one, and the next one another."""
    cloud, one, seen = Cloud(), job(tmp_path), set[str]()
    fake.home(one.source, a="1")
    fake.run(cloud, one)
    content = fake.FakeDrive.content

    def looked_at(self: fake.FakeDrive, *words: Any) -> bytes:
        seen.update(path.name for path in one.own_state.iterdir())
        return content(self, *words)

    monkeypatch.setattr(fake.FakeDrive, "content", looked_at)
    fake.run(cloud, replace(one, look=True))
    assert seen == {"journal", "lock", "manifest.jsonl.gz", "turn"}


def test_a_folder_that_was_too_large_for_a_bundle_does_not_become_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near the limit all of it would be sent in another form each time."""
    cloud, one = Cloud(), job(tmp_path)
    (one.source / "d").mkdir(parents=True)
    monkeypatch.setattr(export.bundle, "MOST_BYTES", 700 * 105)

    def fill(folder: Path, count: int) -> Report:
        shutil.rmtree(folder / "d")
        (folder / "d").mkdir()
        for number in range(count):
            (folder / "d" / f"{number}").write_text("x", encoding="utf-8")
            os.utime(folder / "d" / f"{number}", ns=(1, 1_000_000_000))
        report = Report("ada")
        fake.run(cloud, one, report)
        return report

    fill(one.source, 120)
    assert "ada/d.bundle.zip" in cloud.paths()
    assert fill(one.source, 160).result("complete")["uploaded_files"] == 160
    assert fill(one.source, 120).result("complete").get("uploaded_files", 0) == 0


@pytest.mark.parametrize("partial", [False, True])
def test_an_export_that_has_another_name_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, partial: bool
) -> None:
    """A student has renamed the folder, or the course its template: exports go by the id, and an import knows none."""
    cloud, one = Cloud(), job(tmp_path)
    fake.home(one.source, a="1")
    fake.run(cloud, one)
    (top,) = (fact for fact in cloud.facts.values() if not fact.parent)
    cloud.facts[top.id] = replace(top, name="my notes")
    fake.home(one.source, b="22")
    fake.run(cloud, one)
    assert "my notes/b" in cloud.paths()
    monkeypatch.setattr(importing, "Drive", lambda _client, student, **_more: fake.FakeDrive(cloud, student, Rates()))
    back, client = fake.home(tmp_path / "back"), Client(None, Pacer(Rates()))
    with pytest.raises(FailedError, match=r"no folder 'ada' .*, but 'my notes': .*coursehub_drive_export_folder_name"):
        importing.run(importing.Job("ada", back, partial=partial), client, Report("ada"))
    told = importing.run(importing.Job("ada", back, partial=partial, name="my notes"), client, Report("ada"))
    assert told["files"] == 2
    cloud.facts.clear()
    with pytest.raises(FailedError, match="that the account can see: look at the folder and the credentials"):
        importing.run(importing.Job("ada", back, partial=partial), client, Report("ada"))
