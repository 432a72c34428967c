"""What a role reads of its own names is given in it: a file that a commit has left out is noticed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.paths import ROOT

ROLES = sorted(folder for folder in (ROOT / "roles").iterdir() if folder.is_dir())


def missing(role: Path) -> set[str]:
    """Return the private names that a role reads, and that nothing in it gives."""
    folders = [role / name for name in ("defaults", "vars", "tasks", "templates", "handlers")]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    name = rf"_{role.name}_\w+"
    given = re.compile(
        rf"""^\s*(?:- )?['"]?({name})['"]?:|(?:register|loop_var|index_var): ({name})|set ({name})""", re.MULTILINE
    )
    return set(re.findall(rf"(?<!\w){name}", text)) - {one for found in given.findall(text) for one in found if one}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_private_name_is_given(role: Path) -> None:
    assert missing(role) == set()
