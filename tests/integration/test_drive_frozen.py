"""An exporter that is frozen with its node, and wakes up when another one has done its work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from coursehub_tools.result import TOLD_TO_END

from tests.integration.drive import ROOT, emulator
from tests.integration.exporting import Student

# The exporter's command, by a clock that the test moves.
_COMMAND = """
import sys
from pathlib import Path
from coursehub_tools.drive import __main__, awake
awake.WATCH = awake.Watch(lambda: float(Path(sys.argv[1]).read_text()))
awake.WATCH.start()
sys.exit(__main__.main(sys.argv[2:]))
"""
FILES = 40


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_stopped(process: subprocess.Popen[str]) -> bool:
    """Tell whether each of its threads stands still."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)


def test_it_makes_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "drive").mkdir()
    with emulator(tmp_path / "drive") as drive:
        ada = Student(drive, tmp_path / "ada", "ada").enrol()
        for number in range(FILES):
            (ada.home / f"task {number}").write_text(f"work {number}", encoding="utf-8")
        clock = tmp_path / "clock"
        clock.write_text("1000")
        # Drive is slow from the tenth file on, so that it is frozen in the middle.
        drive.admin("POST", "/faults", method="drive.files.create", nth=10, times=0, delay_s=2)
        words = ["-c", _COMMAND, str(clock), "export", "--drive-address", drive.url]
        frozen = subprocess.Popen(
            [sys.executable, *words],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "images/tools"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "COURSEHUB_REQUEST": json.dumps({"students": [ada.values()]}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            until(lambda: drive.calls("drive.files.create") >= 10)
            frozen.send_signal(signal.SIGSTOP)
            until(lambda: is_stopped(frozen))
            drive.admin("DELETE", "/faults")
            # As a disk that was taken from a node, and that the node is not told of.
            shutil.copytree(tmp_path / "ada/state", tmp_path / "elsewhere")
            assert ada.exported(state=str(tmp_path / "elsewhere"))["outcome"] == "complete"
            clock.write_text("1060")
        finally:
            frozen.send_signal(signal.SIGCONT)
            said = frozen.communicate(timeout=120)[0]
        assert (frozen.returncode, "frozen" in said) == (TOLD_TO_END, True), said
        # Of its own: the export's folder and the list.
        assert len(ada.files()) == FILES + 2
        assert len(ada.tree()) == FILES
