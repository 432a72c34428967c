from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import report


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)])
def test_the_95th_percentile_by_nearest_rank(count: int, expected: int) -> None:
    assert report.p95([float(value) for value in range(count, 0, -1)]) == expected


def test_the_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        report.p95([])


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_at_most_a_twentieth_is_above_the_percentile(values: list[float]) -> None:
    assert sum(value > report.p95(values) for value in values) <= len(values) / 20


def test_a_table_takes_the_place_of_the_old_one() -> None:
    text = "a\n<!-- bench:one -->\nold\n<!-- /bench:one -->\nb <!-- bench:two --><!-- /bench:two -->"
    fresh = report.replaced(text, "one", "new")
    assert fresh == "a\n<!-- bench:one -->\nnew\n<!-- /bench:one -->\nb <!-- bench:two --><!-- /bench:two -->"
    assert report.replaced(fresh, "one", "new") == fresh


@pytest.mark.parametrize("text", ["", "<!-- bench:one -->", "<!-- bench:one --><!-- /bench:one -->" * 2])
def test_a_table_without_its_place(text: str) -> None:
    with pytest.raises(ValueError, match="has no place"):
        report.replaced(text, "one", "new")


def test_the_figures_are_written_with_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ROOT", tmp_path)
    path = report.write("one", {"a_s": 1.5}, single=[1, 2])
    assert path == tmp_path / "build/bench/one.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    assert (told["bench"], told["figures"], told["single"]) == ("one", {"a_s": 1.5}, [1, 2])
    assert told["machine"]["cores"] >= 1


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- bench:one -->\n<!-- /bench:one -->\n", encoding="utf-8")
    monkeypatch.setattr(report, "TABLES", page)
    return page


def test_a_table_is_written_to_the_docs(page: Path) -> None:
    report.table("one", [("what", "s"), ("up", "1")])
    assert "| what | s |\n| --- | --- |\n| up | 1 |\n" in page.read_text(encoding="utf-8")


def test_a_benchmark_ends_with_one_sentence() -> None:
    with pytest.raises(SystemExit) as ended:
        report.fail("too slow")
    assert ended.value.code == "bench: too slow"


def test_a_figure_that_is_beyond_its_limit_is_named_and_one_at_it_is_not() -> None:
    figures = {"wait_s": 30, "lost": 1, "speedup": 19}
    assert report.beyond(figures, {"wait_s": 30, "lost": 0}, {"speedup": 20}) == [
        "speedup is 19, less than 20",
        "lost is 1, more than 0",
    ]
    assert report.beyond(figures, {"wait_s": 30}, {"speedup": 19}) == []


def test_what_is_wrong_is_the_end_of_a_benchmark_and_its_table_is_written_all_the_same(page: Path) -> None:
    with pytest.raises(SystemExit, match="too slow; too large"):
        report.end({"a": 2}, ["too slow", "too large"], {"one": [["what"], ["up"]]})
    assert "| up |" in page.read_text(encoding="utf-8")


def test_a_quick_look_only_tells_its_figures(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = page.read_text(encoding="utf-8")
    report.end({"a": 2}, ["too slow"], {"one": [["what"], ["up"]]}, "10 routes")
    assert page.read_text(encoding="utf-8") == before
    assert "10 routes are a quick look" in (told := capsys.readouterr().out)
    assert '{"a": 2}' in told
