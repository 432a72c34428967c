from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from coursehub_tools import __main__ as command

Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Disks:
    source: Path
    disk: Path


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disks:
    """Two empty disks, where the command looks for them."""
    found = Disks(tmp_path / "source", tmp_path / "disk")
    for path in (found.source, found.disk):
        path.mkdir()
    monkeypatch.setenv("COURSEHUB_SOURCE", str(found.source))
    monkeypatch.setenv("COURSEHUB_DISK", str(found.disk))
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command as the pod does; return the result, which has its exit code too."""

    def run(name: str, /, **request: Any) -> dict[str, Any]:
        file = tmp_path / "result.json"
        monkeypatch.setenv("COURSEHUB_RESULT", str(file))
        monkeypatch.setenv("COURSEHUB_REQUEST", json.dumps(request))
        previous = signal.getsignal(signal.SIGTERM)
        try:
            code = command.main([name])
        finally:
            signal.signal(signal.SIGTERM, previous)
        content = file.read_bytes()
        assert len(content) <= 4096
        result: dict[str, Any] = json.loads(content.decode("utf-8"))
        assert code == (1 if result["failed"] else 0)
        assert "Traceback" not in result["failed"]
        return result

    return run


@pytest.fixture(autouse=True)
def no_descriptor_is_left_open() -> Any:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    yield
    assert count() <= before


@pytest.fixture
def rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for rclone in the way; return the folder that its remotes are in."""
    root, programs = tmp_path / "remotes", tmp_path / "programs"
    root.mkdir()
    programs.mkdir()
    script = Path(__file__).with_name("rclone.py").read_text(encoding="utf-8")
    (programs / "rclone").write_text(f"#!{sys.executable} -IS\n{script}", encoding="utf-8")
    (programs / "rclone").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("RCLONE_STAND_IN", str(root))
    return root
