"""The module's Jobs with the exporter's own command in them, against the emulator; the cluster alone is a stand-in."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._export_run import Run as Export
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.modules.drive_import import Run as Import

from tests.integration.drive import DRIVE_FILE, ROOT, Emulator
from tests.unit.plugins.api import serving
from tests.unit.plugins.disks import claim, snapshot
from tests.unit.plugins.drive import SECRETS, Jobs
from tests.unit.plugins.modules import test_drive_export, test_drive_import
from tests.unit.plugins.modules.students import Students
from tests.unit.plugins.storage import SHOTS

Object = dict[str, Any]
NAMES = ["ann", "bob", "cleo", "dan"]
CONSENT = {"owner": "consent", "credentials_secret": None, "folder": ""}


class World:
    """Students with homes in folders, consents, and Jobs that run the exporter."""

    def __init__(self, folder: Path, kubeconfig: Path, api: Any, drive: Emulator) -> None:
        self.folder = folder
        self.api = api
        self.drive = drive
        self.students = Students(api, Kube(str(kubeconfig), "kind-test"))
        self.jobs = Jobs(api, self.students.storage)
        self.jobs.perform = self._perform
        # After how many calls of Drive the next pods of exports are killed.
        self.kills: list[int] = []
        drive.admin("POST", "/clients", id="app", secret="s3cret", app="app")
        for name in NAMES:
            if name not in ("ann", "bob"):
                self.students.storage.add(claim(name), "")
            self.home(name).mkdir(parents=True)
            (self.home(name) / "week 1").mkdir()
            (self.home(name) / "week 1/task.ipynb").write_text(f"work of {name}", encoding="utf-8")
            (self.home(name) / "o'b\nrien").write_text(name, encoding="utf-8")
            (self.home(name) / "link").symlink_to("week 1")
            self.consent(name)
        self.snapshots("2026-11-24T10:00:00Z")

    def home(self, name: str) -> Path:
        """What a clone of a student's disk has, and so the newest snapshot."""
        return self.folder / "claims" / f"export-disk-{name}"

    def consent(self, name: str) -> None:
        email = f"{name}@uni.example"
        self.drive.admin("POST", "/users", email=email)
        token = self.drive.admin("POST", "/grants", client_id="app", user=email, scopes=[DRIVE_FILE])["refresh_token"]
        told = {
            "type": "authorized_user",
            "client_id": "app",
            "client_secret": "s3cret",
            "refresh_token": token,
            "token_uri": f"{self.drive.url}/token",
        }
        data = {"key.json": base64.b64encode(json.dumps(told).encode()).decode()}
        self.api.put(f"{SECRETS}/drive-consent-{name}", {"metadata": {"name": f"drive-consent-{name}"}, "data": data})

    def snapshots(self, taken: str) -> None:
        for name in NAMES:
            item = snapshot(name, taken)
            self.api.put(f"{SHOTS}/{item['metadata']['name']}", item)
            self.students.storage.snapshots[item["metadata"]["name"]] = ""

    def export(self, **more: Any) -> Object:
        told = {**test_drive_export.PARAMETERS, **CONSENT, "api_address": self.drive.url, "bytes_per_day": 1e9}
        return Export(self.students.course, {**told, "writes_per_second": 50.0, "wait_timeout": 900, **more}, False)()

    def bring_back(self, **more: Any) -> Object:
        told = {**test_drive_import.PARAMETERS, **CONSENT, "students": NAMES, "api_address": self.drive.url}
        return Import(self.students.course, {**told, "wait_timeout": 900, **more}, False)()

    def _kill(self, words: list[str], environment: dict[str, str], calls: int) -> None:
        """Run a pod that is killed when Drive was called so often; a Job has another one follow it."""
        self.drive.admin("DELETE", "/counters")
        pod = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while pod.poll() is None and sum(row["count"] for row in self.drive.admin("GET", "/counters")["calls"]) < calls:
            time.sleep(0.01)
        pod.kill()
        pod.wait(timeout=120)

    def _perform(self, job: Object, command: str, _asked: Object) -> list[Object | None]:
        """Do what a kubelet does: lay out the volumes where the container has them, and run it."""
        spec = job["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        root = self.folder / job["metadata"]["name"]
        shutil.rmtree(root, ignore_errors=True)
        volumes = {one["name"]: one for one in spec["volumes"]}
        for mount in container["volumeMounts"]:
            place, volume = root / mount["mountPath"].lstrip("/"), volumes[mount["name"]]
            place.parent.mkdir(parents=True, exist_ok=True)
            if "persistentVolumeClaim" in volume:
                disk = self.folder / "claims" / volume["persistentVolumeClaim"]["claimName"]
                disk.mkdir(parents=True, exist_ok=True)
                place.symlink_to(disk)
                continue
            place.mkdir()
            for source in volume.get("projected", {}).get("sources", []):
                secret = self.api.objects[f"{SECRETS}/{source['secret']['name']}"]
                for item in source["secret"]["items"]:
                    (place / item["path"]).write_bytes(base64.b64decode(secret["data"][item["key"]]))
        told = {one["name"]: one["value"] for one in container["env"]}
        for mounted in ("/keys/", "/homes/", "/state"):
            told["COURSEHUB_REQUEST"] = told["COURSEHUB_REQUEST"].replace(f'"{mounted}', f'"{root}{mounted}')
        words = [sys.executable, *container["args"][1:]]
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT / "images/tools"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "COURSEHUB_REQUEST": told["COURSEHUB_REQUEST"],
            "COURSEHUB_RESULT": str(root / "result"),
        }
        while command == "export" and self.kills:
            self._kill(words, environment, self.kills.pop(0))
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=900)
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines, done.stdout + done.stderr
        return [json.loads(line) for line in lines]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "drive").mkdir()
    drive = Emulator(tmp_path / "drive").start()
    try:
        with serving(tmp_path) as (api, kubeconfig):
            yield World(tmp_path, kubeconfig, api, drive)
    finally:
        drive.stop()


def test_homes_go_to_drive_and_come_back(world: World) -> None:
    told = world.export(verify=True)
    assert (told["failures"], told["exported"], told["verified"], told["uploaded_files"]) == ([], 4, 4, 8)
    world.drive.admin("DELETE", "/counters")
    assert world.export(verify=True)["changed"] is False
    assert world.drive.admin("GET", "/counters")["calls"] == []

    (world.home("bob") / "week 1").rename(world.home("bob") / "first week")
    (world.home("cleo") / "new").write_text("new", encoding="utf-8")
    world.snapshots("2026-11-25T10:00:00Z")
    told = world.export(verify=True)
    assert (told["failures"], told["exported"], told["unchanged"], told["uploaded_files"]) == ([], 2, 2, 1)

    told = world.bring_back()
    assert [one["failed"] for one in told["students"]] == [""] * 4
    for name in NAMES:
        assert tree(world.folder / "claims" / f"back-disk-{name}") == tree(world.home(name))


def test_pods_that_are_killed_leave_nothing_twice(world: World) -> None:
    before = world.drive.admin("GET", "/status")["files"]
    world.kills = [2, 5, 9, 14, 20]
    told = world.export(verify=True, students_per_job=4)
    assert (told["failures"], told["verified"], world.kills) == ([], 4, [])
    # Of each student two files, a folder, the folder of the export, its list, and the top of the Drive itself.
    assert world.drive.admin("GET", "/status")["files"] - before == 4 * 6
    assert [one["failed"] for one in world.bring_back()["students"]] == [""] * 4
    for name in NAMES:
        assert tree(world.folder / "claims" / f"back-disk-{name}") == tree(world.home(name))


def test_those_whose_tokens_are_revoked_are_named_and_the_others_are_exported(world: World) -> None:
    for name in ("bob", "cleo"):
        world.drive.admin("POST", "/revoke", user=f"{name}@uni.example")
    told = world.export()
    assert [one["student"] for one in told["failures"]] == ["bob", "cleo"]
    assert all("ask the student to allow the export again" in one["failed"] for one in told["failures"])
    assert (told["exported"], world.jobs.students("export")) == (2, ["ann", "dan"])


def test_a_shared_drive_is_counted(world: World) -> None:
    key = world.drive.service_account("exporter@app.example")
    owner = world.drive.user("teacher@uni.example")
    shared = owner.drives().create(requestId="1", body={"name": "course"}).execute()["id"]
    body = {"type": "user", "role": "fileOrganizer", "emailAddress": "exporter@app.example"}
    owner.permissions().create(fileId=shared, supportsAllDrives=True, sendNotificationEmail=False, body=body).execute()
    data = {"key.json": base64.b64encode(json.dumps(key).encode()).decode()}
    world.api.put(f"{SECRETS}/drive-credentials", {"metadata": {"name": "drive-credentials"}, "data": data})
    more = {"owner": "shared_drive", "credentials_secret": "drive-credentials", "folder": shared}
    told = world.export(**more)
    assert (told["failures"], told["exported"]) == ([], 4)
    assert told["items_left"] == 500_000
    told = world.export(**{**more, "folder": "0AnoSuchDrive"})
    assert len(told["failures"]) == 4
    assert world.jobs.students("export") == NAMES


def tree(home: Path) -> dict[str, tuple[object, ...]]:
    """Return all that is in a home: kind, mode, time, content."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(home.rglob("*")):
        stat = path.lstat()
        if path.is_symlink():
            found[str(path.relative_to(home))] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[str(path.relative_to(home))] = ("folder", stat.st_mode, stat.st_mtime_ns)
        else:
            found[str(path.relative_to(home))] = ("file", stat.st_mode, stat.st_mtime_ns, path.read_bytes())
    return found
