"""What the playbooks give to the modules, by the modules themselves: a student whose disk is gone comes back."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.coursehub.jupyterhub.plugins.modules import drive_export, drive_import

from tests.unit.paths import ROOT
from tests.unit.plugins.api import Api
from tests.unit.plugins.disks import NAMESPACE, snapshot
from tests.unit.plugins.drive import SECRETS, Jobs, told
from tests.unit.plugins.modules.students import Students
from tests.unit.plugins.storage import CLAIMS, SHOTS

Object = dict[str, Any]
MODULES = {"export": drive_export, "import": drive_import}
NEW_DISK: Object = {
    "coursehub_drive_export_new_disk_size": "2Gi",
    "coursehub_drive_export_new_disk_storage_class": "coursehub-disk",
}


def arguments(entry: str, **variables: Any) -> Object:
    """Return what an entry point of the role gives to its module, as Ansible works it out."""
    loader, role = DataLoader(), ROOT / "roles/drive_export"
    tasks = loader.load_from_file(str(role / f"tasks/{entry}.yml"), trusted_as_template=True)
    defaults = loader.load_from_file(str(role / "defaults/main.yml"), trusted_as_template=True)
    name = f"coursehub.jupyterhub.drive_{entry}"
    (given,) = (task[name] for task in tasks if name in task)
    found: Object = Templar(loader=loader, variables={**defaults, **variables}).template(given)
    return found


class Course:
    """Ann and Bob have disks, Zoe's is gone; a roster has the addresses of all three."""

    def __init__(self, api: Api, students: Students, kubeconfig: Path, folder: Path) -> None:
        self.api = api
        self.jobs = Jobs(api, students.storage)
        api.put(f"{SECRETS}/key", {"metadata": {"name": "key"}, "data": {"key.json": "e30="}})
        api.put("/apis/scheduling.k8s.io/v1/priorityclasss/ch-drive-export", {"metadata": {"name": "ch-drive-export"}})
        for student in ("ann", "bob"):
            item = snapshot(student, "2026-11-24T10:00:00Z")
            api.put(f"{SHOTS}/{item['metadata']['name']}", item)
            students.storage.snapshots[item["metadata"]["name"]] = f"old work of {student}"
        roster = folder / "class.csv"
        roster.write_text("student,email\n" + "".join(f"{one},{one}@uni.example\n" for one in ("ann", "bob", "zoe")))
        self.variables: Object = {
            "coursehub_kubeconfig": str(kubeconfig),
            "coursehub_context": "kind-test",
            "coursehub_namespace": "ch",
            "coursehub_students_namespace": NAMESPACE,
            "coursehub_drive_export_owner": "delegation",
            "coursehub_drive_export_credentials_secret": "key",
            "coursehub_drive_export_subject": "{email}",
            "coursehub_drive_export_roster": str(roster),
            "coursehub_drive_export_verify": False,
            "coursehub_drive_export_wait_timeout": 20,
        }

    def play(self, entry: str, capsys: pytest.CaptureFixture[str], **variables: Any) -> Object:
        """Run an entry point's module with the role's variables; return its result."""
        module: ModuleType = MODULES[entry]
        given = arguments(entry, **self.variables, **variables)
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        with pytest.raises(SystemExit):
            module.main()
        result: Object = json.loads(capsys.readouterr().out)
        return result


@pytest.fixture
def course(api: Api, kube: Any, kubeconfig: Path, tmp_path: Path) -> Course:
    return Course(api, Students(api, kube), kubeconfig, tmp_path)


def restored(command: str, asked: Object) -> Object:
    return told(command, asked) | {"files": 3, "bytes": 30, "taken": "2026-11-24T10:00:00+00:00"}


def test_one_whose_disk_is_gone_comes_back_by_the_playbook(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course.jobs.answer = restored
    zoe: Object = {"coursehub_drive_export_students": ["zoe"]}
    refused = course.play("import", capsys, **zoe)
    assert "zoe has no disk to take size and storage_class from: set both" in refused["msg"]
    assert "coursehub_drive_export_new_disk_size" in refused["msg"]
    result = course.play("import", capsys, **zoe, **NEW_DISK)
    assert [(one["student"], one["disk"], one["files"]) for one in result["students"]] == [
        ("zoe", "from-drive-disk-zoe", 3)
    ]
    spec = course.api.objects[f"{CLAIMS}/from-drive-disk-zoe"]["spec"]
    assert (spec["resources"]["requests"]["storage"], spec["storageClassName"]) == ("2Gi", "coursehub-disk")
    (asked,) = course.jobs.requests("import")
    assert [one["subject"] for one in asked["students"]] == ["zoe@uni.example"]


def test_of_a_roster_alone_those_without_a_disk_are_told(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course.jobs.answer = restored
    result = course.play("import", capsys)
    assert ([one["student"] for one in result["students"]], result["without_disk"]) == (["ann", "bob"], ["zoe"])


@pytest.mark.parametrize(
    ("picked", "exported"),
    # The last two are what a survey of AWX answers.
    [(["bob"], ["bob"]), ([], ["ann", "bob"]), ("bob,ann", ["ann", "bob"]), ("", ["ann", "bob"])],
)
def test_students_are_picked_from_the_roster(
    course: Course, capsys: pytest.CaptureFixture[str], picked: list[str] | str, exported: list[str]
) -> None:
    result = course.play("export", capsys, coursehub_drive_export_students=picked)
    assert (result["exported"], course.jobs.students("export")) == (len(exported), exported)


def test_one_who_is_not_in_the_roster_is_refused(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    result = course.play("export", capsys, coursehub_drive_export_students=["bobb"])
    assert "these students are not in the roster" in result["msg"]
    assert course.jobs.made == []
