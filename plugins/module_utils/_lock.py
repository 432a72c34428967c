# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time on a namespace's disks, by a Lease as Kubernetes' own controllers have it."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import FIELD_MANAGER, ApiError, Kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._manifests import MANAGED_BY

Object = dict[str, Any]

API_VERSION = "coordination.k8s.io/v1"
NAME = "coursehub-disks"
# Exports take hours, and only read snapshots: held by the disks' lock they would keep the hourly snapshots waiting.
DRIVE_NAME = "coursehub-drive"
# What a run with each of them is at work on.
_WORK = {NAME: "the disks", DRIVE_NAME: "the exports"}
# How long a run that died keeps the next one waiting, and how often a living one says so.
DURATION_S = 30
RENEWAL_S = 8

# Documented in doc_fragments/lock.py.
ARGUMENTS: dict[str, dict[str, Any]] = {"lock_timeout": {"type": "int", "default": 300}}


class Lock:
    """Held while in the ``with`` block.

    Whether another holder is alive is judged by whether it renews while we look, not by its clock against ours.
    """

    def __init__(self, kube: Kube, namespace: str, wait_s: float, name: str = NAME) -> None:
        self._kube = kube
        self._name = name
        self._wait_s = wait_s
        self._namespace = namespace
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns():x}"
        self._lease: Object = {}
        self._ended = threading.Event()
        self._lost = ""
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Lock:
        self._path = self._kube.path(API_VERSION, "Lease", self._namespace)
        deadline = time.monotonic() + self._wait_s
        seen, since = "", time.monotonic()
        while not self._lease:
            found = self._kube.get(API_VERSION, "Lease", self._name, self._namespace)
            now = time.monotonic()
            if found is None:
                self._write("POST", self._path, self._fresh())
            elif not found["spec"].get("holderIdentity") or (
                found["metadata"]["resourceVersion"] == seen and now - since >= DURATION_S
            ):
                self._write("PUT", f"{self._path}/{self._name}", self._fresh(found))
            elif found["metadata"]["resourceVersion"] != seen:
                seen, since = found["metadata"]["resourceVersion"], now
            elif now >= deadline:
                raise CoursehubError(
                    f"another run works on {_WORK[self._name]} of {self._namespace}"
                    f" ({found['spec']['holderIdentity']}): wait for its end and run this again"
                )
            else:
                self._await_change(min(deadline, since + DURATION_S))
        self._renewal.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewal.join()
        if not self._lost:
            self._lease["spec"]["holderIdentity"] = ""
            # Where the API server is gone, the lock ends by itself.
            with suppress(CoursehubError):
                self._write("PUT", f"{self._path}/{self._name}", self._lease)

    def check(self) -> None:
        """Raise CoursehubError where the lock was lost, as after a long time without the API server."""
        if self._lost:
            raise CoursehubError(
                f"the lock on {_WORK[self._name]} of {self._namespace} was lost ({self._lost}): run this again"
            )

    def _fresh(self, found: Object | None = None) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata = (
            found["metadata"] if found else {"name": self._name, "namespace": self._namespace, "labels": MANAGED_BY}
        )
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": now,
            "renewTime": now,
        }
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}

    def _write(self, method: str, path: str, lease: Object) -> None:
        """Write the lease; of two who try at once, the one whose version is old learns of it at the next look."""
        try:
            self._lease = self._kube.request(method, path, lease, fieldManager=FIELD_MANAGER)
        except ApiError as error:
            if error.status != 409:
                raise

    def _await_change(self, until: float) -> None:
        def released(found: list[Object]) -> bool:
            return not found or not found[0]["spec"].get("holderIdentity")

        self._kube.wait(
            API_VERSION, "Lease", self._namespace, released, until, fieldSelector=f"metadata.name={self._name}"
        )

    def _renew(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(RENEWAL_S):
            try:
                body = self._fresh(self._lease)
                self._lease = self._kube.request("PUT", f"{self._path}/{self._name}", body, fieldManager=FIELD_MANAGER)
                renewed = time.monotonic()
            except CoursehubError as error:
                conflict = isinstance(error, ApiError) and error.status in (404, 409)
                if conflict or time.monotonic() - renewed >= DURATION_S:
                    self._lost = str(error)
                    return
