"""What a person may get wrong of nodes, seats and classes: one sentence at the door of the role autoscaler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
MACHINE = {"type": "small", "cpu": "1930m", "memory": "14Gi", "disks": 24}
WELL: dict[str, Any] = {
    "coursehub_autoscaler_engine": "karpenter",
    "coursehub_autoscaler_node_class": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
    "coursehub_autoscaler_machine": {**MACHINE, "system_cpu": "180m", "system_memory": "400Mi"},
    "coursehub_autoscaler_prices": {"small": 0.1},
}
# As the hub's variables are, where a playbook has both roles.
HUB = {
    "coursehub_hub_server_memory": "512Mi",
    "coursehub_hub_server_cpu": "50m",
    "coursehub_hub_server_pool": "students",
    "coursehub_hub_server_scheduler": "",
}
PACKED = {"coursehub_autoscaler_scheduler_image": "kube-scheduler:1"}
GKE = {
    "coursehub_autoscaler_engine": "gke",
    "coursehub_autoscaler_gke": {"project": "data-8", "location": "us-central1", "cluster": "course"},
}
# What the module warned of, where the role came to the end.
WARNED = "{{ _autoscaler_checked.warned | join('\n') }}"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "well": ({}, ""),
    "well with a hub": (HUB, ""),
    "packed": ({**HUB, **PACKED, "coursehub_hub_server_scheduler": "coursehub-packing"}, ""),
    "gke": (GKE, ""),
    "no system": ({"coursehub_autoscaler_machine": MACHINE}, "must have system_cpu and system_memory"),
    "other cores": ({**HUB, "coursehub_autoscaler_server_cpu": "100m"}, "the hub's servers ask for 512Mi and 50m"),
    "other memory": ({**HUB, "coursehub_hub_server_memory": "1Gi"}, "the hub's servers ask for 1Gi and 50m"),
    "no calendar": ({"coursehub_autoscaler_calendar": "no/such.ics"}, "the calendar can't be had"),
    "no file of ours": ({"coursehub_autoscaler_calendar": "webcal://127.0.0.1:1/a.ics"}, ""),
    "relative": ({"coursehub_autoscaler_calendar": "over.ics"}, "the calendar has no class"),
    "no zone": ({"coursehub_autoscaler_time_zone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
    "high ceiling": (
        {"coursehub_autoscaler_resize": True, "coursehub_hub_server_memory_limit": "512Mi"},
        "the ceiling 1Gi is above a server's limit 512Mi",
    ),
    "no pool": ({**HUB, "coursehub_hub_server_pool": ""}, "so no server would ever run on a node of the pool"),
    "no scheduler": ({**HUB, "coursehub_hub_server_scheduler": "coursehub-packing"}, "set both or none"),
    "rare": ({"coursehub_autoscaler_schedule": "0 * * * *"}, "does not come every 5 minutes of every day"),
    "rare in the lab": ({"coursehub_autoscaler_engine": "kwok", "coursehub_autoscaler_schedule": "0 0 29 2 *"}, ""),
    "unused scheduler": ({**HUB, **PACKED}, "set both or none"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role says at its door in each case, empty where all is well, and under ``<case> warned`` what else.

    By one playbook, as a start is slow.
    """
    folder = tmp_path_factory.mktemp("check")
    plays = []
    for number, (changed, _sentence) in enumerate(CASES.values()):
        told = {"dest": str(folder / str(number)), "content": "{{ ansible_failed_result.msg }}", "mode": "0600"}
        warned = {"dest": str(folder / f"{number}.warned"), "content": WARNED, "mode": "0600"}
        check = {"name": "coursehub.jupyterhub.autoscaler", "tasks_from": "check"}
        plays.append(
            {
                "hosts": "localhost",
                "gather_facts": False,
                "vars": {**WELL, **changed},
                "tasks": [
                    {
                        "block": [{"ansible.builtin.include_role": check}, {"ansible.builtin.copy": warned}],
                        "rescue": [{"ansible.builtin.copy": told}],
                    }
                ],
            }
        )
    (folder / "over.ics").write_text("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:a\nEND:VCALENDAR\n", encoding="utf-8")
    (folder / "play.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    settings = {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"}
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,"),
            *("--extra-vars", json.dumps(settings), str(folder / "play.yml")),
        ],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    files = [folder / f"{number}{end}" for end in ("", ".warned") for number in range(len(CASES))]
    names = [f"{name}{end}" for end in ("", " warned") for name in CASES]
    return {
        name: file.read_text(encoding="utf-8") if file.exists() else "" for name, file in zip(names, files, strict=True)
    }


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_said_at_the_door(said: dict[str, str], case: str) -> None:
    sentence = CASES[case][1]
    assert sentence in said[case]
    assert bool(sentence) == bool(said[case])


@pytest.mark.parametrize(
    ("case", "spread"), [("well", True), ("well with a hub", True), ("packed", False), ("gke", False)]
)
def test_an_engine_without_a_scheduler_that_fills_nodes_is_warned_of(
    said: dict[str, str], case: str, spread: bool
) -> None:
    assert ("nothing fills nodes one after the other" in said[f"{case} warned"]) == spread
