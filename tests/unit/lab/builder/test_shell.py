from __future__ import annotations

import re
from pathlib import Path

import pytest
from builder import shell
from builder.graph import BuildError, Log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "logs/step.log")


def test_what_a_command_says_is_in_the_log_and_told_line_by_line(log: Log) -> None:
    lines: list[str] = []
    shell.run(["sh", "-c", "echo one; echo two >&2"], log, on_line=lines.append)
    assert sorted(lines) == ["one\n", "two\n"]
    assert log.path.read_text(encoding="utf-8").startswith("$ sh -c echo one; echo two >&2\n")


def test_a_failure_tells_the_last_lines_and_where_the_rest_is(log: Log) -> None:
    with pytest.raises(BuildError) as failed:
        shell.run(["sh", "-c", "seq 5; exit 3"], log)
    assert str(failed.value) == f"`sh -c seq 5; exit 3 …` ended with 3: 3 | 4 | 5 (whole log: {log.path})"


def test_the_output_of_a_short_command() -> None:
    assert shell.output(["echo", "hello"]) == "hello"
    with pytest.raises(BuildError, match=re.escape("`false` ended with 1: ")):
        shell.output(["false"])


def test_bytes_that_are_no_text_do_not_end_a_build(log: Log) -> None:
    shell.run(["printf", r"\377\n"], log)
    assert "\ufffd" in log.path.read_text(encoding="utf-8")
