from __future__ import annotations

from pathlib import Path

import pytest
from coursehub_tools.drive import turn


def test_a_state_keeps_its_id_and_no_other_has_it(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = turn.of(tmp_path)
    assert turn.of(tmp_path) == first != turn.of(tmp_path / "other")
    # Drive takes 124 bytes for a property's key and value.
    assert len(first) == 16


@pytest.mark.parametrize("cut", [b"", b"0123456789abcde", b"\xff" * 16])
def test_an_id_that_was_cut_is_none(tmp_path: Path, cut: bytes) -> None:
    (tmp_path / turn.NAME).write_bytes(cut)
    assert turn.of(tmp_path) == turn.of(tmp_path)
    assert len(turn.of(tmp_path)) == 16
