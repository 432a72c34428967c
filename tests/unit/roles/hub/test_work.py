"""What is at work in a server."""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import coursehub_work as work


@contextmanager
def shell() -> Iterator[tuple[int, Any]]:
    """An interactive shell in a terminal of its own; give what is typed into it, and the manager that has it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    try:
        yield terminal, SimpleNamespace(terminals={"1": SimpleNamespace(ptyproc=SimpleNamespace(pid=pid))})
    finally:
        subprocess.run(["pkill", "-KILL", "-s", str(pid)], check=False)
        os.close(terminal)
        os.waitpid(pid, 0)


def becomes(manager: Any, works: bool) -> None:
    deadline = time.monotonic() + 20
    while work.terminal_works(manager) is not works:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_in_a_terminal() -> None:
    with shell() as (terminal, manager):
        becomes(manager, False)
        os.write(terminal, b"sleep 600\n")
        becomes(manager, True)
        # Ctrl-C.
        os.write(terminal, b"\x03")
        becomes(manager, False)
        os.write(terminal, b"nohup sleep 600 >/dev/null 2>&1 &\n")
        becomes(manager, True)


def test_others_processes_are_not_the_terminals() -> None:
    assert not work.terminal_works(None)
    assert not work.terminal_works(SimpleNamespace(terminals={}))
    # A session that nobody is in.
    one = SimpleNamespace(ptyproc=SimpleNamespace(pid=2**22 + 1))
    assert not work.terminal_works(SimpleNamespace(terminals={"1": one}))


def process(proc: Path, pid: int, name: str, state: str, session: int) -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {state} 1 {pid} {session} 0 -1\n", encoding="utf-8")


def test_names_of_processes_may_be_anything(tmp_path: Path) -> None:
    manager = SimpleNamespace(terminals={"1": SimpleNamespace(ptyproc=SimpleNamespace(pid=10))})
    process(tmp_path, 10, "bash", "S", 10)
    (tmp_path / "self").mkdir()
    (tmp_path / "11").mkdir()
    assert not work.terminal_works(manager, tmp_path)
    process(tmp_path, 12, "a) S 1 1 10", "S", 12)
    assert not work.terminal_works(manager, tmp_path)
    process(tmp_path, 13, "ended", "Z", 10)
    assert not work.terminal_works(manager, tmp_path)
    process(tmp_path, 14, "a (b) c", "R", 10)
    assert work.terminal_works(manager, tmp_path)
