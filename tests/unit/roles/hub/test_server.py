"""What students' servers are given to run."""

from __future__ import annotations

import ast
import re

from tests.conftest import ROOT


def test_each_file_of_the_program_is_in_its_config_map() -> None:
    text = (ROOT / "roles/hub/templates/students.yaml.j2").read_text(encoding="utf-8")
    names = re.search(r"{% for name in (\[[^\]]*\]) %}", text)
    assert names
    assert ast.literal_eval(names[1]) == sorted(file.stem for file in (ROOT / "roles/hub/files/server").glob("*.py"))
