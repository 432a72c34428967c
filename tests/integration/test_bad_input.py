"""What a person may get wrong: one sentence, before anything is changed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a playbook ended: its code, all it printed, and how many tasks changed something."""

    code: int
    text: str
    changed: int


Play = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the runs would keep their things."""
    return tmp_path / "home"


@pytest.fixture
def play(home: Path) -> Play:
    """Run a playbook as on a machine that has no hub yet."""

    def run(playbook: str = "site", *flags: str, path: str | None = None, **variables: Any) -> Outcome:
        # The machine may have a hub on the usual port.
        settings = {"coursehub_name": "bad-input", "coursehub_cluster_port": 18999, **variables}
        done = subprocess.run(
            [
                str(ROOT / ".venv/bin/ansible-playbook"),
                *("-i", "inventories/local", f"playbooks/{playbook}.yml", *flags),
                *("--extra-vars", json.dumps(settings)),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "XDG_CACHE_HOME": str(home / "cache"),
                "XDG_STATE_HOME": str(home / "state"),
                "ANSIBLE_NOCOLOR": "1",
                **({"PATH": path} if path is not None else {}),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        text = " ".join((done.stdout + done.stderr).split())
        found = re.search(r"changed=(\d+)", text)
        return Outcome(done.returncode, text, int(found[1]) if found else 0)

    return run


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"coursehub_hub_admin_user": ["teacher"]}, "did you mean 'coursehub_hub_admin_users'?"),
        (
            {"coursehub_hub_disk_size": "10GB"},
            "'10GB' is no Kubernetes quantity: write it as in 500m, 2, 512Mi or 10Gi",
        ),
        ({"coursehub_hub_server_memory": "0"}, "'0' must be more than nothing"),
        ({"coursehub_proxy_replicas": "two"}, "variable 'coursehub_proxy_replicas'"),
        ({"coursehub_cluster_provider": "gce"}, "must be one of: kind, got: gce"),
        ({"coursehub_context": "other"}, "coursehub_context is 'other', but the context of the kind cluster"),
        (
            {"coursehub_container_engine": "docker"},
            "coursehub_container_engine is 'docker', but `docker info` does not work",
        ),
        ({"coursehub_cluster_disk_size": "900Ti"}, "GiB free and the lab needs 900Ti: make room"),
        (
            {"coursehub_environment": "production"},
            "with it anyone can log in as anyone, so it is refused outside the lab",
        ),
        ({"coursehub_hub_authenticator": ""}, "coursehub_hub_authenticator is not set: choose google, oidc or github"),
        ({"coursehub_hub_allow_all": False, "coursehub_hub_admin_users": []}, "Nobody may use the hub"),
        ({"coursehub_hub_cull_idle": 60}, "who works would be taken for idle; set 900 or more, or 0 for never"),
        ({"coursehub_hub_cull_night_from": "1 am"}, "give two times of day, with quotes"),
        (
            {"coursehub_hub_courses": {"lab1": "data 8", "lab2": "data-100", "lab3": 8}},
            "coursehub_hub_courses has '8', 'data 8', which can't be the value of a label",
        ),
        ({"coursehub_hub_roles": {"admin": ["list:users"]}}, "has the role 'admin', which can't be one"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input_is_one_sentence_before_anything_is_changed(
    play: Play, home: Path, variables: dict[str, Any], sentence: str
) -> None:
    if variables.get("coursehub_container_engine") == "docker":
        # A docker that does not work, on machines where it does.
        fake = home.parent / "bin"
        fake.mkdir()
        (fake / "docker").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (fake / "docker").chmod(0o755)
        outcome = play(path=f"{fake}:{os.environ['PATH']}", **variables)
    else:
        outcome = play(**variables)
    assert outcome.code != 0
    assert sentence in outcome.text
    assert "Traceback" not in outcome.text
    assert outcome.changed == 0
    assert not home.exists()


def test_a_taken_port_is_named(play: Play, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = play(coursehub_cluster_port=port)
    assert outcome.code != 0
    assert f"port {port} of 127.0.0.1 can't be used (Address already in use): stop what listens there" in outcome.text
    assert not home.exists()


def test_a_machine_without_an_engine_is_told_so(play: Play, home: Path, tmp_path: Path) -> None:
    # All that the machine has, but for the engines.
    machine = tmp_path / "bin"
    machine.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for command in Path(folder).glob("*"):
            if command.name not in ("docker", "podman") and not (machine / command.name).exists():
                (machine / command.name).symlink_to(command)
    outcome = play(path=str(machine))
    assert outcome.code != 0
    assert "there is no container engine: install podman, or install docker and start its daemon" in outcome.text
    assert not home.exists()


def test_a_missing_kubeconfig_is_named(play: Play, home: Path) -> None:
    outcome = play("status")
    assert f"the kubeconfig {home}/state/coursehub/bad-input/kubeconfig does not exist" in outcome.text
    assert "run the cluster role first" in outcome.text


def test_a_context_that_is_not_in_the_kubeconfig_is_named(play: Play, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("contexts: [{name: production, context: {}}]\n", encoding="utf-8")
    outcome = play("status", coursehub_kubeconfig=str(kubeconfig))
    assert f"the context 'kind-bad-input' is not in {kubeconfig}, which has: production" in outcome.text


def test_nothing_is_removed_without_its_name(play: Play) -> None:
    outcome = play("teardown")
    assert outcome.code != 0
    assert "run it again with -e coursehub_confirm_removal=bad-input" in outcome.text
    assert outcome.changed == 0


def test_a_dry_run_on_an_empty_machine_ends_well_and_makes_nothing(play: Play, home: Path) -> None:
    outcome = play("site", "--check")
    assert outcome.code == 0, outcome.text
    assert "There is no cluster yet, so a dry run can't ask it about the rest" in outcome.text
    assert not home.exists()
