from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from coursehub_tools.drive import manifest
from coursehub_tools.drive.manifest import Header
from coursehub_tools.drive.rows import FILE, LINK, Row, pack, unpack
from coursehub_tools.result import FailedError

HEADER = Header("ada", "2026-01-02T03:04:05+00:00", "top", "folder", "drive", ["a problem"])
ROWS = [
    Row("a/\udcff\n%41", FILE, 5 << 30, -1_500_000_001, 0o4755, id="id", md5="m", sha256="s"),
    Row("é", LINK, 0, 7, 0o777, "../\udcff"),
    Row("in/it", FILE, 1, 2, 3, bundle="in", gone=True),
]


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest.write(tmp_path / "list", HEADER, ROWS)
    header, rows = manifest.read(tmp_path / "list")
    assert header == HEADER
    assert sorted(rows, key=lambda row: row.key) == sorted(ROWS, key=lambda row: row.key)


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    one = manifest.write(tmp_path / "one", HEADER, ROWS)
    other = manifest.write(tmp_path / "other", HEADER, reversed(ROWS))
    assert one == other
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600


def test_a_list_that_was_cut_anywhere_is_none(tmp_path: Path) -> None:
    manifest.write(tmp_path / "list", HEADER, ROWS)
    lines = gzip.decompress((tmp_path / "list").read_bytes()).splitlines(keepends=True)
    for count in range(len(lines)):
        (tmp_path / "cut").write_bytes(gzip.compress(b"".join(lines[:count])))
        with pytest.raises(FailedError, match="can't be used"):
            list(manifest.read(tmp_path / "cut")[1])
    whole = (tmp_path / "list").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-9])
    with pytest.raises(FailedError, match="can't be used"):
        list(manifest.read(tmp_path / "cut")[1])


@pytest.mark.parametrize("path", ["../a", "a/../b", "/a", "a//b", "a/.", "a%2F..%2Fb", "a%00b"])
def test_a_row_that_leads_out_of_the_home_is_refused(path: str) -> None:
    values = pack(Row("a", FILE))
    values[0] = path
    with pytest.raises(ValueError, match="out of the home"):
        unpack(values)


@pytest.mark.parametrize(("column", "value"), [(1, "device"), (2, "5"), (2, True), (3, 1.5), (10, 1), (6, None)])
def test_a_row_of_other_types_is_refused(column: int, value: object) -> None:
    values = pack(Row("a", FILE))
    values[column] = value
    with pytest.raises(ValueError, match=r"kind|is "):
        unpack(values)


def test_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(gzip.compress(json.dumps({"coursehub_export": 2}).encode()))
    with pytest.raises(FailedError, match="none of version 1"):
        manifest.read(tmp_path / "list")
