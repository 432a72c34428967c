"""A small API server on loopback that speaks as much of Kubernetes' interface as our client uses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]

RESOURCES = {
    "/api/v1": [
        "ConfigMap",
        "Event",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Pod",
        "PodTemplate",
        "ResourceQuota",
        "Secret",
        "Service",
        "ServiceAccount",
    ],
    "/apis/apps/v1": ["DaemonSet", "Deployment", "StatefulSet"],
    "/apis/autoscaling.x-k8s.io/v1beta1": ["CapacityBuffer"],
    "/apis/batch/v1": ["CronJob", "Job"],
    "/apis/coordination.k8s.io/v1": ["Lease"],
    "/apis/scheduling.k8s.io/v1": ["PriorityClass"],
    "/apis/snapshot.storage.k8s.io/v1": ["VolumeSnapshot", "VolumeSnapshotContent"],
}
CLUSTER_WIDE = ("Namespace", "Node", "PersistentVolume", "PriorityClass", "VolumeSnapshotContent")
COLLECTIONS = {f"{kind.lower()}s" for kinds in RESOURCES.values() for kind in kinds}


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    query: dict[str, str]
    body: Object | None
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What the server answers: a status, JSON, or lines of a watch."""

    status: int = 200
    body: Any = None
    lines: tuple[Object, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)
    # Whether the connection is cut in the middle of the answer.
    cut: bool = False


def refused(status: int, message: str, **headers: str) -> Answer:
    """Return an answer as the API server writes its refusals."""
    return Answer(status, {"kind": "Status", "message": message, "code": status}, headers=headers)


class Api:
    """Objects by path, what was asked, and answers that a test has set for the next requests."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[Request] = []
        # What pods have said, by path of the pod: a line of JSON each.
        self.logs: dict[str, tuple[Object, ...]] = {}
        self.script: list[tuple[Callable[[Request], bool], Answer]] = []
        # Stands in for controllers: called with the path of an object that was just made, and the object.
        self.on_create: Callable[[str, Object], None] = lambda _path, _item: None
        # Called after every change of anything.
        self.on_change: Callable[[], None] = lambda: None
        self._version = 0
        self._lock = threading.RLock()

    def answer_next(self, method: str, path: str, *answers: Answer) -> None:
        """Answer the next requests of this method and path so, once each."""
        self.script += [(lambda r: (r.method, r.path) == (method, path), answer) for answer in answers]

    def put(self, path: str, item: Object) -> Object:
        """Keep an object, with what the server writes into it."""
        self._version += 1
        metadata = {
            "uid": path,
            **item["metadata"],
            "resourceVersion": str(self._version),
            "managedFields": [{"manager": "test"}],
        }
        self.objects[path] = {**item, "metadata": metadata}
        return self.objects[path]

    def asked_for(self, method: str) -> list[str]:
        """Return the paths that were asked for by a method, in order."""
        return [request.path for request in self.asked if request.method == method]

    def handle(self, request: Request) -> Answer:
        with self._lock:
            answer = self._handle(request)
            if request.method != "GET":
                self.on_change()
            return answer

    def _handle(self, request: Request) -> Answer:
        self.asked.append(request)
        for number, (matches, answer) in enumerate(self.script):
            if matches(request):
                del self.script[number]
                return answer
        if request.path.endswith("/log") and request.path.removesuffix("/log") in self.logs:
            return Answer(lines=self.logs[request.path.removesuffix("/log")])
        if request.path == "/readyz":
            return Answer(body="ok")
        if request.path in RESOURCES:
            listed = [
                {"kind": kind, "name": f"{kind.lower()}s", "namespaced": kind not in CLUSTER_WIDE}
                for kind in RESOURCES[request.path]
            ]
            return Answer(body={"resources": [*listed, {"kind": "Pod", "name": "pods/log", "namespaced": True}]})
        if request.path.startswith("/apis/") and request.path.count("/") == 3:
            return refused(404, "the server could not find the requested resource")
        return self._stored(request)

    def _stored(self, request: Request) -> Answer:
        if request.method == "PATCH":
            assert request.body is not None
            before = self.objects.get(request.path, {})
            if not before and request.headers.get("content-type") == "application/merge-patch+json":
                return refused(404, f"{request.path} not found")
            merge = request.headers.get("content-type") == "application/merge-patch+json"
            meant = (request.body.get("metadata") or {}).get("resourceVersion")
            if meant and meant != before.get("metadata", {}).get("resourceVersion"):
                return refused(409, "the object has been modified")
            after = merged(before, request.body) if merge else {**before, **request.body}
            if "dryRun" in request.query:
                return Answer(body=after)
            return Answer(body=self.put(request.path, after))
        if request.method in ("POST", "PUT"):
            return self._written(request)
        if request.path in self.objects:
            if request.method == "DELETE":
                return Answer(body=self.objects.pop(request.path))
            return Answer(body=self.objects[request.path])
        if request.method == "GET" and request.path.rpartition("/")[2] in COLLECTIONS:
            return Answer(body=self._list(request))
        return refused(404, f"{request.path} not found")

    def _written(self, request: Request) -> Answer:
        assert request.body is not None
        path, metadata = request.path, request.body["metadata"]
        if request.method == "POST":
            path = f"{path}/{metadata['name']}"
            if path in self.objects:
                return refused(409, f"{metadata['name']} already exists")
            created = self.put(path, {**request.body, "metadata": {"creationTimestamp": now(), **metadata}})
            self.on_create(path, created)
            return Answer(body=self.objects[path])
        if path not in self.objects:
            return refused(404, f"{path} not found")
        if metadata.get("resourceVersion", "") != self.objects[path]["metadata"]["resourceVersion"]:
            return refused(409, "the object has been modified")
        return Answer(body=self.put(path, request.body))

    def _list(self, request: Request) -> Object:
        root, _slash, collection = request.path.rpartition("/")
        parts = [part for part in request.query.get("labelSelector", "").split(",") if part]
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        found = [
            {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}
            for path, item in sorted(self.objects.items())
            if f"/{collection}/" in path
            and path.startswith(root)
            and name in ("", item["metadata"]["name"])
            and all(_matches(item["metadata"].get("labels") or {}, part) for part in parts)
        ]
        return {"items": found, "metadata": {"resourceVersion": str(self._version)}}


def _matches(labels: dict[str, str], part: str) -> bool:
    key, equals, value = part.partition("=")
    return labels.get(key) == value if equals else key in labels


def merged(before: Any, patch: Any) -> Any:
    """Return what a merge patch makes of an object, as RFC 7386 has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def now() -> str:
    """Return the time as the API server writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            answer = api.handle(Request(self.command, parts.path, query, body, headers))
            content = b"".join(json.dumps(line).encode() + b"\n" for line in answer.lines)
            if not answer.lines:
                content = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(content) + (100 if answer.cut else 0)))
            self.end_headers()
            self.wfile.write(content)
            if answer.cut:
                self.close_connection = True

        do_GET = do_PATCH = do_DELETE = do_POST = do_PUT = _serve  # noqa: N815 - the names that the server looks for

        def log_message(self, *_words: object) -> None: ...

    return Handler


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[tuple[Api, Path]]:
    """Run the server, on any port or a certain one; give it and a kubeconfig with the context ``kind-test``."""
    api = Api()
    with ThreadingHTTPServer(("127.0.0.1", port), _handler(api)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(config(f"http://127.0.0.1:{server.server_address[1]}")), encoding="utf-8")
        try:
            yield api, kubeconfig
        finally:
            server.shutdown()


def config(address: str) -> Object:
    """Return a kubeconfig for an address."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {"token": "not-a-secret"}}],
        "contexts": [{"name": "kind-test", "context": {"cluster": "test", "user": "test"}}],
    }
