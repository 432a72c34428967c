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
import pytest

MARK = "JUPYTERHUB_SERVICE_PREFIX=/user/ann/"


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
    deadline = time.monotonic() + 120
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


def process(proc: Path, pid: int, name: str, state: str, session: int, *used: int, began: int = 1) -> None:
    """Let a process be, which has used so many ticks."""
    (proc / str(pid)).mkdir(exist_ok=True)
    times = " ".join(str(ticks) for ticks in (*used, 0, 0, 0, 0)[:4])
    words = f"{pid} ({name}) {state} 1 {pid} {session} 0 -1 0 0 0 0 0 {times} 20 0 1 0 {began} 0"
    (proc / str(pid) / "stat").write_text(f"{words}\n", encoding="utf-8")
    (proc / str(pid) / "environ").write_bytes(f"HOME=/home\0{MARK}\0".encode())


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


class Watch:
    """Jobs below a folder, at a time that the test tells."""

    def __init__(self, proc: Path) -> None:
        self.now = 0.0
        self._jobs = work.Jobs(MARK, proc=proc, clock=lambda: self.now)

    def after(self, seconds: float) -> bool:
        self.now += seconds
        return self._jobs.compute()


def test_a_job_that_computes(tmp_path: Path) -> None:
    process(tmp_path, 1, "tini", "S", 1)
    process(tmp_path, 20, "train", "R", 20, 50_000)
    watch = Watch(tmp_path)
    # What it has used before is not of this minute.
    assert not watch.after(60)
    process(tmp_path, 20, "train", "R", 20, 50_100, 50)
    assert not watch.after(59)
    assert watch.after(1)
    assert not watch.after(60)


def test_what_only_wakes_up_now_and_then_is_no_job(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    for minute in range(10):
        # A tenth of a second each.
        for pid in range(30, 38):
            process(tmp_path, pid, "pyright", "S", pid, 10 * minute)
        assert not watch.after(60)


def test_a_script_of_many_short_programs_is_a_job(tmp_path: Path) -> None:
    process(tmp_path, 20, "make", "S", 20, 0, 0, 100, 20)
    watch = Watch(tmp_path)
    process(tmp_path, 20, "make", "S", 20, 0, 0, 200, 40)
    assert watch.after(60)


def test_many_processes_are_one_job(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    for pid in range(30, 42):
        process(tmp_path, pid, "worker", "R", pid, 10)
    assert watch.after(60)


def test_another_process_of_the_same_pid_is_measured_from_its_start(tmp_path: Path) -> None:
    process(tmp_path, 20, "train", "R", 20, 1000)
    watch = Watch(tmp_path)
    process(tmp_path, 20, "train", "R", 20, 500, began=9)
    assert watch.after(60)


def test_the_server_and_what_is_not_begun_in_it_are_no_jobs(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    process(tmp_path, os.getpid(), "python", "R", 1, 5000)
    process(tmp_path, 40, "other", "R", 40, 5000)
    (tmp_path / "40/environ").write_bytes(f"HOME=/home\0{MARK}gpu/\0".encode())
    process(tmp_path, 41, "hidden", "R", 41, 5000)
    (tmp_path / "41/environ").unlink()
    process(tmp_path, 42, "ended", "Z", 42, 5000)
    assert not watch.after(60)


@pytest.mark.parametrize(
    ("command", "computes"),
    [("nohup {} >/dev/null 2>&1 &", True), ("setsid {} &", True), ("setsid sleep 600 &", False)],
)
def test_a_detached_job_outlives_its_terminal(command: str, computes: bool, tmp_path: Path) -> None:
    """By the real /proc: what is measured is its processor time, whatever the clock says."""
    mark = f"MARK={tmp_path}"
    script = tmp_path / "job"
    script.write_text("echo $$ >pid; while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2; done")
    now = 0.0
    jobs = work.Jobs(mark, every_s=1, clock=lambda: now)
    begun = subprocess.Popen(
        ["bash", "-c", f"{command.format('sh job')} echo $! >bash"],
        cwd=tmp_path,
        env={**os.environ, "MARK": str(tmp_path)},
        start_new_session=True,
    )
    assert begun.wait(120) == 0
    try:
        deadline = time.monotonic() + 120
        while computes and not jobs.compute() and time.monotonic() < deadline:
            # A fiftieth of a second of a core, in a second.
            now += 1 if _ticks(tmp_path / "pid") >= 5 else 0
            time.sleep(0.05)
        # A minute, as in the product: of a second, what it takes to start a program is a job's part on a slow machine.
        now += 60
        assert computes or not jobs.compute()
        assert time.monotonic() < deadline
    finally:
        for process_id in work._living(Path("/proc")):
            if jobs._belongs(process_id[0]):
                os.kill(process_id[0], 9)


def _ticks(file: Path) -> int:
    try:
        # Made and not written yet: that would be the machine's own times.
        if not (pid := file.read_text().strip()):
            return 0
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, words[work.TIMES]))
