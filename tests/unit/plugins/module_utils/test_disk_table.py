from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _disk_table, _disks, _snapshots, _usage

from tests.unit.plugins.disks import claim, snapshot

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def row(**more: Any) -> dict[str, Any]:
    disk = _disks.disk(claim("ann", last_start="2026-11-24T09:00:00+00:00"))
    items = [
        snapshot("ann", "2026-11-23T12:00:00Z"),
        snapshot("ann", "2026-11-24T10:00:00Z", ready=False),
        snapshot("ann", "2026-11-22T12:00:00Z"),
    ]
    shots = [_snapshots.shot(item, NOW, 600) for item in items]
    return _disk_table.row(disk, more.get("shots", shots), more.get("pod", ""), more.get("usage"), NOW)


def test_what_is_told_of_a_disk() -> None:
    told = row(pod="jupyter-ann", usage=_usage.Usage("node-1", 3 * 2**20, 10))
    assert told == {
        "student": "ann",
        "claim": "disk-ann",
        "phase": "Bound",
        "size_bytes": 2**30,
        "used_bytes": 3 * 2**20,
        "used_inodes": 10,
        "node": "node-1",
        "pod": "jupyter-ann",
        "last_start": "2026-11-24T09:00:00+00:00",
        "newest_snapshot": "disk-ann-20261123-120000",
        "newest_snapshot_age_s": 86400,
        "snapshots": 2,
        "failed_snapshots": 1,
    }


def test_what_is_not_known_is_not_zero() -> None:
    told = row(shots=[])
    assert [told[name] for name in ("used_bytes", "used_inodes", "newest_snapshot_age_s")] == [None] * 3


def test_the_table() -> None:
    rows = [row(pod="p", usage=_usage.Usage("node-1", 3 * 2**20, 10)), {**row(shots=[]), "last_start": None}]
    assert _disk_table.table(rows, NOW).splitlines() == [
        "student  disk   used     of       server     last start  newest snapshot  snapshots",
        "ann      bound  3.0 MiB  1.0 GiB  on node-1  3 h ago     1 d ago          2 (1 failed)",
        "ann      bound           1.0 GiB                         none             0",
    ]
    assert "starting" in _disk_table.table([row(pod="p")], NOW)
    assert len(_disk_table.table([], NOW).splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (10 * 2**20, "10 MiB"), (2**50, "1024 TiB"), (2**30, "1.0 GiB")],
)
def test_sizes(number: int, text: str) -> None:
    assert _disk_table.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400, "1 d"), (8640000, "100 d")]
)
def test_spans(seconds: int, text: str) -> None:
    assert _disk_table.span(timedelta(seconds=seconds)) == text
