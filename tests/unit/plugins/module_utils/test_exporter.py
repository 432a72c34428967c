"""The exporter's Jobs."""

from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _accounts, _exporter
from coursehub_tools.drive import bundle, request, runs

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
