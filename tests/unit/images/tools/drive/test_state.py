from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from coursehub_tools.drive import manifest, state
from coursehub_tools.drive.manifest import Header
from coursehub_tools.drive.rows import BUNDLE, FILE, FOLDER, Row
from coursehub_tools.drive.state import JOURNAL, LIST, Session, State
from coursehub_tools.result import FailedError

HEADER = Header("ada", "2026-01-02T03:04:05+00:00", "top")


def story(kept: State) -> None:
    """A run: things are made, moved, bundled, put into the bin, and one upload is under way."""
    kept.done(Row("", FOLDER, id="top"))
    for row in (Row("a", FOLDER, id="1"), Row("a/b", FILE, 3, 4, 5, id="2", md5="m"), Row("c", FILE, id="3")):
        kept.want(row)
        kept.done(row)
    kept.done(Row("z", BUNDLE, id="4"), [Row("z", FOLDER, bundle="z"), Row("z/1", FILE, bundle="z")])
    kept.done(Row("n", FOLDER, id="1"))
    kept.done(Row("y", BUNDLE, id="4"), [Row("y", FOLDER, bundle="y")])
    kept.gone("3")
    kept.want(Row("new", FILE, id="5"))
    kept.session("5", Session("https://session", 10, 20))
    kept.list_to_be("f00d")


def known(kept: State) -> tuple[object, ...]:
    return kept.rows, kept.wants, kept.header, kept.lists, {key: kept.by_id(key) for key in "12345"}


def reopened(folder: Path) -> State:
    kept = State(folder)
    kept.close()
    return kept


def test_a_journal_tells_the_next_run_what_was_known(tmp_path: Path) -> None:
    with state.opened(tmp_path / "ada", "ada") as kept:
        story(kept)
        assert sorted(kept.rows) == [
            ("", "folder"),
            ("n", "folder"),
            ("n/b", "file"),
            ("y", "bundle"),
            ("y", "packed folder"),
        ]
        assert kept.by_id("3") is None
        assert kept.wants["5"].session == Session("https://session", 10, 20)
        assert known(reopened(tmp_path / "ada")) == known(kept)
    assert (tmp_path / "ada" / JOURNAL).stat().st_mode & 0o777 == 0o600


def test_a_bundle_is_no_part_of_the_folder_that_was_there_before_it(tmp_path: Path) -> None:
    with state.opened(tmp_path / "ada", "ada") as kept:
        kept.done(Row("a", FOLDER, id="1", gone=True))
        kept.done(Row("a/x", FILE, id="2", gone=True))
        kept.done(Row("a", BUNDLE, id="3"), [Row("a", FOLDER, bundle="a"), Row("a/x", FILE, bundle="a")])
        kept.done(Row("b", FOLDER, id="1"))
        kept.gone("1")
        assert sorted(kept.rows) == [("a", "bundle"), ("a", "packed folder"), ("a/x", "packed file")]


def test_a_journal_may_end_at_any_byte(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    kept = State(tmp_path / "ada")
    story(kept)
    kept.close()
    data = (tmp_path / "ada" / JOURNAL).read_bytes()
    lines = 0
    for end in range(len(data)):
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / JOURNAL).write_bytes(data[:end])
        reopened(folder)
        left = (folder / JOURNAL).read_bytes()
        # Whole lines stay, but for one that says whose the rest would be and has no rest.
        assert data.startswith(left)
        assert left in (b"", data[: data.rfind(b"\n", 0, end) + 1])
        lines = max(lines, left.count(b"\n"))
        again = State(folder)
        again.want(Row("more", FILE, id="9"))
        again.close()
        assert "9" in reopened(folder).wants
        shutil.rmtree(folder)
    assert lines == data.count(b"\n") - 1


def test_a_list_takes_the_place_of_the_journal(tmp_path: Path) -> None:
    with state.opened(tmp_path / "ada", "ada") as kept:
        story(kept)
        rows = list(kept.rows.values())
        manifest.write(tmp_path / "new", HEADER, rows)
        kept.finish(tmp_path / "new", HEADER, rows)
        assert (kept.dirty, kept.wants, kept.lists) == (False, {}, {kept.md5})
        assert (tmp_path / "ada" / JOURNAL).read_bytes() == b""
        assert known(reopened(tmp_path / "ada")) == known(kept)
        kept.done(Row("more", FILE, id="7"))
        assert known(reopened(tmp_path / "ada")) == known(kept)


def test_a_kill_between_the_list_and_the_journal_does_not_take_steps_twice(tmp_path: Path) -> None:
    with state.opened(tmp_path / "ada", "ada") as kept:
        kept.done(Row("a", FOLDER, id="1"))
        kept.done(Row("a/x", FILE, id="2"))
        kept.done(Row("b", FOLDER, id="1"))
        kept.done(Row("a", FOLDER, id="3"))
        kept.done(Row("a/x", FILE, id="4"))
        manifest.write(tmp_path / "ada" / LIST, HEADER, kept.rows.values())
        again = reopened(tmp_path / "ada")
        assert (again.rows, again.dirty) == (kept.rows, False)


def test_a_damaged_journal_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b'{"list":""}\n{"done": 5}\n')
    with pytest.raises(FailedError, match="none of ours"):
        State(tmp_path)
    (tmp_path / JOURNAL).write_bytes(b'{"list":""}\nnonsense\n')
    with pytest.raises(FailedError, match="none of ours"):
        State(tmp_path)


def test_a_state_is_one_runs_at_a_time(tmp_path: Path) -> None:
    with (
        state.opened(tmp_path / "ada", "ada"),
        pytest.raises(FailedError, match="ada: another export"),
        state.opened(tmp_path / "ada", "ada"),
    ):
        pass


def test_a_state_that_can_not_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FailedError, match="ada: the state's folder"), state.opened(tmp_path / "file/ada", "ada"):
        pass


def test_nothing_is_written_once_it_is_closed(tmp_path: Path) -> None:
    kept = State(tmp_path)
    kept.close()
    # It has the number that the journal had.
    with (tmp_path / "other").open("wb"), pytest.raises(FailedError, match="can't be written"):
        kept.want(Row("a", FILE, id="1"))
    assert (tmp_path / "other").read_bytes() == b""


@pytest.mark.parametrize("student", ["ada", "a/b", "..", ".", "a@b.c", "a%2Fb"])
def test_each_student_has_a_folder_of_their_own(student: str) -> None:
    name = state.folder_name(student)
    assert "/" not in name
    assert name not in (".", "..")


def test_folders_of_two_students_differ() -> None:
    students = ["a/b", "a%2Fb", "a%252Fb", ".", "%2E", "..", "%2E."]
    assert len({state.folder_name(student) for student in students}) == len(students)
