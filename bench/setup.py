"""How long it takes from nothing, or from artefacts at hand, to a student who works in a notebook.

The floor under a login is what Kubernetes alone needs for a pod of the same image with a disk of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import hub, report

STUDENTS = 20
COLD = Path(__file__).with_name("cold.json")
# What the figures must not exceed.
LIMITS = {"warm_s": 300, "cold_s": 1500, "second_run_ratio": 0.25, "second_run_changed": 0, "login_p95_s": 15}
POD_TIMEOUT_S = 60


def main() -> None:
    """Measure, and write. Ends with 1 where a figure is above its limit."""
    hub.refuse_beside_others()
    cold = json.loads(COLD.read_text(encoding="utf-8"))
    subprocess.run(["make", "lab"], cwd=report.ROOT, check=True)
    start = time.monotonic()
    subprocess.run(["make", "setup"], cwd=report.ROOT, check=True)
    checked = time.monotonic() - start
    try:
        first = hub.play("site")
        second = hub.play("site")
        logins, pods = _students()
    finally:
        hub.play("teardown", coursehub_confirm_removal=hub.NAME)
    figures = {
        "warm_s": round(checked + first.seconds, 1),
        "cold_s": cold["cold_s"],
        "second_run_ratio": round(second.seconds / first.seconds, 3),
        "second_run_changed": second.changed,
        "login_p95_s": round(report.p95(logins), 2),
        "pod_p95_s": round(report.p95(pods), 2),
    }
    phases = {name: round(seconds, 1) for name, seconds in first.phases.items()}
    report.write("setup", figures, phases=phases, cold=cold, logins_s=logins, pods_s=pods)
    report.end(figures, report.beyond(figures, LIMITS), {"setup": _rows(figures, cold["date"])})


def _rows(figures: dict[str, float], cold_date: str) -> list[list[str]]:
    def row(what: str, name: str, unit: str = "s") -> list[str]:
        limit = f"{LIMITS[name]} {unit}".strip() if name in LIMITS else ""
        return [what, f"{figures[name]} {unit}".strip(), limit]

    return [
        ["what", "measured", "at most"],
        row("`make up`, artefacts at hand", "warm_s"),
        row(f"`make up` from nothing ({cold_date})", "cold_s"),
        row("second run, part of the first one's time", "second_run_ratio", ""),
        row("second run, tasks that changed something", "second_run_changed", ""),
        row(f"login to running server, p95 of {STUDENTS} in a row", "login_p95_s"),
        row("floor: a pod of the same image with a disk of its own, p95", "pod_p95_s"),
    ]


def _students() -> tuple[list[float], list[float]]:
    """Return the seconds of each login, and of each bare pod."""
    # The students of the tests, who need the packages of `make setup-dev`.
    import tests.conftest  # noqa: F401 - lets the collection be imported by its name
    from tests.e2e.cluster import Cluster
    from tests.e2e.student import Student

    cluster = Cluster(str(hub.STATE / hub.NAME / "kubeconfig"), f"kind-{hub.NAME}")
    logins, image = [], ""
    for number in range(STUDENTS):
        student = Student(f"http://127.0.0.1:{hub.PORT}", f"bench-{number:02}")
        start = time.monotonic()
        student.login().start()
        logins.append(round(time.monotonic() - start, 3))
        print(f"bench: {student.name} works after {logins[-1]:.1f} s", flush=True)
        image = cluster.pod_of(student.name)["spec"]["containers"][0]["image"]
        student.stop()
    return logins, [_pod(cluster, image, number) for number in range(STUDENTS)]


def _pod(cluster: Any, image: str, number: int) -> float:
    """Make a disk and a pod, return the seconds until the pod is ready, and remove the pod."""
    name = f"bench-{number:02}"
    claim, pod = _objects(name, image)
    start = time.monotonic()
    cluster.apply(claim)
    cluster.apply(pod)
    found = cluster.wait(
        "v1",
        "Pod",
        "default",
        lambda pods: any(
            item["metadata"]["name"] == name
            and any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
            for item in pods
        ),
        POD_TIMEOUT_S,
    )
    seconds = round(time.monotonic() - start, 3)
    if not found:
        report.fail(f"the pod {name} was not ready after {POD_TIMEOUT_S} s")
    cluster.delete("v1", "Pod", name, "default", gracePeriodSeconds=0)
    return seconds


def _objects(name: str, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    metadata = {"name": name, "namespace": "default"}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "coursehub-disk",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    container = {
        "name": "notebook",
        "image": image,
        "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "home", "mountPath": "/home/student"}],
    }
    volume = {"name": "home", "persistentVolumeClaim": {"claimName": name}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 0},
    }
    return claim, pod


if __name__ == "__main__":
    sys.exit(main())
