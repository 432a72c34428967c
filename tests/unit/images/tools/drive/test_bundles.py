from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import pytest
from coursehub_tools import tree
from coursehub_tools.drive import arranging, bundle, importing, packing, plan
from coursehub_tools.drive.ignore import Ignore
from coursehub_tools.drive.manifest import Header
from coursehub_tools.drive.report import Report
from coursehub_tools.drive.restoring import restore
from coursehub_tools.drive.rows import BUNDLE, FILE, FOLDER, LINK, Row
from coursehub_tools.drive.scan import scan
from coursehub_tools.result import FailedError

from tests.unit.images.tools.trees import describe, fill


def many(folder: str, count: int, size: int) -> list[Row]:
    return [Row(folder, FOLDER)] + [Row(f"{folder}/{number}", FILE, size) for number in range(count)]


@pytest.mark.parametrize(
    ("rows", "bundled"),
    [
        (many("a", 100, 1000), {"a"}),
        (many("a", 99, 1000), set()),
        (many("a", 100, 17 << 10), set()),
        ([Row("up", FOLDER), *many("up/a", 100, 10), Row("up/large", FILE, 10 << 20)], {"up/a"}),
        ([Row("up", FOLDER), *many("up/a", 100, 10), *many("up/b", 100, 10)], {"up"}),
        ([Row(str(number), FILE, 1) for number in range(1000)], set()),
    ],
)
def test_folders_of_many_tiny_files_are_bundled(rows: list[Row], bundled: set[str]) -> None:
    assert bundle.choose(rows, [], bundle.AUTO, 2) == bundled
    assert bundle.choose(rows, [], bundle.NEVER, 2) == set()


def test_what_students_open_in_drive_is_there_by_itself() -> None:
    rows = [Row("up", FOLDER), Row("up/lab.ipynb", FILE, 100), *many("up/logs", 100, 10), *many("more", 100, 10)]
    assert bundle.choose(rows, [], bundle.AUTO, 2) == {"up/logs", "more"}
    assert bundle.choose(rows, [], bundle.ALWAYS, 2) == {"up", "more"}
    # A folder that was bundled before its first notebook stays so.
    assert bundle.choose(rows, [Row("up", BUNDLE, id="1")], bundle.AUTO, 2) == {"up", "more"}


def test_where_drive_takes_files_fast_nothing_is_bundled() -> None:
    rows = many("a", 1000, 10_000)
    # 1 MB again for each change is 0.2 s; a thousand files by themselves are less.
    assert bundle.choose(rows, [], bundle.AUTO, 2) == {"a"}
    assert bundle.choose(rows, [], bundle.AUTO, 10_000) == set()


def test_what_was_exported_one_way_stays_so() -> None:
    rows = many("a", 100, 10)
    assert bundle.choose(rows, rows, bundle.AUTO, 2) == set()
    assert bundle.choose(many("a", 3, 10), [Row("a", BUNDLE, id="1")], bundle.AUTO, 2) == {"a"}


def test_always_bundles_the_folders_at_the_top() -> None:
    rows = [Row("a", FOLDER), Row("a/b", FOLDER), Row("c", FILE)]
    assert bundle.choose(rows, [], bundle.ALWAYS, 2) == {"a"}


@pytest.mark.parametrize("mode", [bundle.AUTO, bundle.ALWAYS])
def test_no_bundle_is_larger_than_a_pods_disk_has_room_for(mode: str) -> None:
    """A folder of 80 GB as one zip fills the disk of its node."""
    fits = many("up/logs", 100, 10)
    rows = [Row("up", FOLDER), Row("up/data", FILE, 80 << 30), *fits]
    assert bundle.choose(rows, [], mode, 2) == {"up/logs"}
    # Also one that was a bundle when it was smaller, and one of many files with nothing in them.
    assert bundle.choose(rows, [Row("up", BUNDLE, id="1")], mode, 2) == {"up/logs"}
    count = bundle.MOST_BYTES // 512
    assert bundle.choose(many("a", count, 0), [Row("a", BUNDLE, id="1")], mode, 2) == set()


def test_a_zip_is_no_larger_than_it_was_thought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "a").mkdir(parents=True)
    for number in range(200):
        (home / "a" / (f"{number}" + "\x01" * 250)).write_bytes(os.urandom(100))
    bundled(home, "a", tmp_path / "zip")
    with tree.top(home) as top:
        rows = scan(top, Ignore()).rows
    monkeypatch.setattr(bundle, "MOST_BYTES", (tmp_path / "zip").stat().st_size - 1)
    assert bundle.choose(rows, [], bundle.ALWAYS, 2) == set()


class Kept:
    """Drive with contents by id, which counts what is asked for."""

    def __init__(self, contents: dict[str, bytes]) -> None:
        self._contents = contents
        self.asked: list[str] = []

    def content(self, file_id: str, start: int, end: int) -> bytes:
        self.asked.append(file_id)
        return self._contents[file_id][start:end]


def test_an_import_has_no_more_bundles_on_its_disk_than_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, contents = [], {}
    for name in "abcd":
        (tmp_path / "home" / name / "in").mkdir(parents=True)
        for number in range(3):
            (tmp_path / "home" / name / "in" / str(number)).write_text(name * number, encoding="utf-8")
        row, members = bundled(tmp_path / "home", name, tmp_path / "zip")
        contents[name] = (tmp_path / "zip").read_bytes()
        rows += [replace(row, id=name), *members]
    open_now, most = 0, 0

    class Counted(importing.Zipped):
        def __init__(self, file: IO[bytes], name: str) -> None:
            nonlocal open_now, most
            super().__init__(file, name)
            open_now += 1
            most = max(most, open_now)

        def close(self) -> None:
            nonlocal open_now
            super().close()
            open_now -= 1

    monkeypatch.setattr(importing, "Zipped", Counted)
    drive = Kept(contents)
    (tmp_path / "back").mkdir()
    with importing._Source(cast(Any, drive), rows) as source:
        for name in "abcd":
            assert source.index(name)
        assert open_now == 0
    drive.asked.clear()
    monkeypatch.setattr(importing, "Drive", lambda *_words, **_more: drive)
    monkeypatch.setattr(importing, "_exported", lambda *_words: (Header("ada", "", "top"), rows, []))
    importing.run(importing.Job("ada", tmp_path / "back", threads=1), cast(Any, None), Report("ada"))
    assert (open_now, most) == (0, 1)
    assert drive.asked == list("abcd")
    for name in "abcd":
        assert describe(tmp_path / "back" / name) == describe(tmp_path / "home" / name)


def bundled(home: Path, folder: str, to: Path) -> tuple[Row, tuple[Row, ...]]:
    with tree.top(home) as top:
        wanted = arranging.arrange(scan(top, Ignore()).rows, {folder})
        steps = plan.plan([], wanted, {})
        action = next(action for action in steps.files if action.row.kind == BUNDLE)
        with packing.content_of(top, action) as (content, members):
            to.write_bytes(content.read(0, content.row.size))
            return content.row, members


def test_a_bundle_has_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name)
        times = {"course": 7, "course/week 1": 9, "course/link": 5, "course/nowhere": 6}
        for path in [*(tmp_path / name).rglob("*"), tmp_path / name]:
            at = times.get(str(path.relative_to(tmp_path / name)), 1_000_000_000)
            os.utime(path, ns=(at, at), follow_symlinks=False)
    rows = [bundled(tmp_path / name, "course", tmp_path / f"{name}.zip")[0] for name in ("one", "other")]
    assert rows[0] == rows[1]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_a_bundle_is_a_zip_with_an_index_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    fill(tmp_path / "home")
    row, members = bundled(tmp_path / "home", "course", tmp_path / "zip")
    assert row.size == (tmp_path / "zip").stat().st_size
    with zipfile.ZipFile(tmp_path / "zip") as zipped:
        assert zipped.testzip() is None
        assert zipped.read("files/week 1/notes.ipynb") == b'{"cells": []}'
    notes = next(one for one in members if one.path == "course/week 1/notes.ipynb")
    assert notes.sha256 == hashlib.sha256(b'{"cells": []}').hexdigest()
    (tmp_path / "back").mkdir()
    importing.unbundle(tmp_path / "zip", tmp_path / "back")
    assert describe(tmp_path / "back") == describe(tmp_path / "home/course")


def test_what_is_no_bundle_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "zip").write_bytes(b"no zip")
    (tmp_path / "back").mkdir()
    with pytest.raises(FailedError, match="can't be read"):
        importing.unbundle(tmp_path / "zip", tmp_path / "back")
    with zipfile.ZipFile(tmp_path / "zip", "w") as zipped:
        zipped.writestr("a", "b")
    with pytest.raises(FailedError, match="none of ours"):
        importing.unbundle(tmp_path / "zip", tmp_path / "back")
    assert list((tmp_path / "back").iterdir()) == []


@pytest.mark.parametrize(
    "rows",
    [
        [Row("a/b", FILE)],
        [Row("a", LINK, target="/"), Row("a/b", FILE)],
        [Row("a", FILE), Row("a", FOLDER)],
    ],
)
def test_rows_that_make_no_tree_are_refused(tmp_path: Path, rows: list[Row]) -> None:
    with tree.top(tmp_path) as top, pytest.raises(FailedError, match="damaged"):
        restore(top, rows, lambda _row: [], threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_content_that_is_not_as_listed_is_refused(tmp_path: Path) -> None:
    row = Row("a", FILE, 4, 5, 0o644, sha256=hashlib.sha256(b"good").hexdigest())
    with tree.top(tmp_path) as top, pytest.raises(FailedError, match="'a' is not in Drive as"):
        restore(top, [row], lambda _row: [b"evil"], threads=1)


def test_holes_are_holes_again(tmp_path: Path) -> None:
    size = 64 << 20
    digest = hashlib.sha256(bytes(size)).hexdigest()
    row = Row("sparse", FILE, size, 5, 0o644, sha256=digest)
    with tree.top(tmp_path) as top:
        restore(top, [row], lambda _row: (bytes(8 << 20) for _part in range(8)), threads=1)
    status = (tmp_path / "sparse").stat()
    assert (status.st_size, status.st_blocks) == (size, 0)
