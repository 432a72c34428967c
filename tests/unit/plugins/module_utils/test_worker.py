"""Workers' pods, and what they tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _worker

Object = dict[str, Any]


def ended(message: str, phase: str = "Failed", **terminated: Any) -> Object:
    state = {"terminated": {"message": message, **terminated}}
    return {"status": {"phase": phase, "containerStatuses": [{"state": state}]}}


def test_a_pod_within_what_the_namespace_allows() -> None:
    task = _worker.Task("compare", {"taken": "now"}, "disk-ann", disk_read_only=True, source="scratch", node="n")
    spec = _worker.pod(task, "p", "students", "tools:1")["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "n"}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["disk"] == {"name": "disk", "mountPath": "/disk", "readOnly": True}
    assert "readOnly" not in mounts["source"]
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if v["name"] != "scratch"}
    assert claims == {"disk": "disk-ann", "source": "scratch"}
    assert json.loads(container["env"][0]["value"]) == {"taken": "now"}


def test_a_target_is_a_folder_of_a_claim_or_a_remote_with_its_secret() -> None:
    claim = _worker.Target("2026/", claim="archive")
    remote = _worker.Target("bucket:2026", secret="rclone")
    assert (claim.inside, remote.inside, _worker.Target("", claim="a").inside) == (
        "/target/2026",
        "bucket:2026",
        "/target",
    )
    spec = _worker.pod(_worker.Task("archive", {}, target=remote), "p", "students", "tools:1")["spec"]
    assert {"name": "RCLONE_CONFIG", "value": "/rclone/rclone.conf"} in spec["containers"][0]["env"]
    assert {"secretName": "rclone", "defaultMode": 0o440} in [volume.get("secret") for volume in spec["volumes"]]


def test_what_it_told_is_the_outcome() -> None:
    assert _worker.outcome(ended('{"failed": "", "files": 3}', "Succeeded")) == {"failed": "", "files": 3}
    assert _worker.outcome(ended('{"failed": "no room"}')) == {"failed": "no room"}


@pytest.mark.parametrize("phase", ["Pending", "Running", None])
def test_one_that_works_has_none(phase: str | None) -> None:
    assert _worker.outcome({"status": {"phase": phase} if phase else {}}) is None


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        (ended("", reason="OOMKilled"), "its worker ended without a result: OOMKilled"),
        (ended("first\nlast\n", reason="Error"), "its worker ended without a result: Error: last"),
        (ended("[1]", reason="Error"), "its worker ended without a result: Error: [1]"),
        (
            {"status": {"phase": "Failed", "message": "the node was lost"}},
            "its worker ended without a result: the node was",
        ),
    ],
)
def test_one_that_ended_without_a_word_has_failed(item: Object, sentence: str) -> None:
    assert (_worker.outcome(item) or {})["failed"].startswith(sentence)


def test_one_that_can_not_start_is_not_waited_for() -> None:
    state = {"waiting": {"reason": "ErrImageNeverPull", "message": "tools:1 is not there"}}
    item = {"status": {"phase": "Pending", "containerStatuses": [{"state": state}]}}
    assert _worker.outcome(item) == {"failed": "its worker can't start: tools:1 is not there"}


def test_why_one_waits() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
    assert "0/2 nodes" in _worker.why_waiting({"status": {"phase": "Pending", "conditions": [condition]}})
    assert _worker.why_waiting({"status": {"phase": "Running"}}) == "it was still at work"
    assert _worker.why_waiting(None) == "its pod is gone"
