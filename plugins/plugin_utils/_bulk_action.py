# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's side of the modules that work on all students: runs the module and shows how far it has come.

A module can't print while it runs, so it appends to a file and a thread here reads that. What is shown is decided by
``COURSEHUB_PROGRESS``: ``auto`` (rewrite one line on a terminal, else print few lines), ``lines`` (never rewrite), or
``none``. Ansible has no ``--quiet`` of its own (ansible-core 2.19 counts ``-v`` up from 0 and knows no ``-q``); what
comes nearest is ``ANSIBLE_DISPLAY_OK_HOSTS=false``, and ``auto`` shows nothing then. Nor does it where
``ANSIBLE_STDOUT_CALLBACK`` prints for programs: one line of ours and what they read is no JSON any more.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _progress

SETTING = "COURSEHUB_PROGRESS"
SETTINGS = ("auto", "lines", "none")
POLL_S = 0.2
# Callbacks whose output is read by programs, by the last part of their name.
FOR_PROGRAMS = ("json", "jsonl", "null")


def columns(stream: Any) -> int:
    """Return the width of the terminal that a stream is, 0 where it is none."""
    try:
        return (os.get_terminal_size(stream.fileno()).columns or 80) if stream.isatty() else 0
    except (AttributeError, OSError, ValueError):
        return 0


# Looked at when this is imported, which the controller does before it forks: a worker of ansible-core 2.19 has no
# standard output of its own, what it displays is printed by the controller.
TERMINAL_COLUMNS = columns(sys.stdout)


class Teller(Protocol):
    """Shows states to a person."""

    def turn(self, states: Sequence[_progress.State]) -> None:
        """Take the states that are new; called several times a second, also where none is."""

    def end(self) -> None:
        """Leave the terminal as it was."""


class Lines:
    """Prints lines, few of them."""

    def __init__(self, display: Any, prefix: str = "") -> None:
        self._display = display
        self._prefix = prefix
        self._told: _progress.State | None = None

    def turn(self, states: Sequence[_progress.State]) -> None:
        for state in states:
            if _progress.due(self._told, state):
                self._told = state
                self._display.display(f"  {self._prefix}{_progress.text(state)}")

    def end(self) -> None:
        return


class Rewritten:
    """Rewrites one line of a terminal, without escape sequences. The carriage return lets Python flush it."""

    def __init__(self, display: Any, width: int) -> None:
        self._display = display
        self._width = width
        self._state: _progress.State | None = None
        self._since = 0.0
        self._shown = ""

    def turn(self, states: Sequence[_progress.State]) -> None:
        now = time.monotonic()
        if states:
            self._state, self._since = states[-1], now
        if self._state is None:
            return
        state = self._state
        if not state.ended:
            # The time goes on where nothing else does.
            state = replace(state, seconds=state.seconds + now - self._since)
        self._show(f"  {_progress.text(state)}"[: self._width - 1])

    def end(self) -> None:
        if self._shown:
            self._show("")
            self._write("\r")

    def _show(self, line: str) -> None:
        if line != self._shown:
            self._write(f"\r{line.ljust(len(self._shown))}")
            self._shown = line

    def _write(self, characters: str) -> None:
        self._display.display(characters, newline=False, screen_only=True)


def follow(file: Any, ended: threading.Event, teller: Teller) -> None:
    """Tell what is appended to a file until ``ended`` is set, and what is left in it then."""
    rest, last = "", False
    while not last:
        last = ended.wait(POLL_S)
        *lines, rest = (rest + file.read()).split("\n")
        teller.turn([state for state in map(_progress.read, lines) if state is not None])
    teller.end()


@contextmanager
def followed(teller: Teller) -> Iterator[str]:
    """Give a file and tell what is appended to it, until the end of the block, however that comes."""
    # In this folder, which the controller removes when it ends: a worker that is interrupted can't.
    folder = constants.DEFAULT_LOCAL_TMP
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", prefix="progress-", dir=folder) as file:
        ended = threading.Event()
        thread = threading.Thread(target=follow, args=(file, ended, teller), name=_progress.THREAD, daemon=True)
        thread.start()
        try:
            yield file.name
        finally:
            ended.set()
            thread.join()


def for_programs(callback: str) -> bool:
    """Tell whether a stdout callback prints what programs read."""
    return callback.rpartition(".")[2] in FOR_PROGRAMS


def in_runner(callback: str, environment: Mapping[str, str]) -> bool:
    """Tell whether ansible-runner runs this, as in AWX: it gives Ansible a terminal that nobody looks at."""
    return callback.rpartition(".")[2] == "awx_display" or "AWX_ISOLATED_DATA_DIR" in environment


def shows_ok_hosts() -> bool:
    """Tell whether Ansible prints tasks that went well."""
    try:
        value = constants.config.get_config_value("display_ok_hosts", plugin_type="callback", plugin_name="default")
    except AnsibleError:
        # Another callback than the default one is in charge, and this is not its option.
        return True
    return bool(value)


class BulkAction(ActionBase):
    """Runs the module of the same name and shows its progress."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result. Refuses a setting that is none before the module is run."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        teller = self._teller(task_vars or {})
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        if teller is None:
            result.update(self._execute_module(task_vars=task_vars, wrap_async=wrap_async))
        else:
            with followed(teller) as path:
                arguments = {**self._task.args, "progress_file": path}
                result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _teller(self, task_vars: Mapping[str, Any]) -> Teller | None:
        """Return what shows the progress, None where nothing is to be shown."""
        setting = os.environ.get(SETTING) or "auto"
        if setting not in SETTINGS:
            raise AnsibleActionFail(f"{SETTING} is '{setting}': set one of {', '.join(SETTINGS)}")
        here = self._connection.transport == "local" and not self._task.async_val
        if setting == "none" or not here or self._task.no_log or self._task.args.get("progress_file"):
            return None
        callback = constants.DEFAULT_STDOUT_CALLBACK
        if setting == "auto" and (for_programs(callback) or not shows_ok_hosts()):
            return None
        display = Display()
        hosts = task_vars.get("ansible_play_batch") or ()
        terminal = (
            TERMINAL_COLUMNS > 0
            and os.environ.get("TERM", "dumb") != "dumb"
            and not constants.ANSIBLE_NOCOLOR
            and not in_runner(callback, os.environ)
        )
        # Other hosts' lines, and what -vvv prints, would come in the middle of one that is rewritten.
        if setting == "auto" and terminal and len(hosts) <= 1 and display.verbosity < 3:
            return Rewritten(display, TERMINAL_COLUMNS)
        return Lines(display, f"[{task_vars.get('inventory_hostname')}] " if len(hosts) > 1 else "")
