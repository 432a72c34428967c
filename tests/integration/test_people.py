"""Servers, users and groups, by the modules' own code and a real JupyterHub."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _hub, _roster
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._progress import Progress
from ansible_collections.coursehub.jupyterhub.plugins.modules import hub_roster, hub_server, hub_user

from tests.conftest import ROOT
from tests.integration.real_hub import Browser, RealHub
from tests.unit.plugins.api import serving

CHOICE = {"students": None, "roster": None, "pattern": None, "group": None, "all_students": False}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealHub]:
    with RealHub(tmp_path, {"admin_users": []}).running() as hub:
        yield hub


@pytest.fixture
def hub(real: RealHub, tmp_path: Path) -> Iterator[_hub.Hub]:
    (tmp_path / "kube").mkdir()
    with serving(tmp_path / "kube") as (api, kubeconfig):
        data = {"people-token": base64.b64encode(real.people_token.encode()).decode()}
        api.put("/api/v1/namespaces/coursehub/secrets/hub", {"metadata": {"name": "hub"}, "data": data})
        kube = Kube(str(kubeconfig), "kind-test")
        yield _hub.Hub(kube, real.url, "coursehub", _hub.PEOPLE_KEY, time.monotonic() + 1200)


def users(hub: _hub.Hub, *names: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    parameters = {"users": list(names), "state": "present", "groups": [], "leave_groups": [], "admin": None, **more}
    hub_user.check(parameters)
    return hub_user.run(hub, Progress(), {**parameters, "wait_timeout": 300}, check_mode)


def servers(hub: _hub.Hub, *names: str, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    choice = {"students": list(names)} if names else {"all_students": True}
    parameters = {
        **CHOICE,
        **choice,
        "state": "started",
        "concurrency": 10,
        "wait": True,
        "wait_timeout": 300,
        **more,
    }
    hub_server.check(parameters)
    return hub_server.Run(hub, Progress(), parameters, check_mode)()


def roster(hub: _hub.Hub, text: str, folder: Path, *, exclusive: bool = False, check: bool = False) -> dict[str, Any]:
    (folder / "class.csv").write_text(text, encoding="utf-8")
    read = _roster.read(str(folder / "class.csv"), ["staff"])
    return hub_roster.run(hub, Progress(), read, {"exclusive": exclusive, "wait_timeout": 300}, check)


def test_a_roster_makes_users_groups_and_roles(real: RealHub, hub: _hub.Hub, tmp_path: Path) -> None:
    text = "student,role,group\nann@example.org,,lab1\nbob,student,lab1; lab2\ntom,staff,\neve,administrator,\n"
    planned = roster(hub, text, tmp_path, check=True)
    assert (planned["changed"], hub.users(), "lab1" in hub.groups()) == (True, [], False)
    done = roster(hub, text, tmp_path)
    assert done["students"] == planned["students"]
    assert done["diff"]["after"] == ("ann@example.org: lab1\nbob: lab1, lab2\neve: administrator\ntom: staff\n")
    assert hub.groups() == {
        "staff": ["tom"],
        "administrator": ["eve"],
        "lab1": ["ann@example.org", "bob"],
        "lab2": ["bob"],
    }
    again = roster(hub, text, tmp_path)
    assert (again["changed"], again["students"], again["diff"]) == (False, [], {"before": "", "after": ""})

    # What leaves the roster stays where it is, unless that is asked for; nobody is removed.
    shorter = "student,role,group\nbob,,lab1\neve,administrator,\n"
    assert not roster(hub, shorter, tmp_path)["changed"]
    result = roster(hub, shorter, tmp_path, exclusive=True)
    assert {one["student"]: one["left"] for one in result["students"]} == {
        "ann@example.org": ["lab1"],
        "tom": ["staff"],
    }
    # lab2 is not in this roster: it is somebody else's list.
    assert hub.groups() == {"staff": [], "administrator": ["eve"], "lab1": ["bob"], "lab2": ["bob"]}
    assert len(hub.users()) == 4


def test_what_roles_may_do(tmp_path: Path) -> None:
    """By the role's own default: Tom is staff, Eve may do everything, Bob is a student."""
    defaults = yaml.safe_load((ROOT / "roles/hub/defaults/main.yml").read_text(encoding="utf-8"))
    with RealHub(tmp_path, {"roles": defaults["coursehub_hub_roles"]}).running() as real:
        for name, group in (("tom", "staff"), ("eve", "administrator"), ("bob", "")):
            real.ask("POST", f"users/{name}")
            if group:
                real.ask("POST", f"groups/{group}/users", json={"users": [name]})
        pages = ("hub/api/users", "hub/admin", "hub/api/proxy")
        seen = {name: [Browser(real, name).page(page).status_code for page in pages] for name in ("tom", "eve", "bob")}
    assert seen == {"tom": [200, 200, 403], "eve": [200, 200, 200], "bob": [403, 403, 403]}


def test_servers_start_and_stop_many_at_once(real: RealHub, hub: _hub.Hub) -> None:
    names = [f"s{number:02}" for number in range(30)]
    users(hub, *names, "unlucky", "slow")
    assert servers(hub, check_mode=True)["changed"]
    assert not hub.users(state="active")
    result = servers(hub, *names, "unlucky")
    told = {one["student"]: one for one in result["students"]}
    assert all(told[name]["server"] == "running" and told[name]["changed"] for name in names)
    assert "there is no room for it" in told["unlucky"]["failed"]
    assert result["diff"]["after"].count("running") == 30
    again = servers(hub, *names)
    assert not again["changed"]
    servers(hub, "slow")
    stopped = servers(hub, state="stopped")
    assert {one["server"] for one in stopped["students"]} == {"stopped"}
    assert [one["student"] for one in stopped["students"] if not one["changed"]] == ["unlucky"]
    assert not servers(hub, state="stopped")["changed"]


def test_a_start_that_is_asked_for_while_the_server_stops(hub: _hub.Hub) -> None:
    users(hub, "slow")
    servers(hub, "slow")
    servers(hub, "slow", state="stopped", wait=False)
    (one,) = servers(hub, "slow")["students"]
    assert (one["server"], one["failed"]) == ("running", "")


def test_users_come_and_go(real: RealHub, hub: _hub.Hub) -> None:
    assert users(hub, "ann", "bob", groups=["lab1"], check_mode=True)["changed"]
    assert not hub.users()
    users(hub, "ann", "bob", groups=["lab1"], admin=True)
    assert hub.groups()["administrator"] == ["ann", "bob"]
    assert not users(hub, "ann", groups=["lab1"])["changed"]
    users(hub, "ann", admin=False, leave_groups=["lab1"])
    assert real.user("ann")["groups"] == []
    assert sorted(real.user("bob")["groups"]) == ["administrator", "lab1"]
    servers(hub, "bob")
    result = users(hub, "bob", "nobody", state="absent")
    assert [one["student"] for one in result["students"]] == ["bob"]
    assert not real.user("bob")
    assert not users(hub, "bob", state="absent")["changed"]


def test_the_hub_refuses_what_its_service_may_not(real: RealHub) -> None:
    assert real.ask("GET", "users", token=real.people_token).ok
    assert real.ask("POST", "shutdown", token=real.people_token).status_code == 403
    assert real.ask("GET", "proxy", token=real.people_token).status_code == 403


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Do it
      ansible.builtin.include_role:
        name: coursehub.jupyterhub.hub
        tasks_from: "{{ what }}"
"""


def test_the_playbooks_tasks(real: RealHub, hub: _hub.Hub, tmp_path: Path) -> None:
    (tmp_path / "class.csv").write_text("student,role,group\nann,,lab1\ntom,staff,\n", encoding="utf-8")
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "coursehub_kubeconfig": str(tmp_path / "kube/kubeconfig"),
        "coursehub_context": "kind-test",
        "coursehub_hub_roster": str(tmp_path / "class.csv"),
        "_coursehub_cluster": {"url": real.url},
    }

    def play(what: str, *more: str) -> str:
        words = ["ansible-playbook", "-i", "here,", "play.yml", "-e", json.dumps({**variables, "what": what}), *more]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
            "NO_PROXY": "127.0.0.1",
        }
        command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "+tom: staff" in play("roster", "--check", "--diff")
    assert not hub.users()
    assert "2 people in the roster, 2 new at the hub, 2 put into groups, 0 taken out of some." in play("roster")
    assert "changed=0" in play("roster")
    assert "2 servers started, 0 were so already" in play("servers")
    assert "0 servers stopped" not in play("servers", "-e", "coursehub_hub_servers_state=stopped")
    assert not hub.users(state="active")
