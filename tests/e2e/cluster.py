"""What the tests ask of the cluster."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from kubernetes import client, config
from kubernetes.stream import stream

HUB = "coursehub"
STUDENTS = "coursehub-students"
STORAGE = "coursehub-storage"
Object = dict[str, Any]


def says_ready(item: Object) -> bool:
    """Tell whether a pod or a node calls itself ready."""
    conditions = item.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Cluster:
    """A cluster, by kubeconfig and context."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self.kube = Kube(kubeconfig, context)
        self._kubeconfig, self._context = kubeconfig, context
        self._api = config.new_client_from_config(config_file=kubeconfig, context=context)

    def pod_of(self, student: str) -> Object:
        pod = self.kube.get("v1", "Pod", f"jupyter-{student}", STUDENTS)
        assert pod is not None, f"{student} has no server"
        return pod

    def pods(self, namespace: str, selector: str) -> list[Object]:
        return self.kube.list("v1", "Pod", namespace, labelSelector=selector)

    def log(self, pod: str, namespace: str) -> str:
        return str(client.CoreV1Api(self._api).read_namespaced_pod_log(pod, namespace))

    def log_before(self, pod: str, namespace: str) -> str:
        """Return what the container said that ran in the pod before this one."""
        return str(client.CoreV1Api(self._api).read_namespaced_pod_log(pod, namespace, previous=True))

    def run_python(self, pod: str, program: str, *arguments: str, namespace: str = STUDENTS) -> str:
        """Run a program in a pod and return what it printed."""
        packed = base64.b64encode(program.encode()).decode()
        loader = f"import base64; exec(base64.b64decode('{packed}'))"
        return self.run_in(pod, namespace, "python", "-c", loader, *arguments)

    def run_in(self, pod: str, namespace: str, *command: str) -> str:
        """Run a command in a pod and return what it said."""
        core = client.CoreV1Api(self._api)
        return str(
            stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stdout=True,
                stderr=True,
                stdin=False,
                tty=False,
            )
        )

    @contextmanager
    def following(self, pod: str, namespace: str, *command: str) -> Iterator[Iterator[str]]:
        """Run a command in a pod; yield the lines that it says, as they come, until the block ends."""
        # Of its own: while it begins, another thread's requests by the same client would become websockets too.
        api = config.new_client_from_config(config_file=self._kubeconfig, context=self._context)
        said = stream(
            client.CoreV1Api(api).connect_get_namespaced_pod_exec,
            pod,
            namespace,
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
        )

        over = threading.Event()

        def lines() -> Iterator[str]:
            while not over.is_set() and said.is_open():
                try:
                    line = said.readline_stdout(timeout=1)
                except Exception:
                    # Closed while somebody waits for a line, the client stumbles over its own socket, in several ways.
                    if over.is_set():
                        return
                    raise
                if line is not None:
                    yield str(line)

        try:
            yield lines()
        finally:
            over.set()
            said.close()

    def apply(self, item: Object) -> Object:
        metadata = item["metadata"]
        path = self.kube.path(item["apiVersion"], item["kind"], metadata.get("namespace"), metadata["name"])
        return self.kube.request("PATCH", path, item, fieldManager="tests", force="true")

    def delete(self, api_version: str, kind: str, name: str, namespace: str | None = None, **body: Any) -> None:
        self.kube.request("DELETE", self.kube.path(api_version, kind, namespace, name), body or None)

    def delete_as(self, user: str, path: str) -> str:
        """Try to delete something as someone else, without doing it; return the status and what was said."""
        return self._try_as(user, "DELETE", path, {})

    def merge_as(self, user: str, path: str, body: Object) -> str:
        """Try to merge fields into something as someone else, without doing it; return the status and what was said."""
        return self._try_as(user, "PATCH", path, {"Content-Type": "application/merge-patch+json"}, body)

    def _try_as(self, user: str, method: str, path: str, more: dict[str, str], body: Object | None = None) -> str:
        api = config.new_client_from_config(config_file=self._kubeconfig, context=self._context)
        headers = {"Accept": "application/json", "Impersonate-User": user, **more}
        answer = api.call_api(method, f"{api.configuration.host}{path}?dryRun=All", headers, body)
        return f"{answer.status} {answer.read().decode()}"

    def wait(
        self, api_version: str, kind: str, namespace: str | None, done: Callable[[list[Object]], bool], seconds: float
    ) -> list[Object]:
        """Wait for a collection; fail where it does not come true."""
        items = self.kube.wait(api_version, kind, namespace, done, time.monotonic() + seconds)
        assert done(items), f"{kind} did not come true in {seconds} s: {json.dumps(items)[:2000]}"
        return items
