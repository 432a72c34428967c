"""Stands in for the Job controller and the exporter: a Job ends at once with what a test says of each student."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _exporter

from tests.unit.plugins.api import Api, now
from tests.unit.plugins.disks import NAMESPACE
from tests.unit.plugins.storage import PODS, Storage

Object = dict[str, Any]

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
GOOD = {"check": "ready", "count": "counted", "export": "complete", "verify": "proven", "import": "restored"}


def told(command: str, asked: Object) -> Object:
    """Return what the exporter tells of a student with whom all is well."""
    more = {"items_left": 400_000} if command == "count" else {}
    counts = {"files": 3, "bytes": 30, "uploaded_files": 3, "uploaded_bytes": 30} if command == "export" else {}
    return {
        "student": asked["student"],
        "outcome": GOOD[command],
        **more,
        **counts,
        "calls": 5,
        "problems": [],
        "problems_count": 0,
        "failed": "",
    }


class Jobs:
    """``answer`` returns what is told of a student, given the command and the student's request; None is silence."""

    def __init__(self, api: Api, storage: Storage) -> None:
        self.api = api
        self.storage = storage
        self.answer: Callable[[str, Object], Object | None] = told
        # What a Job does, given the Job, its command and its request: the answers, one a student.
        self.perform: Callable[[Object, str, Object], list[Object | None]] = lambda _job, command, asked: [
            self.answer(command, asked | one) for one in asked["students"]
        ]
        # Every Job that there was.
        self.made: list[Object] = []
        # The Jobs whose pods were killed for their memory, by name.
        self.killed: list[str] = []
        # The status of the one pod of a Job that does not end; None lets it end, an empty one is no pod.
        self.hold: Callable[[Object], Object | None] = lambda _job: None
        # How many Jobs of exports end well and leave no log.
        self.lost = 0
        api.on_change = self.control

    def requests(self, command: str) -> list[Object]:
        """Return what the exporter was asked, of each Job of a command."""
        return [request_of(item) for item in self.made if command_of(item) == command]

    def students(self, command: str) -> list[str]:
        """Return the students that Jobs of a command were about."""
        return sorted(one["student"] for asked in self.requests(command) for one in asked["students"])

    def control(self) -> None:
        for path, item in list(self.api.objects.items()):
            if path.startswith(JOBS) and "status" not in item:
                self._run(path, item)
        names = {item["metadata"]["name"] for path, item in self.api.objects.items() if path.startswith(JOBS)}
        for path, item in list(self.api.objects.items()):
            job = (item["metadata"].get("labels") or {}).get(_exporter.JOB_NAME_LABEL)
            if path.startswith(PODS) and job is not None and job not in names:
                del self.api.objects[path]
        self.storage.control()

    def _run(self, path: str, item: Object) -> None:
        self.made.append(item)
        command, asked, name = command_of(item), request_of(item), item["metadata"]["name"]
        held = self.hold(item)
        if held is not None:
            self.api.put(path, {**item, "status": {}})
            if held:
                self._pod(item, **held)
            return
        answers = self.perform(item, command, asked)
        killed = name in self.killed
        failed = killed or any(one is None or one["failed"] for one in answers)
        pod = f"{PODS}/{name}-abcde"
        state: Object = {
            "terminated": {"exitCode": int(failed), "message": json.dumps({"failed": "some" if failed else ""})}
        }
        self.api.logs[pod] = ({"some": "line"}, *(one for one in answers if one is not None))
        if command == "export" and self.lost:
            self.lost -= 1
            self.api.logs[pod] = ({"some": "line"},)
        if killed:
            state = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "bob: 3 steps"}}
        self._pod(item, status={"phase": "Succeeded", "containerStatuses": [{"state": state}]})
        condition = {"type": "Failed" if failed else "Complete", "status": "True", "message": "a pod failed"}
        self.api.put(path, {**item, "status": {"conditions": [condition]}})

    def _pod(self, item: Object, status: Object, **metadata: Any) -> None:
        name = item["metadata"]["name"]
        labels = {_exporter.JOB_NAME_LABEL: name}
        metadata = {"name": f"{name}-abcde", "labels": labels, "creationTimestamp": now(), **metadata}
        spec = {**item["spec"]["template"]["spec"], "nodeName": "n"}
        self.api.put(f"{PODS}/{name}-abcde", {"metadata": metadata, "spec": spec, "status": status})


def command_of(item: Object) -> str:
    return str(item["metadata"]["labels"][_exporter.LABEL])


def request_of(item: Object) -> Object:
    (variable,) = (
        one for one in item["spec"]["template"]["spec"]["containers"][0]["env"] if one["name"] == "COURSEHUB_REQUEST"
    )
    asked: Object = json.loads(variable["value"])
    return asked
