"""Folders as they are when they are looked at."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

from coursehub_tools import tree


def test_a_folder_is_listed_by_a_descriptor_that_is_as_new_as_the_look(tmp_path: Path) -> None:
    """On btrfs a descriptor shows what was there when it was opened."""
    with tree.top(tmp_path) as folder, mock.patch.object(os, "listdir", wraps=os.listdir) as listing:
        (tmp_path / "new").touch()
        assert tree.names(folder) == ["new"]
    assert listing.call_args.args != (folder,)
