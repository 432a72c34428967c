"""Runs an action plugin as a task would, with nothing around it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ansible.plugins.action import ActionBase


def run_action(
    action: type[ActionBase],
    arguments: dict[str, Any] | None = None,
    *,
    templar: Any = None,
    task_vars: dict[str, Any] | None = None,
    check_mode: bool = False,
) -> dict[str, Any]:
    """Return the result of one run."""
    task = SimpleNamespace(
        action=action.__module__,
        args=arguments or {},
        async_val=0,
        check_mode=check_mode,
        diff=False,
        environment=None,
        no_log=False,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    result: dict[str, Any] = action(task, connection, SimpleNamespace(), None, templar, None).run(
        task_vars=task_vars or {}
    )
    return result
