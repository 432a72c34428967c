"""Folders as they are when they are looked at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from coursehub_tools import tree


def test_a_folder_is_listed_by_a_descriptor_that_is_as_new_as_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What btrfs does, done to whatever file system this runs on: a descriptor shows what was there when it was opened."""
    (tmp_path / "old").touch()
    listed, shown = os.listdir, {}
    real = os.open

    def opened(*arguments: object, **more: object) -> int:
        found = real(*arguments, **more)  # type: ignore[arg-type]
        shown[found] = listed(found)
        return found

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "listdir", lambda folder: shown[folder])
    with tree.top(tmp_path) as folder:
        (tmp_path / "new").touch()
        assert tree.names(folder) == ["new", "old"]
