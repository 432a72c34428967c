"""A recovery stands up all that the playbook site does, in its order, with what was lost put in between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.unit.paths import ROOT


def entries(playbook: str) -> list[tuple[str, str, Any]]:
    """Return what a playbook does: role, entry point, and what it loops over."""
    (play,) = yaml.safe_load(Path(ROOT / "playbooks" / playbook).read_text(encoding="utf-8"))
    calls = [
        (task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role"), task)
        for task in play["tasks"]
    ]
    return [(call["name"], call.get("tasks_from", "main"), task.get("loop")) for call, task in calls if call]


def test_a_recovery_leaves_out_nothing_that_site_does() -> None:
    site, recover = entries("site.yml"), entries("recover.yml")
    assert [one for one in recover if one in site] == site


def test_what_was_lost_is_read_before_anything_is_changed_and_is_there_before_the_proxy_and_the_hub() -> None:
    order = [(role.rpartition(".")[2], entry) for role, entry, _loop in entries("recover.yml")]
    assert order[0] == ("snapshots", "state")
    assert order.index(("storage", "main")) < order.index(("hub", "namespace")) < order.index(("snapshots", "recover"))
    assert order.index(("snapshots", "recover")) < min(order.index(("proxy", "main")), order.index(("hub", "main")))
