"""State files written and read by the playbooks, with real Ansible, against a stand-in for the API server."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

from tests.integration.driver import ROOT
from tests.unit.plugins.api import Api, serving
from tests.unit.plugins.modules.clusters import Lost, namespaces
from tests.unit.plugins.storage import Storage

PASSPHRASE = "correct horse battery"
# Reads the newest state file, as the playbook recover does first, and stops there.
READ = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: coursehub.jupyterhub.snapshots
        tasks_from: state
    - ansible.builtin.debug:
        msg: "read {{ _snapshots_state_read.state.disks | length }} disks of {{ _snapshots_state_read.file }}"
"""
# What the playbook recover does between the storage and the proxy, and at its end.
RECOVER = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: coursehub.jupyterhub.snapshots
        tasks_from: "{{ item }}"
      loop: [state, recover, recovered]
"""


def secrets_of(api: Api) -> dict[str, dict[str, str]]:
    """Return the values of all Secrets, by path: they are made side by side, in no order."""
    return {path: item["data"] for path, item in api.objects.items() if "/secrets/" in path}


class Controller:
    """Runs playbooks for one installation."""

    def __init__(self, folder: Path, lost: Lost, kubeconfig: Path) -> None:
        self.folder = folder
        self.api = lost.api
        self.storage = lost.storage
        self.kubeconfig = kubeconfig
        self.states = folder / "state/coursehub/coursehub-backups"
        (folder / "read.yml").write_text(READ, encoding="utf-8")
        (folder / "recover.yml").write_text(RECOVER, encoding="utf-8")

    def play(self, playbook: str, *flags: str, passphrase: str = PASSPHRASE, **variables: object) -> tuple[int, str]:
        """Run a playbook, as loud as it can; return its exit code and all that it said."""
        fixed = {
            "coursehub_environment": "lab",
            "coursehub_namespace": "hub",
            "coursehub_students_namespace": "students",
            "coursehub_kubeconfig": str(self.kubeconfig),
            "coursehub_context": "kind-test",
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **variables,
        }
        words = [word for key, value in fixed.items() for word in ("-e", f"{key}={value}")]
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-vvv",
                "-i",
                "localhost,",
                *words,
                *flags,
                playbook,
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "COURSEHUB_STATE_PASSPHRASE": passphrase,
                "XDG_STATE_HOME": str(self.folder / "state"),
                "ANSIBLE_NOCOLOR": "1",
                "no_proxy": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        said = done.stdout + done.stderr
        for secret in self.secrets:
            assert secret not in said, "a secret was shown"
        assert PASSPHRASE not in said, "the passphrase was shown"
        return done.returncode, said

    @property
    def secrets(self) -> list[str]:
        return [value for data in secrets_of(self.api).values() for value in data.values()]

    @property
    def kept(self) -> list[str]:
        return sorted(path.name for path in self.states.iterdir())

    def read(self, **more: object) -> tuple[int, str]:
        return self.play(str(self.folder / "read.yml"), **more)  # type: ignore[arg-type]


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(tmp_path) as (api, kubeconfig):
        lost = Lost(api, Kube(str(kubeconfig), "kind-test"))
        yield Controller(tmp_path, lost, kubeconfig)


def test_a_state_is_written_so_that_only_its_owner_can_read_it_and_read_again(controller: Controller) -> None:
    code, said = controller.play("playbooks/backup.yml")
    assert code == 0, said
    (name,) = controller.kept
    file = controller.states / name
    assert f"{file} has 3 disks, 2 snapshots and 2 Secrets." in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(controller.states.stat().st_mode) == 0o700
    text = file.read_text(encoding="utf-8")
    assert text.startswith("$ANSIBLE_VAULT;")
    code, said = controller.read()
    assert code == 0, said
    assert f"read 3 disks of {file}" in said


def test_a_fresh_cluster_is_given_what_is_in_it_and_no_secret_is_shown(controller: Controller, tmp_path: Path) -> None:
    assert controller.play("playbooks/backup.yml")[0] == 0
    folder = tmp_path / "fresh"
    folder.mkdir()
    with serving(folder) as (api, kubeconfig):
        namespaces(api)
        storage = Storage(api, controller.storage)
        for changed in (1, 0):
            code, said = controller.play(str(tmp_path / "recover.yml"), "--diff", coursehub_kubeconfig=str(kubeconfig))
            assert code == 0, said
            assert f"changed={changed} " in said
            assert "2 students have their disks again" in said
            assert ": ann, bob." in said
            assert "2 snapshots can be restored." in said
        assert "waiting for snapshots" in said
        assert storage.content_of("disk-ann") == "today of ann"
        assert secrets_of(api) == secrets_of(controller.api) != {}


def test_the_oldest_go(controller: Controller) -> None:
    controller.states.mkdir(parents=True)
    for number in range(1, 5):
        (controller.states / f"state-2020010{number}T000000Z.json.vault").touch()
    (controller.states / "notes.txt").touch()
    code, said = controller.play("playbooks/backup.yml", coursehub_snapshots_state_keep=3)
    assert code == 0, said
    assert controller.kept[:3] == [
        "notes.txt",
        "state-20200103T000000Z.json.vault",
        "state-20200104T000000Z.json.vault",
    ]
    assert len(controller.kept) == 4


def test_a_dry_run_writes_nothing(controller: Controller) -> None:
    code, said = controller.play("playbooks/backup.yml", "--check")
    assert code == 0, said
    assert "A state file would have 3 disks, 2 snapshots and 2 Secrets." in said
    assert not controller.states.exists()


@pytest.mark.parametrize("passphrase", ["", "elevenchars"])
def test_without_a_good_passphrase_nothing_is_asked_or_written(controller: Controller, passphrase: str) -> None:
    controller.api.asked.clear()
    code, said = controller.play("playbooks/backup.yml", passphrase=passphrase)
    assert code != 0
    assert "State files hold the hub's secrets: set coursehub_snapshots_state_passphrase" in said
    assert controller.api.asked == []
    assert not controller.states.exists()
    assert "State files hold the hub's secrets" in controller.read(passphrase=passphrase)[1]


def test_what_is_wrong_with_a_state_file_is_one_sentence_before_anything_is_changed(controller: Controller) -> None:
    code, said = controller.read()
    assert code != 0
    assert f"there is no state-*.json.vault in {controller.states}: copy the newest one there" in said
    assert controller.play("playbooks/backup.yml")[0] == 0
    controller.api.asked.clear()
    # The playbook itself: it ends at its first task.
    code, said = controller.play("playbooks/recover.yml", passphrase="another passphrase")
    assert code != 0
    assert (
        "can't be opened: either the passphrase is not the one that it was written with, or the file is damaged" in said
    )
    code, said = controller.read(coursehub_namespace="elsewhere")
    assert code != 0
    assert "is of the namespaces hub and students: set coursehub_namespace and coursehub_students_namespace" in said
    assert controller.api.asked == []


def test_a_cluster_that_does_not_answer_is_told_and_the_older_files_stay(controller: Controller) -> None:
    controller.states.mkdir(parents=True)
    (controller.states / "state-20200101T000000Z.json.vault").touch()
    code, said = controller.play("playbooks/backup.yml", coursehub_context="other", coursehub_snapshots_state_keep=1)
    assert code != 0
    assert "the context 'other' is not in" in said
    assert controller.kept == ["state-20200101T000000Z.json.vault"]
