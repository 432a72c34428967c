"""What students' servers run is all there."""

from __future__ import annotations

from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader

from tests.unit.paths import ROOT

ROLE = ROOT / "roles/hub"


def test_each_file_of_the_servers_program_is_in_its_configmap() -> None:
    environment = Environment(loader=FileSystemLoader(ROLE / "templates"), autoescape=False)
    environment.filters["to_json"] = yaml.safe_dump
    looked_up: list[str] = []

    def lookup(_plugin: str, path: str) -> str:
        looked_up.append(path.rpartition("/")[2])
        return ""

    known: dict[str, Any] = {"lookup": lookup, "role_path": str(ROLE), "coursehub_hub_student_egress_except": []}
    environment.get_template("students.yaml.j2").render(known)
    assert sorted(looked_up) == sorted(path.name for path in (ROLE / "files/server").glob("*.py"))
