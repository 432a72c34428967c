from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import btrfs_pool
from ansible_collections.coursehub.jupyterhub.plugins.modules.btrfs_pool import Facts, plan
from hypothesis import given
from hypothesis import strategies as st

KIB, MIB = 2**10, 2**20
SIZES = st.integers(1, 2**50)


@pytest.mark.parametrize(
    ("facts", "actions"),
    [
        (Facts(), ["create", "mount"]),
        (Facts(file=MIB), ["mount"]),
        (Facts(file=MIB, pool=MIB, quotas=True), []),
        (Facts(file=MIB, pool=MIB), ["quotas"]),
        (Facts(file=KIB, pool=KIB, quotas=True), ["grow"]),
        (Facts(file=MIB, pool=KIB, quotas=True), ["grow"]),
        (Facts(file=KIB), ["mount", "grow"]),
    ],
)
def test_what_a_pool_of_a_mebibyte_needs(facts: Facts, actions: list[str]) -> None:
    assert plan("present", MIB, facts) == actions


@pytest.mark.parametrize(
    ("facts", "actions"),
    [
        (Facts(), []),
        (Facts(file=MIB), ["delete"]),
        (Facts(file=MIB, pool=MIB), ["unmount", "delete"]),
        (Facts(pool=MIB), ["unmount"]),
    ],
)
def test_what_is_left_to_remove(facts: Facts, actions: list[str]) -> None:
    assert plan("absent", 0, facts) == actions


def test_a_pool_is_never_made_smaller() -> None:
    with pytest.raises(
        CoursehubError, match="the pool has 100 bytes and can't shrink to 99: set coursehub_cluster_pool"
    ):
        plan("present", 99, Facts(file=100, pool=100))


@given(SIZES, SIZES, st.booleans(), st.booleans())
def test_a_pool_that_exists_is_never_made_anew(size: int, present: int, mounted: bool, quotas: bool) -> None:
    if present <= size:
        actions = plan("present", size, Facts(file=present, pool=present if mounted else None, quotas=quotas))
        assert not {"create", "delete"} & set(actions)


@given(SIZES)
def test_a_second_run_does_nothing(size: int) -> None:
    assert plan("present", size, Facts(file=size, pool=size - size % btrfs_pool.SECTOR, quotas=True)) == []


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
