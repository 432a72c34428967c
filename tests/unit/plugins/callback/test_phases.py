from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.callback import phases


class Stats:
    """What Ansible hands over at the end."""

    processed = ("a", "b")

    def summarize(self, host: str) -> dict[str, int]:
        return {"changed": {"a": 2, "b": 1}[host]}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: Iterator[float] = iter([0.0, 1.0, 4.0, 14.0, 14.2, 20.0])
    monkeypatch.setattr(phases.time, "monotonic", lambda: next(ticks))


def task(role: str | None) -> Any:
    named = SimpleNamespace(get_name=lambda include_role_fqcn: role)
    return SimpleNamespace(_role=named if role else None)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("ansible.utils.display.Display.display", lambda _self, text, *_a, **_k: lines.append(text))
    return lines


@pytest.mark.usefixtures("clock")
def test_time_goes_to_the_role_of_the_task_that_took_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    file = tmp_path / "phases.json"
    monkeypatch.setenv("COURSEHUB_PHASES_FILE", str(file))
    callback = phases.CallbackModule()
    for role in (None, "cluster", "hub", "cluster"):
        callback.v2_playbook_on_task_start(task(role), False)
    callback.v2_playbook_on_stats(Stats())
    told = json.loads(file.read_text(encoding="utf-8"))
    assert {name: round(value, 1) for name, value in told["phases"].items()} == {
        "playbook": 3.0,
        "cluster": 15.8,
        "hub": 0.2,
    }
    assert (round(told["total"]), told["changed"]) == (19, 3)
    assert shown == ["Phases: playbook 3 s, cluster 16 s; 19 s in all"]


def test_a_run_without_tasks(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COURSEHUB_PHASES_FILE", raising=False)
    phases.CallbackModule().v2_playbook_on_stats(Stats())
    assert shown == ["Phases: all under half a second; 0 s in all"]
