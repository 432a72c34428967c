"""Stands in for the controllers of volumes and snapshots: does at once what they do in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._restore import SELECTED_NODE

from tests.unit.plugins.api import Api, now
from tests.unit.plugins.disks import NAMESPACE

Object = dict[str, Any]

CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
VOLUMES = "/api/v1/persistentvolumes"
SHOTS = f"/apis/snapshot.storage.k8s.io/v1/namespaces/{NAMESPACE}/volumesnapshots"
CONTENTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
DRIVER = "disks.example.org"


class Storage:
    """Claims, volumes and snapshots; what a volume or a snapshot holds is remembered as text, by its name.

    With ``survived``, all of that is still there of a cluster that was lost.
    """

    def __init__(self, api: Api, survived: Storage | None = None) -> None:
        self.api = api
        self.contents: dict[str, str] = survived.contents if survived else {}
        self.snapshots: dict[str, str] = survived.snapshots if survived else {}
        # Stands in for workers' programs: called with a worker's pod, returns what it tells.
        self.work: Callable[[Object], Object] = lambda _pod: {"failed": ""}
        # Whether disks grow as soon as they are asked to.
        self.grows = True
        self._count = survived._count if survived else 0
        api.on_change = self.control

    def add(self, claim: Object, content: str) -> None:
        """Add a bound claim with a volume of its own."""
        path = f"{CLAIMS.replace(NAMESPACE, claim['metadata']['namespace'])}/{claim['metadata']['name']}"
        claim["metadata"]["uid"] = f"uid-{self._next()}"
        claim["spec"]["accessModes"] = ["ReadWriteOnce"]
        self.api.put(path, claim)
        self._volume(claim["spec"]["volumeName"], self.api.objects[path], content)

    def content_of(self, claim: str) -> str:
        """Return what is on a claim's volume. Raises KeyError where it has none."""
        item = self.api.objects[f"{CLAIMS}/{claim}"]
        assert item["status"]["phase"] == "Bound"
        return self.contents[item["spec"]["volumeName"]]

    def control(self) -> None:
        """Do all that is to be done."""
        for path, item in list(self.api.objects.items()):
            if path.startswith(SHOTS) and not (item.get("status") or {}).get("readyToUse"):
                self._control_snapshot(path, item)
            elif path.startswith(PODS) and "status" not in item:
                message = json.dumps(self.work(item))
                state = {"state": {"terminated": {"message": message, "exitCode": 0}}}
                self.api.put(path, {**item, "status": {"phase": "Succeeded", "containerStatuses": [state]}})
            elif "/persistentvolumeclaims/" in path:
                self._control_claim(path, item)
        for path, volume in list(self.api.objects.items()):
            if path.startswith(VOLUMES) and not self._holder(volume):
                volume["status"] = {"phase": "Released"}
                if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
                    del self.api.objects[path]
                    del self.contents[volume["metadata"]["name"]]

    def _control_snapshot(self, path: str, item: Object) -> None:
        name, source = item["metadata"]["name"], item["spec"]["source"]
        content = source.get("volumeSnapshotContentName", f"snapcontent-{name}")
        status = {"boundVolumeSnapshotContentName": content, "creationTime": now(), "restoreSize": "1Gi"}
        if "persistentVolumeClaimName" in source:
            if "status" in item:
                return
            self.snapshots[name] = self.content_of(source["persistentVolumeClaimName"])
            spec = {"driver": DRIVER, "deletionPolicy": "Delete", "source": {"volumeHandle": "any"}}
            body = {"metadata": {"name": content}, "spec": spec, "status": {"snapshotHandle": f"handle-{name}"}}
            self.api.put(f"{CONTENTS}/{content}", body)
        shown = self.api.objects.get(f"{CONTENTS}/{content}")
        if shown is None:
            return
        handle = shown["spec"]["source"].get("snapshotHandle") or shown["status"]["snapshotHandle"]
        # By its handle: the object may have any name.
        ready = handle.removeprefix("handle-") in self.snapshots
        error = {} if ready else {"error": {"message": f"can not find snapshot for snapshotID {handle}"}}
        self.api.put(path, {**item, "status": {**status, "readyToUse": ready, **error}})

    def _control_claim(self, path: str, item: Object) -> None:
        # Of a claim that was posted the fake server takes the path for the id.
        if item["metadata"]["uid"] == path:
            item["metadata"]["uid"] = f"uid-{self._next()}"
        if not item["spec"].get("volumeName") and "dataSource" in item["spec"]:
            name = f"pvc-{item['metadata']['uid']}"
            item["spec"]["volumeName"] = name
            self._volume(name, item, self.snapshots[item["spec"]["dataSource"]["name"]])
        elif not item["spec"].get("volumeName") and SELECTED_NODE in item["metadata"].get("annotations", {}):
            item["spec"]["volumeName"] = f"pvc-{item['metadata']['uid']}"
            self._volume(item["spec"]["volumeName"], item, "")
        volume = self.api.objects.get(f"{VOLUMES}/{item['spec'].get('volumeName')}")
        if volume is not None and self._held_for(volume, item):
            volume["spec"]["claimRef"]["uid"] = item["metadata"]["uid"]
        given = volume is not None and volume["spec"]["claimRef"].get("uid") == item["metadata"]["uid"]
        size = item["spec"]["resources"]["requests"]["storage"] if self.grows else "1Gi"
        item["status"] = {"phase": "Bound" if given else "Pending", "capacity": {"storage": size}}

    def _volume(self, name: str, claim: Object, content: str) -> None:
        self.contents[name] = content
        metadata = claim["metadata"]
        reference = {"namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
        csi = {"driver": DRIVER, "volumeHandle": f"handle-{name}"}
        # As a class without Retain makes them.
        spec = {"persistentVolumeReclaimPolicy": "Delete", "claimRef": reference, "csi": csi}
        self.api.put(f"{VOLUMES}/{name}", {"metadata": {"name": name}, "spec": spec})

    @staticmethod
    def _held_for(volume: Object, claim: Object) -> bool:
        holder, metadata = volume["spec"]["claimRef"], claim["metadata"]
        mine = (holder.get("namespace"), holder["name"]) == (metadata["namespace"], metadata["name"])
        return mine and not holder.get("uid")

    def _holder(self, volume: Object) -> bool:
        uid = volume["spec"]["claimRef"].get("uid")
        claims = [item for path, item in self.api.objects.items() if "/persistentvolumeclaims/" in path]
        return any(item["metadata"]["uid"] == uid for item in claims)

    def _next(self) -> int:
        self._count += 1
        return self._count
