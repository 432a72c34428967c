"""What a roster file says, and what is wrong with one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _names, _people, _roster
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st


def read(folder: Path, text: str, encoding: str = "utf-8") -> _roster.Roster:
    (folder / "class.csv").write_text(text, encoding=encoding)
    return _roster.read(str(folder / "class.csv"), ["staff"])


def test_groups_and_roles(tmp_path: Path) -> None:
    lines = ["name,student,role,group", "Ann A., ann ,,lab1", "Bob,bob,student,lab1; lab2;", "Tom,tom,staff,"]
    roster = read(tmp_path, "\n".join([*lines, "Eve,eve,administrator,"]))
    assert roster.people == {
        "ann": {"lab1"},
        "bob": {"lab1", "lab2"},
        "tom": {"staff"},
        "eve": {"administrator"},
    }
    # It is the list of all roles, as it has a column for them.
    assert roster.groups == {"lab1", "lab2", "staff", "administrator"}


def test_students_alone(tmp_path: Path) -> None:
    # As a spreadsheet writes it.
    roster = read(tmp_path, "student\r\nann\r\nbob\r\n", "utf-8-sig")
    assert (roster.people, roster.groups) == ({"ann": set(), "bob": set()}, set())


def test_without_a_column_for_roles_nobody_loses_one(tmp_path: Path) -> None:
    assert read(tmp_path, "student,group\nann,lab1\n").groups == {"lab1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no column 'student', its columns are: none"),
        ("pupil,group\nann,lab1\n", "has no column 'student', its columns are: pupil, group"),
        ("students\nann\n", "has a column 'students' and none 'student'"),
        ("student,Groups\nann,lab1\n", "has a column 'Groups' and none 'group'"),
        ("student,student\nann,ann\n", "has 2 columns 'student'"),
        ("student\n", "has no students"),
        ("student,group\nann,lab1\n,lab2\n", "line 3 of the roster .* has no student"),
        ("student\nann\nbob\nann\n", "line 4 of the roster .* has ann again, who is in line 2"),
        ("student\nann\nAnn\n", "line 3 of the roster .*'Ann' has capital letters, .* write ann"),
        ("student\nann smith\n", "line 2 of the roster .*'ann smith' has a space"),
        ("student\nstraße\nstrasse\n", "line 3 .*'strasse', which can't be told from 'straße' in line 2"),
        ("student\nann/bob\n", "line 2 .*'ann/bob' has a slash"),
        ("student,role\nann,teacher\n", "line 2 .* no role 'teacher', the roles are: student, staff, administrator"),
        ("student,role\nann,Staff\n", "no role 'Staff'"),
        ("student,group\nann,staff\n", "line 2 .*'staff' is a role and no group"),
        ("student,group\nann,Administrator\n", "line 2 .*'Administrator' is a role and no group"),
        ("student,group\nann,lab1\nbob,Lab1\n", "line 3 .* the group 'Lab1' is 'lab1' in line 2"),
        ("student,group\nann,lab/1\n", "line 2 .* the group 'lab/1' has a slash"),
        ("student,group\nann,lab1,lab2\n", "line 2 .* more cells than the first line has headings"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CoursehubError, match=words):
        read(tmp_path, text)


def test_disks_that_would_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Eight digits of a hash differ nearly always.
    monkeypatch.setattr(_names, "claim_name", lambda name: f"disk-{name[0]}")
    with pytest.raises(CoursehubError, match=r"line 3 .*'amy', which can't be told from 'ann' in line 2"):
        read(tmp_path, "student\nann\namy\n")


@pytest.mark.parametrize("content", [b"student\n\xff\xfe\n", b'student\n"ann\n\x00'])
def test_what_is_no_text_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "class.csv").write_bytes(content)
    with pytest.raises(CoursehubError):
        _roster.read(str(tmp_path / "class.csv"), [])
    with pytest.raises(CoursehubError, match="can't be read"):
        _roster.read(str(tmp_path / "none.csv"), [])


people = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9.@-]{0,20}", fullmatch=True),
    st.tuples(st.sampled_from(["", "student", "staff", "administrator"]), st.sets(st.sampled_from(["lab1", "lab2"]))),
    min_size=1,
)


@given(people)
def test_a_good_roster_is_read_as_it_was_written(wanted: dict[str, tuple[str, set[str]]]) -> None:
    rows = [
        (number, {"student": name, "role": role, "group": ";".join(sorted(groups))})
        for number, (name, (role, groups)) in enumerate(wanted.items(), 2)
    ]
    roster = _roster.parse("class.csv", ["student", "role", "group"], rows, ["staff"])
    assert roster.people == {name: groups | ({role} - {"", "student"}) for name, (role, groups) in wanted.items()}


@given(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=3), max_size=6))
def test_any_file_is_read_or_refused_in_a_sentence(cells: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file).writerows([["student", "role", "group"], *cells])
    rows = csv.DictReader(io.StringIO(file.getvalue()))
    columns, told = ["student", "role", "group"], ""
    roster = _roster.Roster()
    try:
        roster = _roster.parse("class.csv", columns, ((rows.line_num, row) for row in rows), [])
    except CoursehubError as error:
        told = str(error)
    assert bool(roster.people) != ("the roster class.csv" in told)
    assert all(_people.check_name(name) for name in roster.people)
