"""The least that snapshots of a course cost: posted side by side, then awaited by one watch.

``python bench/floor.py KUBECONFIG CONTEXT NAMESPACE SNAPSHOT_CLASS SUFFIX TIMEOUT_S FILE``. The file has the claims,
one a line: nothing is looked up, checked, locked, told or thinned out.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import urllib3
import yaml

WORKERS = 16
LIBYAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def connect(kubeconfig: str, context: str) -> tuple[urllib3.PoolManager, str]:
    """Return a pool of connections that logs in by itself, and the server's address."""
    content = yaml.load(Path(kubeconfig).read_text(encoding="utf-8"), Loader=LIBYAML)  # noqa: S506 - both are safe
    of = {kind: {one["name"]: one for one in content[f"{kind}s"]} for kind in ("context", "cluster", "user")}
    chosen = of["context"][context]["context"]
    cluster, user = of["cluster"][chosen["cluster"]]["cluster"], of["user"][chosen["user"]]["user"]
    more: dict[str, Any] = {}
    if "token" in user:
        more["headers"] = {"Authorization": f"Bearer {user['token']}"}
    if "certificate-authority-data" in cluster:
        trust = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
            file.flush()
            trust.load_cert_chain(file.name)
        more["ssl_context"] = trust
    return urllib3.PoolManager(maxsize=WORKERS, retries=False, **more), cluster["server"]


def main(
    kubeconfig: str, context: str, namespace: str, snapshot_class: str, suffix: str, timeout_s: str, file: str
) -> None:
    """Take a snapshot of each claim, and wait until all can be restored."""
    claims = Path(file).read_text(encoding="utf-8").split()
    pool, server = connect(kubeconfig, context)
    address = f"{server}/apis/snapshot.storage.k8s.io/v1/namespaces/{namespace}/volumesnapshots"
    deadline = time.monotonic() + float(timeout_s)

    def post(claim: str) -> str:
        name = f"{claim}-{suffix}"
        body = {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": name},
            "spec": {"volumeSnapshotClassName": snapshot_class, "source": {"persistentVolumeClaimName": claim}},
        }
        answer = pool.request("POST", address, json=body)
        if answer.status >= 300:
            sys.exit(f"floor: {name} was answered with {answer.status}: {answer.data.decode(errors='replace')[:500]}")
        return name

    with ThreadPoolExecutor(WORKERS) as workers:
        waiting = set(workers.map(post, claims))
    while waiting:
        waiting -= ready_by_one_watch(pool, address, waiting, deadline)
        if waiting and time.monotonic() >= deadline:
            sys.exit(f"floor: {len(waiting)} of {len(claims)} snapshots were not ready after {timeout_s} s")


def ready_by_one_watch(pool: urllib3.PoolManager, address: str, waiting: set[str], deadline: float) -> set[str]:
    """Return those that are ready: all of them, or as many as are when the watch or the time ends."""
    listed = pool.request("GET", address).json()
    ready = {item["metadata"]["name"] for item in listed["items"] if is_ready(item)} & waiting
    left = int(deadline - time.monotonic())
    if ready == waiting or left <= 0:
        return ready
    query = f"watch=1&resourceVersion={listed['metadata']['resourceVersion']}&timeoutSeconds={left}"
    watch = pool.request("GET", f"{address}?{query}", preload_content=False, timeout=left + 5)
    try:
        for line in lines(watch):
            event = json.loads(line)
            if event["type"] == "ERROR":
                break
            if event["type"] != "BOOKMARK" and is_ready(event["object"]):
                ready |= {event["object"]["metadata"]["name"]} & waiting
            if ready == waiting:
                break
    except urllib3.exceptions.HTTPError:
        pass
    finally:
        watch.close()
    return ready


def is_ready(item: dict[str, Any]) -> bool:
    """Tell whether a snapshot can be restored."""
    return (item.get("status") or {}).get("readyToUse") is True


def lines(response: Any) -> Iterator[bytes]:
    """Yield whole lines as they come."""
    rest = b""
    for chunk in response.stream(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line)


if __name__ == "__main__":
    main(*sys.argv[1:])
