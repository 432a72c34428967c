"""Which disk exports are of, by the state."""

from __future__ import annotations

from pathlib import Path

from coursehub_tools.drive import known_disk


def test_a_disk_is_known_when_its_exports_have_begun(tmp_path: Path) -> None:
    assert not known_disk.is_known(tmp_path, "one")
    known_disk.note(tmp_path, "one")
    assert known_disk.is_known(tmp_path, "one")
    assert not known_disk.is_known(tmp_path, "two")
    known_disk.note(tmp_path, "two")
    assert not known_disk.is_known(tmp_path, "one")


def test_a_note_that_was_cut_and_a_disk_without_an_id_are_none(tmp_path: Path) -> None:
    (tmp_path / known_disk.NAME).write_bytes(b"on\xff")
    assert not known_disk.is_known(tmp_path, "one")
    known_disk.note(tmp_path, "")
    assert not known_disk.is_known(tmp_path, "")
