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
    async_val: int = 0,
    no_log: bool = False,
    transport: str = "local",
) -> dict[str, Any]:
    """Return the result of one run."""
    task = SimpleNamespace(
        action=action.__module__,
        args=arguments or {},
        async_val=async_val,
        check_mode=check_mode,
        diff=False,
        environment=None,
        no_log=no_log,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), has_native_async=False, transport=transport)
    result: dict[str, Any] = action(task, connection, SimpleNamespace(), None, templar, None).run(
        task_vars=task_vars or {}
    )
    return result
