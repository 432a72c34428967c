from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import __main__ as command

from tests.unit.paths import ROOT

from .conftest import Disks, Run


def as_the_pod_does(tmp_path: Path, *words: str, **environment: str) -> tuple[int, str, dict[str, Any]]:
    result = tmp_path / "result.json"
    ended = subprocess.run(
        [sys.executable, "-m", "coursehub_tools", *words],
        env={
            "PYTHONPATH": str(ROOT / "images/tools"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.environ["PATH"],
            "COURSEHUB_RESULT": str(result),
            **environment,
        },
        capture_output=True,
        check=False,
    )
    assert ended.stderr == b""
    return ended.returncode, ended.stdout.decode("utf-8"), json.loads(result.read_text(encoding="utf-8"))


def test_the_whole_command(tmp_path: Path, disks: Disks) -> None:
    (disks.source / os.fsdecode(b"\xff\n")).write_text("mine", encoding="utf-8")
    code, said, result = as_the_pod_does(
        tmp_path,
        "copy",
        COURSEHUB_SOURCE=str(disks.source),
        COURSEHUB_DISK=str(disks.disk),
        COURSEHUB_REQUEST=json.dumps({"paths": ["\udcff\n"], "into": "restored"}),
    )
    assert (code, said.splitlines()[-1]) == (0, "restored to restored")
    assert result == {"folder": "restored", "files": 1, "bytes": 4, "changed": True, "left_out": 0, "failed": ""}


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (["cpoy"], {}, "no such command: cpoy; there are copy, compare, archive, check, extract"),
        ([], {}, "no such command: none; there are copy, compare, archive, check, extract"),
        (["copy"], {}, "COURSEHUB_REQUEST is empty: this is to be set by what starts the pod"),
    ],
)
def test_bad_calls_are_a_sentence(tmp_path: Path, words: list[str], environment: dict[str, str], sentence: str) -> None:
    code, said, result = as_the_pod_does(tmp_path, *words, **environment)
    assert (code, said, result) == (1, f"{sentence}\n", {"failed": sentence})


def test_a_disk_that_is_not_mounted(disks: Disks, run: Run) -> None:
    disks.source.rmdir()
    assert "no disk can be read at" in run("copy", paths=["a"], into="r")["failed"]


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError("odd"), RecursionError("odd"), SystemExit("odd")])
def test_what_nobody_expected_is_a_sentence_too(
    disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(*_words: object) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(command.copying, "run", broken)
    assert run("copy", paths=["a"], into="r")["failed"].startswith(f"unexpected {type(error).__name__}: odd; ")


def test_being_told_to_end_is_a_sentence(disks: Disks, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_words: object) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        raise AssertionError

    monkeypatch.setattr(command.copying, "run", slow)
    assert run("copy", paths=["a"], into="r")["failed"] == "it was told to end before it was done: run it again"


def test_a_result_that_can_not_be_written_is_told(
    disks: Disks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COURSEHUB_RESULT", str(tmp_path / "none/result"))
    assert command.main(["copy"]) == 1
    assert "the result can't be written" in capsys.readouterr().out
