from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import floor
from tests.unit.plugins.api import Answer, Api, refused

SHOTS = "/apis/snapshot.storage.k8s.io/v1/namespaces/ns/volumesnapshots"


def run(kubeconfig: Path, *claims: str, timeout_s: str = "10") -> None:
    file = kubeconfig.with_name("claims.txt")
    file.write_text("\n".join(claims), encoding="utf-8")
    floor.main(str(kubeconfig), "kind-test", "ns", "fast", "now", timeout_s, str(file))


def shot(name: str, ready: bool) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name}, "status": {"readyToUse": ready}}


def listed(*items: dict[str, Any]) -> Answer:
    return Answer(body={"items": list(items), "metadata": {"resourceVersion": "7"}})


def watches(api: Api) -> list[dict[str, str]]:
    return [request.query for request in api.asked if "watch" in request.query]


def test_each_claim_is_asked_for_once_and_what_is_ready_is_not_watched(kubeconfig: Path, api: Api) -> None:
    api.on_create = lambda path, item: api.put(path, {**item, "status": {"readyToUse": True}}) and None
    run(kubeconfig, "disk-a", "disk-b")
    assert sorted(path.rpartition("/")[2] for path in api.objects) == ["disk-a-now", "disk-b-now"]
    assert api.objects[f"{SHOTS}/disk-a-now"]["spec"] == {
        "volumeSnapshotClassName": "fast",
        "source": {"persistentVolumeClaimName": "disk-a"},
    }
    assert api.asked_for("POST") == [SHOTS] * 2
    assert watches(api) == []


def test_one_watch_is_followed_until_all_are_ready(kubeconfig: Path, api: Api) -> None:
    events = tuple(
        {"type": kind, "object": item}
        for kind, item in (
            ("MODIFIED", shot("disk-a-now", False)),
            ("BOOKMARK", {"metadata": {"resourceVersion": "8"}}),
            ("MODIFIED", shot("disk-a-now", True)),
        )
    )
    api.answer_next("GET", SHOTS, listed(shot("disk-a-now", False)), Answer(lines=events))
    run(kubeconfig, "disk-a")
    (watch,) = watches(api)
    assert watch["resourceVersion"] == "7"


def test_a_watch_that_ends_is_begun_again(kubeconfig: Path, api: Api) -> None:
    gone = {"type": "ERROR", "object": {"code": 410}}
    api.answer_next(
        "GET", SHOTS, listed(shot("disk-a-now", False)), Answer(lines=(gone,)), listed(shot("disk-a-now", True))
    )
    run(kubeconfig, "disk-a")
    assert len(watches(api)) == 1


def test_a_refusal_ends_it(kubeconfig: Path, api: Api) -> None:
    api.answer_next("POST", SHOTS, refused(403, "exceeded quota"))
    with pytest.raises(SystemExit, match=r"floor: disk-a-now was answered with 403: .*exceeded quota"):
        run(kubeconfig, "disk-a")


def test_the_end_of_the_time(kubeconfig: Path, api: Api) -> None:
    api.answer_next("GET", SHOTS, listed(shot("disk-a-now", False)))
    with pytest.raises(SystemExit, match="floor: 1 of 1 snapshots were not ready after 0 s"):
        run(kubeconfig, "disk-a", timeout_s="0")
