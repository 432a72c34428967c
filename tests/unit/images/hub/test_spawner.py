"""What the page says while a server starts."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest


class KubeSpawner:
    """Stands in for the hub's own, which is in its image only."""

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        yield {"progress": 50, "message": "pulling"}


@pytest.fixture
def spawner(monkeypatch: pytest.MonkeyPatch) -> Any:
    kubespawner = ModuleType("kubespawner")
    kubespawner.KubeSpawner = KubeSpawner  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kubespawner", kubespawner)
    monkeypatch.delitem(sys.modules, "coursehub_hub.spawner", raising=False)
    return importlib.import_module("coursehub_hub.spawner").CourseSpawner()


def said(spawner: Any) -> list[str]:
    async def collect() -> list[str]:
        return [event["message"] async for event in spawner.progress()]

    return asyncio.run(collect())


def test_a_disk_with_room_is_nothing_to_speak_of(spawner: Any) -> None:
    assert said(spawner) == ["pulling"]


def test_a_student_is_told_of_a_full_disk(spawner: Any) -> None:
    spawner.disk_is_full = True
    first, second = said(spawner)
    assert first.startswith("Your disk is nearly full")
    assert second == "pulling"
