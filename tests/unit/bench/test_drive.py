from __future__ import annotations

from pathlib import Path

import pytest

from bench import drive, drive_homes, drive_planning, report
from bench.drive import Measured
from bench.drive_homes import Shape
from bench.drive_runs import Run

SHAPE = Shape(3, 2, 3, 1, (10, 20), 7, 2, (100, 50))
MEASURED = Measured(
    students=5,
    things=252,
    bytes=3 << 20,
    floor=125.0,
    ours=Run(130.0, 300, 0, 100, 70.5),
    peer=Run(140.0, 500, 20, 100),
    course=50,
    course_files=10_000,
    second=Run(1.0, 2, 0, 0, 60.0),
    peer_second=Run(2.0, 25, 0, 0),
    peer_second_plain=Run(3.0, 1100, 0, 0),
    changed_files=100,
    changed=Run(5.0, 205, 0, 300, 60.0),
    peer_changed=Run(4.0, 125, 0, 200),
    tiny=Run(2.0, 8, 0, 9),
    large_bytes=5 * 10**9,
    large=Run(60.0, 320, 0, 5 * 10**9, 90.5),
    peer_large=Run(70.0, 610, 0, 5 * 10**9),
    planned=1000,
    planned_files=200_000,
    plan=Run(22.04, 2, 0, 0, 52.0),
)
FIGURES = {
    "time_vs_floor": 1.04,
    "time_vs_rclone": 0.929,
    "second_run_bytes": 0,
    "second_run_calls_vs_rclone": 0.08,
    "calls_per_changed_file": 2.05,
    "plan_1000_s": 22.0,
    "plan_1000_mb": 52.0,
    "large_file_mb": 90.5,
}


def test_the_figures() -> None:
    assert drive.figures_of(MEASURED) == FIGURES
    assert report.beyond(FIGURES, drive.MOST) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("time_vs_floor", 1.11, "time_vs_floor is 1.11, more than 1.1"),
        ("time_vs_rclone", 1.01, "time_vs_rclone is 1.01, more than 1.0"),
        ("second_run_bytes", 1, "second_run_bytes is 1, more than 0"),
        ("second_run_calls_vs_rclone", 0.2, "second_run_calls_vs_rclone is 0.2, more than 0.1"),
        ("calls_per_changed_file", 4, "calls_per_changed_file is 4, more than 3.5"),
        ("plan_1000_s", 61, "plan_1000_s is 61, more than 60"),
        ("plan_1000_mb", 501, "plan_1000_mb is 501, more than 500"),
        ("large_file_mb", 129, "large_file_mb is 129, more than 128"),
    ],
)
def test_a_figure_that_is_not_as_it_must_be(name: str, value: float, sentence: str) -> None:
    assert report.beyond({**FIGURES, name: value}, drive.MOST) == [sentence]


def test_every_figure_is_judged() -> None:
    assert drive.MOST.keys() == FIGURES.keys()


def test_the_table_is_even_and_has_all_who_took_part() -> None:
    table = drive.rows(FIGURES, MEASURED)
    assert {len(row) for row in table} == {4}
    assert table[1] == [
        "first export, 5 homes, 252 files and folders, 3 MiB",
        "130.0 s, 300 calls, 0 refused",
        "140.0 s, 500 calls, 20 refused",
        "",
    ]
    assert ["time, times the limit's", "1.04", "1.120", "at most 1.1"] in table
    assert [
        "second run, 50 homes, 10000 files",
        "2 calls, 0 bytes, 1.0 s",
        "25 calls, 0 bytes, 2.0 s",
        "0 bytes",
    ] in table
    assert ["planning 1000 homes, 200000 files", "22.0 s, 52.0 MB", "", "at most 60 s, 500 MB"] in table


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1.5", "²"])
def test_a_number_of_students_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="write a number of students"):
        drive.students_of({"COURSEHUB_BENCH_STUDENTS": text})
    assert drive.students_of({}) is None
    assert drive.students_of({"COURSEHUB_BENCH_STUDENTS": "2"}) == 2


def test_the_floor_is_of_files_and_folders() -> None:
    # Each of three has a top, two weeks with 4 files; two of them have a folder with two data sets.
    assert drive_homes.things(SHAPE) == 3 * (1 + 2 * 5) + 2 * 3
    assert drive.floor(SHAPE) == pytest.approx((39 - 2) / 2)


def test_homes_are_as_they_are_planned_and_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        drive_homes.write(SHAPE, tmp_path / name)
    first, second = (
        {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}
        for top in (tmp_path / "a", tmp_path / "b")
    )
    assert first == second
    assert len(first) == drive_homes.count(SHAPE) == 3 * 8 + 2 * 2
    assert sum(map(len, first.values())) == drive_homes.size(SHAPE)
    assert {path.split("/")[0] for path in first} == set(drive_homes.names(SHAPE))
    folders = sum(path.is_dir() for path in (tmp_path / "a").rglob("*"))
    assert len(first) + folders == drive_homes.things(SHAPE)


def test_one_in_a_hundred_is_changed_and_nothing_else(tmp_path: Path) -> None:
    shape = Shape(5, 10, 8, 2, (10, 20), 7)
    drive_homes.write(shape, tmp_path)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.*")}
    these = drive_homes.changed(shape, 1)
    assert len(these) == drive_homes.count(shape) // 100 == 5
    assert len({name for name, _file in these}) == 5
    drive_homes.change(tmp_path, these)
    changed = {path for path, (data, _time) in before.items() if path.read_bytes() != data}
    assert changed == {tmp_path / name / file.path for name, file in these}
    assert {path for path, (_data, time) in before.items() if path.stat().st_mtime_ns != time} == changed
    assert all(path.stat().st_size == len(before[path][0]) for path in changed)


def test_what_a_pretended_export_has_is_all_of_a_home(tmp_path: Path) -> None:
    drive_homes.write(SHAPE, tmp_path)
    rows = drive_planning.exported(tmp_path / "student-0000", "student-0000")
    assert len(rows) == 8 + 2 + 2 + 1
    assert len({row.id for row in rows}) == len(rows)
    assert all(row.md5 for row in rows if row.kind == "file")
