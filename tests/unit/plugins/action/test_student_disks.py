"""The actions of the modules that work on all students' disks, run by Ansible itself."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.plugin_utils._bulk_action import BulkAction

from tests.unit.paths import ROOT
from tests.unit.plugins.api import Api, now
from tests.unit.plugins.disks import NAMESPACE, claim

CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
MODULES = sorted(
    path.stem
    for path in (ROOT / "plugins/modules").glob("*.py")
    if "- coursehub.jupyterhub.progress\n" in path.read_text(encoding="utf-8")
)
ACTIONS = "ansible_collections.coursehub.jupyterhub.plugins.action"


def test_there_are_such_modules() -> None:
    assert {"student_disk_restore", "student_disk_snapshot"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_each_module_that_has_progress_has_an_action_that_shows_it(name: str) -> None:
    assert issubclass(importlib.import_module(f"{ACTIONS}.{name}").ActionModule, BulkAction)


@pytest.mark.parametrize("path", sorted((ROOT / "plugins/action").glob("*.py")), ids=lambda path: path.stem)
def test_each_action_that_shows_progress_has_a_module_that_tells_it(path: Path) -> None:
    action = importlib.import_module(f"{ACTIONS}.{path.stem}").ActionModule
    assert issubclass(action, BulkAction) == (path.stem in MODULES)


# Run by Ansible.


@pytest.fixture
def command(api: Api, kubeconfig: Path, tmp_path: Path) -> dict[str, Any]:
    """Three students, a snapshot controller, and what runs the module on them."""
    for student in ("ann", "bob", "cat"):
        api.put(f"{CLAIMS}/disk-{student}", claim(student))

    def control(path: str, item: dict[str, Any]) -> None:
        if "/volumesnapshots/" in path:
            ready = {"readyToUse": True, "creationTime": now(), "restoreSize": "1Gi"}
            broken = {"readyToUse": False, "error": {"message": "no room"}}
            source = item["spec"]["source"]["persistentVolumeClaimName"]
            api.put(path, {**item, "status": broken if source == "disk-cat" else ready})

    api.on_create = control
    arguments = {
        "kubeconfig": str(kubeconfig),
        "context": "kind-test",
        "namespace": NAMESPACE,
        "all_students": True,
        "snapshot_class": "fast",
        "wait_timeout": 0,
    }
    name = "coursehub.jupyterhub.student_disk_snapshot"
    ansible = str(Path(sys.executable).parent / "ansible")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "COURSEHUB_"))}
    return {
        "args": [ansible, "localhost", "-m", name, "-a", json.dumps(arguments)],
        "cwd": tmp_path,
        "env": {
            **environment,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "HOME": str(tmp_path),
            "TERM": "xterm",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    }


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "ansible").rglob("progress-*")]


def test_without_a_terminal_it_prints_a_line(command: dict[str, Any], tmp_path: Path) -> None:
    done = subprocess.run(**command, capture_output=True, text=True, check=False)
    said = f"{done.stdout}{done.stderr}"
    assert re.match(r"  taking snapshots: 2 of 3 done, 1 failed, \d+ s in all.*\n", done.stdout), said
    assert said.count("taking snapshots") == 1
    _head, _arrow, result = done.stdout.partition("localhost | FAILED! => ")
    assert json.loads(result)["msg"].startswith("1 of 3 students failed: cat: the snapshot disk-cat-")
    assert left(tmp_path) == []


def test_on_a_terminal_it_rewrites_one(command: dict[str, Any], tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    said = bytearray()

    def listen() -> None:
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                # Nobody has the other end any more.
                return
            said.extend(part)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    subprocess.run(**command, stdout=follower, stderr=subprocess.PIPE, check=False)
    os.close(follower)
    listener.join(120)
    os.close(leader)
    # Where Ansible's own first line begins.
    first, newline, rest = said.decode().partition("\r\n")
    *written, cleared, after = first.split("\r")
    assert written[-1].startswith("  taking snapshots: 2 of 3 done, 1 failed, "), said
    assert (cleared.strip(), newline) == ("", "\r\n")
    assert len(cleared) >= len(written[-1].rstrip())
    assert "snapshots:" not in after + rest
    assert "localhost | FAILED!" in rest
    assert left(tmp_path) == []
