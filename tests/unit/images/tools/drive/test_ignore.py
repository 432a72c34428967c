from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from coursehub_tools import tree
from coursehub_tools.drive.ignore import Ignore, student_lines
from coursehub_tools.result import FailedError


@pytest.mark.parametrize(
    ("path", "folder", "out"),
    [
        (".ipynb_checkpoints", True, True),
        ("a/b/__pycache__", True, True),
        (".venv", True, True),
        (".venv", False, False),
        ("a/venv", True, True),
        (".cache", True, True),
        ("notes.ipynb", False, False),
        ("venv.txt", False, False),
        ("sub/lost+found", True, False),
        ("\udcff.nfs", False, False),
        (".nfs000\udcff", False, True),
    ],
)
def test_what_programs_make_again_stays_at_home(path: str, folder: bool, out: bool) -> None:
    assert Ignore().leaves_out(path, folder=folder) is out


def test_the_student_has_the_last_word() -> None:
    ignore = Ignore(["*.csv", "/data"], ["!keep.csv", "!venv/", "data2"])
    assert ignore.leaves_out("a.csv", folder=False)
    assert not ignore.leaves_out("keep.csv", folder=False)
    assert not ignore.leaves_out("venv", folder=True)
    assert ignore.leaves_out("data", folder=True)
    assert not ignore.leaves_out("a/data", folder=True)
    assert ignore.leaves_out("a/data2", folder=False)


def test_lines_that_can_not_be_used_are_named() -> None:
    ignore = Ignore([], ["*a*a*a*b", "/", "good", *["x"] * 1000])
    assert ignore.problems[0] == ".driveignore line 1: '*a*a*a*b' has more than 3 stars"
    assert "more than 1000 lines" in ignore.problems[-1]
    assert ignore.leaves_out("good", folder=False)
    assert not ignore.leaves_out("b", folder=False)


def test_a_students_lines_have_a_time_for_all_of_a_home() -> None:
    """A thousand lines of 0.1 s each held up the others in the pod for 100 s a name."""

    def clock() -> Callable[[], float]:
        return itertools.count(step=50.0).__next__

    ignore = Ignore(["*.csv"], ["*a*a*a*b"], clock())
    assert ignore.leaves_out("a.csv", folder=False)
    assert not ignore.leaves_out("b", folder=False)
    with pytest.raises(FailedError, match=r"the home's \.driveignore takes more than 120 s"):
        ignore.leaves_out("c", folder=False)
    # The course's own lines are the course's matter.
    trusted = Ignore(["*.csv"], [], clock())
    assert [trusted.leaves_out(f"{number}.csv", folder=False) for number in range(9)] == [True] * 9


def test_few_lines_may_be_costly() -> None:
    ignore = Ignore([], [*(f"*a*n{number}x*c" for number in range(30)), "**/plain/*.c"])
    assert ignore.problems[0] == ".driveignore line 21: more than 20 lines have 3 stars"
    assert ignore.leaves_out("an19x.c", folder=False)
    assert not ignore.leaves_out("an20x.c", folder=False)
    assert ignore.leaves_out("plain/a.c", folder=False)


def test_the_courses_lines_are_refused_if_they_are_none() -> None:
    with pytest.raises(FailedError, match="the course's exclude '!' can't be used"):
        Ignore(["!"])


def test_the_students_file_is_read_if_it_is_one(tmp_path: Path) -> None:
    with tree.top(tmp_path) as home:
        assert student_lines(home) == []
        (tmp_path / ".driveignore").write_bytes(b"*.csv\r\n\xff\n")
        assert student_lines(home) == ["*.csv", "\udcff"]
        (tmp_path / ".driveignore").unlink()
        (tmp_path / "other").write_text("*", encoding="utf-8")
        (tmp_path / ".driveignore").symlink_to("other")
        assert student_lines(home) == []
        (tmp_path / ".driveignore").unlink()
        os.mkfifo(tmp_path / ".driveignore")
        assert student_lines(home) == []
