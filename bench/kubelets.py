"""Says of each pod that it runs, in the place of kubelets; and answers for all servers of students."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube

NAMESPACE = "students"
WORKERS = 8
# How long a pod takes from being asked for to running: its image is on the node, its disk is at hand.
START_S = 3.0


@contextmanager
def running(kube: Kube) -> Iterator[int]:
    """Let pods run and servers answer as long as the block; give the port that all servers have."""
    ended = threading.Event()
    server = _Servers(("127.0.0.1", 0), _Server)
    threads = [
        threading.Thread(target=server.serve_forever, daemon=True),
        threading.Thread(target=_run, args=(kube, ended), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.server_port
    finally:
        ended.set()
        server.shutdown()
        for thread in threads:
            thread.join(30)
        server.server_close()


class _Servers(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        # The hub compares it with its own.
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def _run(kube: Kube, ended: threading.Event) -> None:
    due: queue.Queue[tuple[float, str]] = queue.Queue()
    with ThreadPoolExecutor(WORKERS) as pool:
        for _worker in range(WORKERS):
            pool.submit(_work, kube, due, ended)
        seen: set[str] = set()
        while not ended.is_set():
            try:
                for _found, changed in kube.follow("v1", "Pod", NAMESPACE, time.monotonic() + 5):
                    for pod in changed:
                        uid = pod["metadata"]["uid"]
                        if uid not in seen:
                            seen.add(uid)
                            due.put((time.monotonic() + START_S, pod["metadata"]["name"]))
            except CoursehubError:
                time.sleep(0.2)


def _work(kube: Kube, due: queue.Queue[tuple[float, str]], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            moment, name = due.get(timeout=0.5)
        except queue.Empty:
            continue
        time.sleep(max(0.0, moment - time.monotonic()))
        try:
            kube.merge(f"{kube.path('v1', 'Pod', NAMESPACE, name)}/status", {"status": _status()})
        except CoursehubError:
            # Stopped before it began.
            continue


def _status() -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    container = {
        "name": "notebook",
        "ready": True,
        "restartCount": 0,
        "image": "singleuser",
        "imageID": "",
        "state": {"running": {"startedAt": now}},
    }
    return {
        "phase": "Running",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": now,
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [container],
    }
