"""The exporter's Jobs."""

from __future__ import annotations

import json

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _exporter, _slots
from coursehub_tools.drive import bundle, federation, request, runs

ANN = _accounts.Account("ann", "drive-consent-ann", "", "ann")
BOB = _accounts.Account("bob", "drive-consent-bob", "", "bob")


def task(command: str = "export", **more: str) -> _exporter.Task:
    people = [_exporter.Person(ANN, "export-disk-ann"), _exporter.Person(BOB, "export-disk-bob")]
    return _exporter.Task("j", command, people, {"folder": ""}, "drive-state-0", **more)


def test_each_students_key_is_a_file_and_each_clone_may_be_written() -> None:
    """Files that their owner can't read are no less theirs."""
    spec = _exporter.job(task(), "n", "tools:1", 60)["spec"]["template"]["spec"]
    sources = next(one for one in spec["volumes"] if one["name"] == "keys")["projected"]["sources"]
    assert [one["secret"]["name"] for one in sources] == ["drive-consent-ann", "drive-consent-bob"]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/keys": True, "/tmp": False, "/homes/0": False, "/homes/1": False, "/state": False}
    asked = _exporter.request(task())["students"]
    assert [(one["credentials"], one["source"]) for one in asked] == [
        ("/keys/0.json", "/homes/0"),
        ("/keys/1.json", "/homes/1"),
    ]


def test_a_disk_that_says_of_no_export_is_told_of_also_where_it_has_no_id_yet() -> None:
    """One that a restore is about to make anew has none."""
    people = [_exporter.Person(ANN, "a", new="uid"), _exporter.Person(BOB, "b", new="")]
    asked = _exporter.request(_exporter.Task("j", "export", people))["students"]
    assert [(one["new"], one["disk_uid"]) for one in asked] == [(True, "uid"), (True, "")]
    assert not any("new" in one for one in _exporter.request(task())["students"])


def test_an_import_writes_and_has_no_state() -> None:
    asked = _exporter.Task("j", "import", [_exporter.Person(ANN, "new-disk-ann")], {"folder": ""})
    spec = _exporter.job(asked, "n", "tools:1", 60)["spec"]["template"]["spec"]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/keys": True, "/tmp": False, "/homes/0": False}
    assert _exporter.request(asked)["students"][0]["disk"] == "/homes/0"


def test_a_job_goes_on_after_a_kill_and_not_after_a_failure() -> None:
    spec = _exporter.job(task(api_address="http://d", priority_class="low"), "n", "tools:1", 0)["spec"]
    rules = {one["action"]: one for one in spec["podFailurePolicy"]["rules"]}
    assert rules["FailJob"]["onExitCodes"]["values"] == [1]
    assert list(rules) == ["Ignore", "FailJob"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (_exporter.TRIES, 1)
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["args"][-2:] == ["--drive-address", "http://d"]
    assert (pod["priorityClassName"], pod["restartPolicy"]) == ("low", "Never")


def test_a_check_is_not_patient() -> None:
    def words(command: str) -> list[str]:
        found: list[str] = _exporter.job(task(command), "n", "t", 60)["spec"]["template"]["spec"]["containers"][0][
            "args"
        ]
        return found

    assert words("check")[-2:] == words("count")[-2:] == ["--drive-patience", "60"]
    assert "--drive-patience" not in words("export")


def test_a_job_has_its_pace_as_a_file_that_it_does_not_wait_for() -> None:
    """By a path in it a file is mounted once and for all: the volume has to be a folder."""
    spec = _exporter.job(task(pace="4f2a91"), "n", "tools:1", 60)["spec"]["template"]["spec"]
    source = next(one for one in spec["volumes"] if one["name"] == "pace")["configMap"]
    mount = next(one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "pace")
    told = _exporter.pace_map("n", "4f2a91", _slots.Rates(1, 2, 3, 4))
    assert (source["name"], source["optional"]) == (told["metadata"]["name"], True)
    assert mount == {"name": "pace", "mountPath": "/pace", "readOnly": True}
    (item,) = source["items"]
    assert _exporter.request(task(pace="4f2a91"))["pace"] == f"/pace/{item['path']}"
    assert json.loads(told["data"][item["key"]]) == {
        "identity_units_per_minute": 1,
        "project_units_per_minute": 2,
        "writes_per_second": 3,
    }
    assert "pace" not in _exporter.request(task())


def test_a_pod_has_a_token_of_the_cluster_where_one_stands_for_a_key_and_only_there() -> None:
    """It is of an account without rights, for nobody but the pool, and where the exporter looks for it."""
    spec = _exporter.job(task(audience="https://iam.example/p"), "n", "tools:1", 60)["spec"]["template"]["spec"]
    (volume,) = (one for one in spec["volumes"] if one["name"] == "token")
    (source,) = volume["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "https://iam.example/p"
    (mount,) = (one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "token")
    assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == str(federation.TOKEN)
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (_exporter.ACCOUNT, False)
    without = _exporter.job(task(), "n", "tools:1", 60)["spec"]["template"]["spec"]
    assert "serviceAccountName" not in without
    assert "serviceAccountToken" not in json.dumps(without)


@pytest.mark.parametrize(
    ("command", "accounts", "mib"),
    [
        # Of one account, as in a shared drive, four files are on their way at a time; of many sixteen.
        ("export", 1, 2048),
        ("import", 2, 3072),
        ("export", 5, 4864),
        ("export", 100, 5120),
        ("verify", 100, 1024),
        ("check", 5, 1024),
    ],
)
def test_a_pod_has_room_for_its_bundles_and_no_more(command: str, accounts: int, mib: int) -> None:
    people = [_exporter.Person(_accounts.Account(f"s{n}", f"key-{n}", "", f"s{n}")) for n in range(accounts)]
    spec = _exporter.job(_exporter.Task("j", command, people), "n", "t", 60)["spec"]["template"]["spec"]
    resources = spec["containers"][0]["resources"]
    assert {resources[kind]["ephemeral-storage"] for kind in ("requests", "limits")} == {f"{mib}Mi"}
    scratch = next(one for one in spec["volumes"] if one["name"] == "scratch")
    assert scratch["emptyDir"] == {"sizeLimit": f"{mib}Mi"}


def test_the_room_is_by_the_exporters_own_limits() -> None:
    assert _exporter.BUNDLE_MIB << 20 == bundle.MOST_BYTES
    assert _exporter.SIDE_BY_SIDE == runs.SIDE_BY_SIDE
    assert _exporter.FILES_AT_A_TIME == runs.FILES_AT_A_TIME
    assert request.Asked.threads == _exporter.FILES_OF_ONE


def test_who_is_over_the_limit_of_disk_is_counted() -> None:
    """The kubelet gives such a pod no DisruptionTarget; nothing else may be left out of the count."""
    rules = _exporter.job(task(), "n", "t", 60)["spec"]["podFailurePolicy"]["rules"]
    assert [one for one in rules if one["action"] == "Ignore"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    ]
