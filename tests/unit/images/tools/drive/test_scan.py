from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from coursehub_tools import tree
from coursehub_tools.drive.ignore import Ignore
from coursehub_tools.drive.rows import FILE, FOLDER, LINK, Row
from coursehub_tools.drive.scan import ChangedError, opened, scan

from tests.unit.images.tools.trees import fill, in_child, place_for_all


def test_a_scan_has_all_with_its_times_and_modes(tmp_path: Path) -> None:
    fill(tmp_path)
    with tree.top(tmp_path) as home:
        found = {row.path: row for row in scan(home, Ignore()).rows}
    status = (tmp_path / "course/run.sh").stat()
    assert found["course/run.sh"] == Row("course/run.sh", FILE, 10, status.st_mtime_ns, 0o4755)
    assert (found["nothing in it"].kind, found["nothing in it"].mode) == (FOLDER, 0o710)
    assert (found["course/link"].kind, found["course/link"].target) == (LINK, "/etc/passwd")
    assert found["holes"].size == (5 << 20) + 7
    assert "course/\udcff\udcfe odd" in found


def test_what_is_no_file_is_told_and_no_problem(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server, tree.top(tmp_path) as home:
        server.bind(str(tmp_path / "socket"))
        found = scan(home, Ignore())
    assert (found.rows, found.problems, found.special) == ([], {}, ["pipe", "socket"])


def test_what_can_not_be_read_does_not_end_the_scan() -> None:
    with place_for_all() as place:
        home = place / "home"
        (home / "locked/in it").mkdir(parents=True)
        (home / "file").touch()
        (home / "locked").chmod(0)

        def look() -> None:
            with tree.top(home) as top:
                found = scan(top, Ignore())
            assert found.problems == {"locked": "Permission denied"}
            assert [row.path for row in found.rows] == ["file", "locked"]

        # As somebody to whom the files don't belong, so that nothing can be unlocked.
        assert in_child(look, as_nobody=True) == 0


def test_a_file_larger_than_drive_takes_is_a_problem(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate((5 << 40) + 1)
    with tree.top(tmp_path) as home:
        found = scan(home, Ignore())
    assert found.rows == []
    assert "more than the 5 TiB" in found.problems["sparse"]


def test_no_link_leads_out_of_the_home(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret").write_text("secret", encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/folder").symlink_to("../out")
    status = (tmp_path / "out/secret").stat()
    row = Row("folder/secret", FILE, status.st_size, status.st_mtime_ns)
    with tree.top(tmp_path / "home") as home, pytest.raises(OSError, match="directory"), opened(home, row):
        pass


def test_a_file_that_was_changed_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file", encoding="utf-8")
    with tree.top(tmp_path) as home:
        row = scan(home, Ignore()).rows[0]
        with opened(home, row) as file:
            assert os.read(file, 10) == b"file"
        (tmp_path / "file").write_text("longer", encoding="utf-8")
        with pytest.raises(ChangedError), opened(home, row):
            pass
