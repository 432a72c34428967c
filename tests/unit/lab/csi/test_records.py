"""What the driver remembers outlives what can happen to it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from btrfs_csi.records import Records
from hypothesis import given
from hypothesis import strategies as st

# What a request may name: CSI allows 128 bytes.
names = st.text(max_size=128).filter(lambda text: len(text.encode()) <= 128)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
good_records = st.dictionaries(st.text(), json_values)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path, "volumes")


def left(records: Records) -> list[str]:
    return sorted(path.name for path in records.folder.iterdir())


def test_what_was_put_is_there_after_a_restart(records: Records, tmp_path: Path) -> None:
    records.put("disk-1", {"size": 5})
    assert Records(tmp_path, "volumes").get("disk-1") == {"size": 5}


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,119}", fullmatch=True), record=good_records)
def test_every_record_comes_back_as_it_was_put(name: str, record: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records = Records(Path(folder), "nodes")
        records.put(name, record)
        assert records.get(name) == record
        assert list(records.all()) == [(name, record)]
        records.delete(name)
        assert records.get(name) is None
        assert list(records.all()) == []


def test_kinds_do_not_see_each_other(tmp_path: Path) -> None:
    Records(tmp_path, "volumes").put("one", {})
    assert Records(tmp_path, "snapshots").get("one") is None
    assert list(Records(tmp_path, "snapshots").all()) == []


def test_a_record_that_is_not_there_is_none(records: Records) -> None:
    assert records.get("disk-1") is None
    records.put("disk-2", {})
    assert records.get("disk-1") is None


def test_asking_makes_no_folder(records: Records) -> None:
    records.get("disk-1")
    list(records.all())
    assert not records.folder.exists()


@pytest.mark.parametrize("name", ["../volumes/disk-1", "/disk-1", "a/b", "/", ""])
def test_a_name_that_would_leave_the_folder_gives_none(records: Records, tmp_path: Path, name: str) -> None:
    records.put("disk-1", {"size": 5})
    (tmp_path / "records/disk-1.json").write_text("{}", encoding="utf-8")
    (tmp_path / "records/volumes/a").mkdir()
    (tmp_path / "records/volumes/a/b.json").write_text("{}", encoding="utf-8")
    (tmp_path / "records/volumes/.json").write_text("{}", encoding="utf-8")
    assert records.get(name) is None


@given(name=names)
def test_whatever_a_request_names_there_is_no_record_of_it(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "secret.json").write_text("{}", encoding="utf-8")
        records = Records(Path(folder), "volumes")
        records.put("disk-1", {})
        if name != "disk-1":
            assert records.get(name) is None


def test_all_records_come_in_the_order_of_their_names(records: Records) -> None:
    for name in ("disk-b", "disk-c", "disk-a"):
        records.put(name, {"name": name})
    assert [name for name, _record in records.all()] == ["disk-a", "disk-b", "disk-c"]
    assert all(record == {"name": name} for name, record in records.all())


def test_a_name_with_dots_stays_whole(records: Records) -> None:
    records.put("node-1.example.org", {})
    assert [name for name, _record in records.all()] == ["node-1.example.org"]


def test_a_record_that_is_put_again_is_replaced(records: Records) -> None:
    records.put("disk-1", {"size": 5, "name": "a"})
    records.put("disk-1", {"size": 6})
    assert records.get("disk-1") == {"size": 6}
    assert left(records) == ["disk-1.json"]


def test_a_record_can_be_deleted_twice(records: Records) -> None:
    records.put("disk-1", {})
    records.delete("disk-1")
    records.delete("disk-1")
    assert records.get("disk-1") is None


class PowerCutError(Exception):
    """The machine is gone."""


def test_a_crash_between_the_write_and_the_rename_leaves_the_old_record(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put("disk-1", {"size": 5})

    def cut(_self: Path, _target: Path) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", cut)
        with pytest.raises(PowerCutError):
            records.put("disk-1", {"size": 6})
        with pytest.raises(PowerCutError):
            records.put("disk-2", {"size": 7})
    # The file that was left is there, and is no record.
    assert len(left(records)) == 3
    assert list(records.all()) == [("disk-1", {"size": 5})]
    assert records.get("disk-2") is None
    records.put("disk-1", {"size": 6})
    assert records.get("disk-1") == {"size": 6}


def test_a_crash_in_the_middle_of_the_write_leaves_the_old_record(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.put("disk-1", {"size": 5})

    def half(record: Any, file: Any) -> None:
        file.write('{"size"')
        file.flush()
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(json, "dump", half)
        with pytest.raises(PowerCutError):
            records.put("disk-1", {"size": 6})
    assert list(records.all()) == [("disk-1", {"size": 5})]


@pytest.mark.parametrize("process", ["1", str(os.getpid())], ids=["another", "the same number"])
def test_a_file_that_another_driver_left_half_written_is_no_record(records: Records, process: str) -> None:
    records.put("disk-1", {"size": 5})
    (records.folder / f".disk-1.{process}").write_text('{"size', encoding="utf-8")
    (records.folder / f".disk-2.{process}").write_text('{"size', encoding="utf-8")
    assert list(records.all()) == [("disk-1", {"size": 5})]
    records.put("disk-2", {"size": 6})
    assert list(records.all()) == [("disk-1", {"size": 5}), ("disk-2", {"size": 6})]


def test_a_record_is_on_the_disk_before_it_takes_its_name(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        done.append(f"fsync of {size} bytes")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    records.put("disk-1", {"size": 5})
    assert done[:2] == [f"fsync of {len(json.dumps({'size': 5}))} bytes", "rename"]


def test_a_record_that_goes_while_all_are_read_is_left_out(records: Records) -> None:
    for name in ("disk-a", "disk-b", "disk-c"):
        records.put(name, {})
    reading = records.all()
    assert next(reading) == ("disk-a", {})
    records.delete("disk-b")
    assert list(reading) == [("disk-c", {})]
