"""Schedules of the cluster, run now."""

from __future__ import annotations

import uuid

from tests.e2e.cluster import HUB, Cluster, Object


def run_now(cluster: Cluster, name: str, seconds: float) -> tuple[Object, str]:
    """Run the hub's CronJob of a name once, as ``kubectl create job --from`` does; return its pod and what it said.

    It is not tried again. Fails where it has not ended after so many seconds; whether it ended well, its pod tells.
    """
    schedule = cluster.kube.get("batch/v1", "CronJob", name, HUB)
    assert schedule is not None, f"there is no schedule {name}"
    job = f"{name}-{uuid.uuid4().hex[:6]}"
    cluster.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": job, "namespace": HUB},
            "spec": {**schedule["spec"]["jobTemplate"]["spec"], "backoffLimit": 0},
        }
    )

    def ended(jobs: list[Object]) -> bool:
        return any(
            one["metadata"]["name"] == job
            and {each["type"] for each in one["status"].get("conditions", []) if each["status"] == "True"}
            & {"Complete", "Failed"}
            for one in jobs
        )

    try:
        cluster.wait("batch/v1", "Job", HUB, ended, seconds)
        (pod,) = cluster.pods(HUB, f"batch.kubernetes.io/job-name={job}")
        return pod, cluster.log(pod["metadata"]["name"], HUB)
    finally:
        cluster.delete("batch/v1", "Job", job, HUB, propagationPolicy="Foreground")
