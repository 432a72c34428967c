"""What the role autoscaler includes."""

from __future__ import annotations

import jinja2
import pytest
import yaml

from tests.unit.paths import ROOT

TASKS = ROOT / "roles/autoscaler/tasks"


@pytest.mark.parametrize(
    ("engine", "state", "file"),
    [
        ("karpenter", "present", "present"),
        ("karpenter", "absent", "absent"),
        ("none", "absent", "absent"),
        # Switched off again: what is there would go on keeping seats warm.
        ("none", "present", "absent"),
    ],
)
def test_without_an_engine_nothing_is_left(engine: str, state: str, file: str) -> None:
    make = yaml.safe_load((TASKS / "main.yml").read_text(encoding="utf-8"))[-1]
    assert "when" not in make
    included = jinja2.Template(make["ansible.builtin.include_tasks"])
    assert included.render(coursehub_autoscaler_engine=engine, coursehub_state=state) == f"{file}.yml"
    assert (TASKS / f"{file}.yml").exists()
