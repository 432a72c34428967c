from __future__ import annotations

import pytest

from bench import report, snapshots
from bench.snapshot_runs import Measured

MEASURED = Measured(
    disks=1000,
    floor=[50.0, 40.0, 60.0],
    ours=[55.0, 44.0, 100.0],
    loop_disks=100,
    loop=150.0,
    loop_all=110.0,
    info=[1.0, 1.2, 1.1],
    info_playbook=2.5,
    skip_unchanged=3.456,
    rss_mb={"student_disk_snapshot": 98.3, "student_disk_info": 87.9},
    throttle=[{"qps": 5, "burst": 10, "disks": 100, "seconds": 200.0}],
)
FIGURES = {
    "speedup_vs_loop": 27.3,
    "time_vs_floor": 1.1,
    "rss_mb_5000": 98.3,
    "info_1000_s": 1.1,
    "skip_unchanged_s": 3.46,
}


def test_the_figures() -> None:
    # 1000 in 55 s are 1090.9 a minute, 100 in 150 s are 40.
    assert snapshots.figures_of(MEASURED) == FIGURES
    assert report.beyond(FIGURES, snapshots.MOST, snapshots.LEAST) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("speedup_vs_loop", 19.9, "speedup_vs_loop is 19.9, less than 20"),
        ("time_vs_floor", 1.21, "time_vs_floor is 1.21, more than 1.2"),
        ("rss_mb_5000", 251, "rss_mb_5000 is 251, more than 250"),
        ("info_1000_s", 3.1, "info_1000_s is 3.1, more than 3"),
        ("skip_unchanged_s", 11, "skip_unchanged_s is 11, more than 10"),
    ],
)
def test_a_figure_that_is_not_as_it_must_be(name: str, value: float, sentence: str) -> None:
    assert report.beyond({**FIGURES, name: value}, snapshots.MOST, snapshots.LEAST) == [sentence]


def test_every_figure_is_judged() -> None:
    assert snapshots.LEAST.keys() | snapshots.MOST.keys() == FIGURES.keys()


def test_the_tables_are_even_and_say_how_many_disks_the_loop_had() -> None:
    table = snapshots.rows(FIGURES, MEASURED)
    assert {len(row) for row in table} == {3}
    assert ["loop over `kubernetes.core.k8s`, 100 disks", "150.0 s for 100, 40 a minute", ""] in table
    assert ["disks a minute, times the loop's", "27.3", "at least 20"] in table
    assert ["memory of `student_disk_info`, 5000 disks", "87.9 MB", "at most 250 MB"] in table
    assert snapshots.throttle_rows(MEASURED.throttle)[1] == ["5", "10", "100", "200.0 s", "30"]


@pytest.mark.parametrize(("environment", "count"), [({}, 1000), ({"COURSEHUB_BENCH_DISKS": "100"}, 100)])
def test_how_many_disks(environment: dict[str, str], count: int) -> None:
    assert snapshots.disks_of(environment) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "²", "1.5"])
def test_no_number_of_disks(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        snapshots.disks_of({"COURSEHUB_BENCH_DISKS": text})
    assert f"COURSEHUB_BENCH_DISKS is '{text}'" in str(ended.value.code)
