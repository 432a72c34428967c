from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import btrfs_pool
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.integers(1, 2**50)


@pytest.mark.parametrize(
    ("present", "mounted", "actions"),
    [
        (None, False, ["create", "mount"]),
        (100, False, ["mount"]),
        (100, True, []),
        (50, True, ["grow"]),
        (50, False, ["mount", "grow"]),
    ],
)
def test_what_a_pool_of_100_bytes_needs(present: int | None, mounted: bool, actions: list[str]) -> None:
    assert btrfs_pool.plan("present", 100, present, mounted) == actions


@pytest.mark.parametrize(
    ("present", "mounted", "actions"),
    [(None, False, []), (100, False, ["delete"]), (100, True, ["unmount", "delete"]), (None, True, ["unmount"])],
)
def test_what_is_left_to_remove(present: int | None, mounted: bool, actions: list[str]) -> None:
    assert btrfs_pool.plan("absent", 0, present, mounted) == actions


def test_a_pool_is_never_made_smaller() -> None:
    with pytest.raises(
        CoursehubError, match="the pool has 100 bytes and can't shrink to 99: set coursehub_cluster_pool"
    ):
        btrfs_pool.plan("present", 99, 100, True)


@given(SIZES, SIZES, st.booleans())
def test_a_pool_that_exists_is_never_made_anew(size: int, present: int, mounted: bool) -> None:
    if present <= size:
        assert "create" not in btrfs_pool.plan("present", size, present, mounted)
        assert "delete" not in btrfs_pool.plan("present", size, present, mounted)


@given(SIZES)
def test_a_second_run_does_nothing(size: int) -> None:
    assert btrfs_pool.plan("present", size, size, True) == []


def parameters(folder: Path, **more: Any) -> dict[str, Any]:
    values = {"file": str(folder / "pool.img"), "mount": str(folder / "pool"), "size": "1Gi", "state": "present"}
    return {**values, **more}


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    result = btrfs_pool.run(parameters(tmp_path), check_mode=True)
    assert result["actions"] == ["create", "mount"]
    assert result["changed"]
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CoursehubError, match=r"mkfs\.btrfs is not installed: the pool needs btrfs-progs and mount"):
        btrfs_pool.run(parameters(tmp_path), check_mode=False)
    assert not (tmp_path / "pool.img").exists()


def test_a_pool_whose_making_failed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mkfs.btrfs").write_text("#!/bin/sh\necho 'no room' >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "mkfs.btrfs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(CoursehubError, match=r"failed: no room$"):
        btrfs_pool.run(parameters(tmp_path), check_mode=False)
    assert not (tmp_path / "pool.img").exists()
