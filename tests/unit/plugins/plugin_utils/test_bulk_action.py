from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import State
from ansible_collections.coursehub.jupyterhub.plugins.plugin_utils import _bulk_action
from ansible_collections.coursehub.jupyterhub.plugins.plugin_utils._bulk_action import BulkAction, Lines, Rewritten

from tests.unit.paths import ROOT
from tests.unit.plugins.action.task import run_action

# Stands in for a module: a process that works through two phases and says when it is done.
MODULE = """
import sys, time
import tests.conftest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress
progress = _progress.Progress(sys.argv[1])
for name in ("taking", "removing"):
    with progress.phase(name, 3) as phase:
        for item in range(3):
            phase.started(item)
            time.sleep(0.05)
            (phase.failed if item == 1 else phase.done)(item)
exec(sys.argv[2])
"""


class Screen:
    """What Ansible's display was told to print."""

    def __init__(self, verbosity: int = 0) -> None:
        self.text = ""
        self.verbosity = verbosity
        self.logged: list[str] = []

    def display(self, message: str, newline: bool = True, screen_only: bool = False) -> None:
        self.text += message + ("\n" if newline else "")
        if not screen_only:
            self.logged.append(message)

    def seen(self) -> str:
        """Return the line that is on the terminal now: a carriage return goes back, what is written covers."""
        line = ""
        for part in self.text.split("\r"):
            line = part + line[len(part) :]
        return line.rstrip()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (_bulk_action.SETTING, "AWX_ISOLATED_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(_bulk_action.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(_bulk_action.constants, "DEFAULT_STDOUT_CALLBACK", "default")
    monkeypatch.setattr(_bulk_action.constants, "ANSIBLE_NOCOLOR", False)
    monkeypatch.setattr(_bulk_action, "TERMINAL_COLUMNS", 0)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    one = Screen()
    monkeypatch.setattr(_bulk_action, "Display", lambda: one)
    return one


class Module:
    """Runs the stand-in as Ansible would the module, and keeps how it was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.last = ""
        self.arguments: dict[str, Any] = {}
        self.wrap_async: bool | None = None
        monkeypatch.setattr(Action, "_execute_module", self._execute, raising=False)
        monkeypatch.setattr(Action, "_remove_tmp_path", lambda _self, _path: None, raising=False)

    def _execute(
        self,
        module_args: dict[str, Any] | None = None,
        task_vars: dict[str, Any] | None = None,
        wrap_async: bool = False,
    ) -> dict[str, Any]:
        assert task_vars is not None
        self.arguments, self.wrap_async = module_args or {}, wrap_async
        file = self.arguments.get("progress_file", "")
        command = [sys.executable, "-c", MODULE, file, self.last]
        code = subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL).returncode
        return {"changed": True, "rc": code}


class Action(BulkAction):
    """An action as they are in plugins/action."""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Module:
    return Module(monkeypatch)


# The action.


def test_what_a_module_tells_is_shown_by_lines(module: Module, screen: Screen, tmp_path: Path) -> None:
    result = run_action(Action, {"students": ["ann"]}, task_vars={"inventory_hostname": "localhost"})
    assert result == {"changed": True, "rc": 0}
    line = r"2 of 3 done, 1 failed, \d+ s in all.*\n"
    assert re.fullmatch(f"  taking: {line}  removing: {line}", screen.text)
    assert module.arguments["students"] == ["ann"]
    assert _progress.THREAD not in [thread.name for thread in threading.enumerate()]
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_one_line_is_rewritten_and_cleared(
    module: Module, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bulk_action, "TERMINAL_COLUMNS", 80)
    run_action(Action)
    assert "\r  removing: 2 of 3 done, 1 failed" in screen.text
    assert "\n" not in screen.text
    assert screen.text.endswith("\r")
    assert screen.seen() == ""
    assert screen.logged == []


@pytest.mark.parametrize(
    "last", ["sys.exit(3)", "import os; os.kill(os.getpid(), 9)", "phase.__enter__(); os._exit(1)"]
)
def test_however_a_module_ends_the_thread_does_and_the_file_goes(
    module: Module, screen: Screen, tmp_path: Path, last: str
) -> None:
    module.last = last
    assert run_action(Action)["rc"] != 0
    assert len(screen.text.splitlines()) == 2
    assert _progress.THREAD not in [thread.name for thread in threading.enumerate()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("screen")
def test_an_action_that_is_broken_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def die(_self: object, **_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Action, "_execute_module", die)
    with pytest.raises(KeyboardInterrupt):
        run_action(Action)
    assert _progress.THREAD not in [thread.name for thread in threading.enumerate()]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_is_run_as_any_other(module: Module, screen: Screen) -> None:
    assert run_action(Action, check_mode=True)["changed"]
    assert "progress_file" in module.arguments
    assert screen.text


@pytest.mark.parametrize(
    ("more", "wrapped"),
    [({"transport": "ssh"}, False), ({"no_log": True}, False), ({"async_val": 60}, True)],
)
def test_where_nothing_can_be_shown_the_module_runs_all_the_same(
    module: Module, screen: Screen, more: dict[str, Any], wrapped: bool
) -> None:
    assert run_action(Action, **more) == {"changed": True, "rc": 0}
    assert (module.arguments, module.wrap_async, screen.text) == ({}, wrapped, "")


def test_a_file_of_the_tasks_own_is_left_to_it(module: Module, screen: Screen, tmp_path: Path) -> None:
    run_action(Action, {"progress_file": str(tmp_path / "own")})
    # As it is when no arguments are handed over: those of the task.
    assert (module.arguments, screen.text) == ({}, "")


@pytest.mark.usefixtures("screen")
def test_a_setting_that_is_none_is_refused_before_anything_is_run(
    module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(_bulk_action.SETTING, "loud")
    with pytest.raises(AnsibleActionFail, match="COURSEHUB_PROGRESS is 'loud': set one of auto, lines, none"):
        run_action(Action)
    assert module.wrap_async is None


# Which way.


def way(
    monkeypatch: pytest.MonkeyPatch,
    setting: str = "",
    *,
    columns: int = 80,
    callback: str = "default",
    hosts: int = 1,
    verbosity: int = 0,
    environment: dict[str, str] | None = None,
    **constants: Any,
) -> str:
    for name, value in {_bulk_action.SETTING: setting, **(environment or {})}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_bulk_action, "TERMINAL_COLUMNS", columns)
    monkeypatch.setattr(_bulk_action.constants, "DEFAULT_STDOUT_CALLBACK", callback)
    for name, value in constants.items():
        monkeypatch.setattr(_bulk_action.constants, name, value)
    monkeypatch.setattr(_bulk_action, "Display", lambda: Screen(verbosity))
    shown: list[str] = []

    class Probe(Action):
        def _teller(self, task_vars: Any) -> None:
            shown.append(type(super()._teller(task_vars)).__name__)

        def _execute_module(self, **_arguments: Any) -> dict[str, Any]:
            return {}

        def _remove_tmp_path(self, _path: object) -> None: ...

    run_action(Probe, task_vars={"ansible_play_batch": [str(number) for number in range(hosts)]})
    return shown[0]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "Rewritten"),
        ({"setting": "auto"}, "Rewritten"),
        ({"columns": 0}, "Lines"),
        ({"ANSIBLE_NOCOLOR": True}, "Lines"),
        ({"environment": {"TERM": "dumb"}}, "Lines"),
        ({"hosts": 0}, "Rewritten"),
        ({"hosts": 2}, "Lines"),
        ({"verbosity": 2}, "Rewritten"),
        ({"verbosity": 3}, "Lines"),
        ({"setting": "lines"}, "Lines"),
        ({"setting": "none"}, "NoneType"),
        # AWX gives Ansible a terminal.
        ({"callback": "awx_display"}, "Lines"),
        ({"callback": "minimal", "environment": {"AWX_ISOLATED_DATA_DIR": "/runner"}}, "Lines"),
        # Read by programs; a person who sets it has the last word.
        ({"callback": "json"}, "NoneType"),
        ({"callback": "ansible.posix.jsonl"}, "NoneType"),
        ({"callback": "community.general.null"}, "NoneType"),
        ({"callback": "ansible.posix.json", "setting": "lines"}, "Lines"),
        ({"callback": "community.general.yaml"}, "Rewritten"),
    ],
)
def test_the_way_it_is_shown(monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], expected: str) -> None:
    assert way(monkeypatch, **more) == expected


@pytest.mark.parametrize(("shown", "expected"), [(True, "Rewritten"), (False, "NoneType")])
def test_where_ansible_shows_no_ok_hosts_no_progress_is_shown(
    monkeypatch: pytest.MonkeyPatch, shown: bool, expected: str
) -> None:
    monkeypatch.setattr(_bulk_action.constants.config, "get_config_value", lambda *_words, **_more: shown)
    assert way(monkeypatch) == expected


@pytest.mark.usefixtures("module")
def test_with_several_hosts_each_line_says_whose_it_is(screen: Screen) -> None:
    run_action(Action, task_vars={"ansible_play_batch": ["a", "b"], "inventory_hostname": "a"})
    assert [line[:12] for line in screen.text.splitlines()] == ["  [a] taking", "  [a] removi"]


# What is shown.


def state(done: int, *, phase: str = "taking", seconds: float = 0.0, ended: bool = False) -> State:
    return State(phase, 100, done, 0, 0, seconds, ended)


def test_lines_are_few() -> None:
    screen = Screen()
    lines = Lines(screen)
    lines.turn([state(done, seconds=done / 10) for done in range(100)])
    lines.turn([])
    lines.turn([state(100, seconds=10, ended=True), state(100, phase="removing", seconds=1, ended=True)])
    lines.end()
    told = screen.text.splitlines()
    # 10 s long, so one each two seconds, and the end.
    assert len(told) == 6
    assert told[0] == "  taking: 20 of 100 done, 10/s, 8 s left"
    assert told[-2:] == [
        "  taking: 100 of 100 done, 10 s in all, 10/s",
        "  removing: 100 of 100 done, 1 s in all, 100/s",
    ]
    assert screen.logged == told


def test_a_shorter_line_covers_a_longer_one() -> None:
    screen = Screen()
    line = Rewritten(screen, 80)
    line.turn([])
    assert screen.text == ""
    line.turn([state(99, seconds=10)])
    assert screen.seen().startswith("  taking: 99 of 100 done, 9.9/s, 0 s left")
    line.turn([state(100, phase="x", ended=True)])
    assert screen.seen() == "  x: 100 of 100 done, 0 s in all"
    line.end()
    assert screen.seen() == ""


def test_a_narrow_terminal_has_no_second_line() -> None:
    screen = Screen()
    line = Rewritten(screen, 20)
    line.turn([state(5, seconds=1)])
    assert screen.seen() == "  taking: 5 of 100"[:19]
    line.end()
    assert max(len(part) for part in screen.text.split("\r")) < 20


def test_the_time_goes_on_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(_bulk_action.time, "monotonic", lambda: clock[0])
    screen = Screen()
    line = Rewritten(screen, 80)
    line.turn([state(0, seconds=1)])
    assert screen.seen() == "  taking: 0 of 100 done, 1 s so far"
    clock[0] += 4
    line.turn([])
    assert screen.seen() == "  taking: 0 of 100 done, 5 s so far"
    before = screen.text
    line.turn([])
    assert screen.text == before
    line.turn([state(100, seconds=9, ended=True)])
    clock[0] += 4
    line.turn([])
    assert screen.seen() == "  taking: 100 of 100 done, 9 s in all, 11/s"


# The thread.


class Kept:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.ended = False

    def turn(self, states: Any) -> None:
        self.states += states

    def end(self) -> None:
        self.ended = True


def test_what_is_appended_is_told_at_once_and_the_rest_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bulk_action, "POLL_S", 0.01)
    kept = Kept()
    with _bulk_action.followed(kept) as path, Path(path).open("a", encoding="utf-8") as file:
        # A line that is whole, and half of one.
        file.write(_progress.written(state(1)) + _progress.written(state(2))[:20])
        file.flush()
        until = time.monotonic() + 120
        while not kept.states and time.monotonic() < until:
            time.sleep(0.01)
        assert kept.states == [state(1)]
        file.write(_progress.written(state(2))[20:] + "no state\n" + _progress.written(state(3)) + '{"phase": "cut')
        file.flush()
        assert not kept.ended
    assert kept.states == [state(1), state(2), state(3)]
    assert kept.ended
    assert not Path(path).exists()


# The terminal.


class Stream(io.StringIO):
    """A stream without a descriptor that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_width_of_what_is_no_terminal(tmp_path: Path) -> None:
    assert _bulk_action.columns(None) == 0
    assert _bulk_action.columns(io.StringIO()) == 0
    assert _bulk_action.columns(Stream()) == 0
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        assert _bulk_action.columns(file) == 0
    assert _bulk_action.columns(file) == 0


@pytest.mark.parametrize(("size", "expected"), [(132, 132), (0, 80)])
def test_the_width_of_a_terminal(size: int, expected: int) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, size, 0, 0))
    with os.fdopen(leader, "rb"), os.fdopen(follower, "w", encoding="utf-8") as stream:
        assert _bulk_action.columns(stream) == expected
