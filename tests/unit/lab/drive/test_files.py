"""Files are made, changed and removed as Drive does it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from drive_emulator.errors import DriveError

from tests.unit.lab.drive.services import ADA, BEN, FOLDER, ROBOT, Drive


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path)


def refused(drive: Drive, *arguments: Any, **given: Any) -> tuple[int, str]:
    with pytest.raises(DriveError) as caught:
        drive.call(*arguments, **given)
    return caught.value.status, caught.value.reason


def test_a_file_has_what_drive_says_of_one(drive: Drive) -> None:
    body = {"name": "a.tar.gz", "modifiedTime": "2020-01-02T03:04:05.678Z", "description": "d", "starred": True}
    made = drive.call("files.create", body=body, data=b"data", fields="*")
    expected = body | {
        "kind": "drive#file",
        "mimeType": "application/octet-stream",
        "size": "4",
        "quotaBytesUsed": "4",
        "md5Checksum": hashlib.md5(b"data").hexdigest(),
        "sha1Checksum": hashlib.sha1(b"data").hexdigest(),
        "sha256Checksum": hashlib.sha256(b"data").hexdigest(),
        "trashed": False,
        "explicitlyTrashed": False,
        "ownedByMe": True,
        "shared": False,
        "version": "1",
        "originalFilename": "a.tar.gz",
        "fileExtension": "gz",
        "spaces": ["drive"],
        "isAppAuthorized": True,
    }
    assert {name: made[name] for name in expected} == expected
    assert made["parents"] == [drive.call("files.get", fileId="root", fields="id")["id"]]
    assert made["owners"][0]["emailAddress"] == ADA
    assert "driveId" not in made


def test_without_fields_there_are_four(drive: Drive) -> None:
    assert set(drive.call("files.create", body={"name": "a"})) == {"kind", "id", "name", "mimeType"}


def test_a_folder_has_no_content_and_a_file_without_one_is_empty(drive: Drive) -> None:
    folder = drive.call("files.create", body={"mimeType": FOLDER}, fields="*")
    assert folder["name"] == "Untitled"
    assert {"size", "md5Checksum", "headRevisionId", "fileExtension"}.isdisjoint(folder)
    empty = drive.call("files.create", body={"name": "e"}, fields="size,md5Checksum")
    assert empty == {"size": "0", "md5Checksum": hashlib.md5(b"").hexdigest()}


def test_names_are_any_text_and_may_be_there_twice(drive: Drive) -> None:
    for name in ("a/b", ".", "..", " ", "\n", "'", "\\", "\u00e9", "e\u0301", "x" * 3000, "a/b"):
        file_id = drive.file(name)
        assert drive.call("files.get", fileId=file_id)["name"] == name
    assert len(drive.names(q="name = 'a/b'")) == 2


def test_an_update_changes_what_it_names_and_nothing_else(drive: Drive) -> None:
    file_id = drive.file(
        "a", appProperties={"k": "v", "l": "w"}, properties={"p": "q"}, modifiedTime="2020-01-01T00:00:00Z"
    )
    before = drive.call("files.get", fileId=file_id, fields="*")
    body = {"appProperties": {"k": None, "m": "x"}}
    after = drive.call("files.update", fileId=file_id, body=body, fields="*")
    assert after["appProperties"] == {"l": "w", "m": "x"}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"appProperties", "version"}
    new = drive.call("files.update", fileId=file_id, data=b"more", fields="*")
    assert new["md5Checksum"] == hashlib.md5(b"more").hexdigest()
    assert new["headRevisionId"] != before["headRevisionId"]
    assert new["modifiedTime"] > before["modifiedTime"]
    assert new["createdTime"] == before["createdTime"]


def test_app_properties_are_the_apps_own(drive: Drive) -> None:
    file_id = drive.file("a", appProperties={"k": "v"}, properties={"p": "q"})
    other = drive.call("files.get", app="other", fileId=file_id, fields="appProperties,properties,isAppAuthorized")
    assert other == {"properties": {"p": "q"}, "isAppAuthorized": False}
    query = "appProperties has { key='k' and value='v' }"
    assert drive.names(q=query) == ["a"]
    assert drive.names(q=query, app="other") == []


def test_properties_have_limits(drive: Drive) -> None:
    drive.file("a", appProperties={"k" * 62: "v" * 62})
    assert refused(drive, "files.create", body={"appProperties": {"k" * 62: "v" * 63}}) == (400, "invalid")
    assert refused(drive, "files.create", body={"appProperties": {"k": "é" * 62}}) == (400, "invalid")
    most = {str(number): "v" for number in range(30)}
    file_id = drive.file("b", appProperties=most, properties=most)
    assert refused(drive, "files.update", fileId=file_id, body={"appProperties": {"more": "v"}}) == (400, "invalid")
    drive.call("files.update", fileId=file_id, body={"appProperties": {"0": None, "more": "v"}})


def test_ids_come_from_drive(drive: Drive) -> None:
    ids = drive.call("files.generateIds", count=3)["ids"]
    assert len(set(ids)) == 3
    assert drive.file("a", id=ids[0]) == ids[0]
    assert refused(drive, "files.create", body={"id": ids[0]}) == (409, "fileIdInUse")
    assert refused(drive, "files.create", body={"id": "of-my-own"}) == (400, "invalid")
    document = {"id": ids[1], "mimeType": "application/vnd.google-apps.document"}
    assert refused(drive, "files.create", body=document) == (403, "insufficientFilePermissions")
    drive.call("files.delete", fileId=ids[0])
    assert refused(drive, "files.create", body={"id": ids[0]}) == (400, "invalid")


def test_moves_need_both_ends(drive: Drive) -> None:
    one, two = drive.folder("one"), drive.folder("two")
    file_id = drive.file("a", one)

    def move(**given: str) -> Any:
        return drive.call("files.update", fileId=file_id, fields="parents", **given)["parents"]

    assert move(addParents=two, removeParents=one) == [two]
    assert move(addParents=two, removeParents=two) == [two]
    root = drive.call("files.get", fileId="root")["id"]
    assert move(addParents="root", removeParents=two) == [root]
    for given, why in (
        ({"addParents": one}, (403, "cannotAddParent")),
        ({"addParents": root}, (400, "badRequest")),
        ({"removeParents": root}, (403, "cannotRemoveParent")),
        ({"removeParents": one}, (404, "notFound")),
        ({"addParents": "unknown", "removeParents": root}, (404, "notFound")),
        ({"addParents": file_id, "removeParents": root}, (403, "parentNotAFolder")),
    ):
        assert refused(drive, "files.update", fileId=file_id, **given) == why
    below = drive.folder("below", one)
    cycle = {"addParents": below, "removeParents": root}
    assert refused(drive, "files.update", fileId=one, **cycle) == (400, "badRequest")


@pytest.mark.parametrize("body", [{"parents": ["x"]}, {"id": "x"}, {"createdTime": "2020-01-01T00:00:00Z"}])
def test_some_fields_are_for_new_files_only(drive: Drive, body: dict[str, Any]) -> None:
    assert refused(drive, "files.update", fileId=drive.file("a"), body=body) == (403, "fieldNotWritable")


def test_a_file_has_one_parent(drive: Drive) -> None:
    body = {"parents": [drive.folder("one"), drive.folder("two")]}
    assert refused(drive, "files.create", body=body) == (403, "cannotAddParent")


def test_the_bin_holds_a_folder_with_all_that_is_in_it(drive: Drive) -> None:
    folder = drive.folder("folder")
    below = drive.file("below", drive.folder("inner", folder))
    drive.call("files.update", fileId=folder, body={"trashed": True})
    shown = drive.call("files.get", fileId=below, fields="trashed,explicitlyTrashed")
    assert shown == {"trashed": True, "explicitlyTrashed": False}
    assert drive.names(q="trashed = false") == []
    drive.call("files.update", fileId=folder, body={"trashed": False})
    assert drive.names(q="trashed = false and mimeType != 'application/vnd.google-apps.folder'") == ["below"]
    drive.call("files.update", fileId=folder, body={"trashed": True})
    drive.call("files.emptyTrash")
    assert refused(drive, "files.get", fileId=below) == (404, "notFound")
    assert drive.names() == []


def test_a_shared_drive_has_a_bin_of_its_own(drive: Drive) -> None:
    shared = drive.shared_drive(fileOrganizer=BEN)
    for file_id in (drive.file("shared", shared), drive.file("mine")):
        drive.call("files.update", fileId=file_id, body={"trashed": True}, supportsAllDrives=True)
    assert refused(drive, "files.emptyTrash", BEN, driveId=shared) == (403, "insufficientFilePermissions")
    drive.call("files.emptyTrash", driveId=shared)
    assert drive.names(corpora="drive", driveId=shared) == []
    assert drive.names() == ["mine"]


def test_a_deleted_folder_takes_all_with_it(drive: Drive, tmp_path: Path) -> None:
    folder = drive.folder("folder")
    below = drive.file("below", folder)
    assert len(list(tmp_path.iterdir())) == 1
    drive.call("files.delete", fileId=folder)
    assert refused(drive, "files.get", fileId=below) == (404, "notFound")
    assert list(tmp_path.iterdir()) == []


def test_a_copy_lives_on_its_own(drive: Drive, tmp_path: Path) -> None:
    folder = drive.folder("folder")
    source = drive.file("a", folder, appProperties={"k": "v"})
    copy = drive.call("files.copy", fileId=source, body={"name": "b", "appProperties": {"l": "w"}}, fields="*")
    assert (copy["name"], copy["parents"], copy["appProperties"]) == ("b", [folder], {"k": "v", "l": "w"})
    drive.call("files.delete", fileId=source)
    assert len(list(tmp_path.iterdir())) == 1
    drive.call("files.delete", fileId=copy["id"])
    assert list(tmp_path.iterdir()) == []
    assert refused(drive, "files.copy", fileId=folder) == (403, "cannotCopyFile")


def test_storage_is_counted(drive: Drive) -> None:
    drive.service.accounts.users[ADA] = 10
    first = drive.file("a", data=b"12345678")
    assert refused(drive, "files.create", body={"name": "b"}, data=b"123") == (403, "storageQuotaExceeded")
    assert refused(drive, "files.update", fileId=first, data=b"12345678901") == (403, "storageQuotaExceeded")
    assert refused(drive, "files.copy", fileId=first) == (403, "storageQuotaExceeded")
    drive.call("files.update", fileId=first, body={"trashed": True})
    quota = drive.call("about.get", fields="storageQuota")["storageQuota"]
    assert quota == {"limit": "10", "usage": "8", "usageInDrive": "8", "usageInDriveTrash": "8"}
    drive.call("files.emptyTrash")
    drive.file("b", data=b"1234567890")


def test_a_service_account_has_no_storage_of_its_own(drive: Drive) -> None:
    drive.service.accounts.service_accounts[ROBOT] = None  # type: ignore[assignment]
    assert refused(drive, "files.create", ROBOT, {"name": "a"}) == (403, "storageQuotaExceeded")
    shared = drive.shared_drive(fileOrganizer=ROBOT)
    assert drive.file("a", shared, ROBOT)


def test_shared_drives_have_limits(tmp_path: Path) -> None:
    drive = Drive(tmp_path, drive_items=4, depth=2, folder_children=1)
    shared = drive.shared_drive()
    one = drive.folder("one", shared)
    two = drive.folder("two", one)
    assert refused(drive, "files.create", body={"parents": [two]}, supportsAllDrives=True) == (
        403,
        "teamDriveHierarchyTooDeep",
    )
    more = {"body": {"parents": [one]}, "supportsAllDrives": True}
    assert refused(drive, "files.create", **more) == (403, "numChildrenInNonRootLimitExceeded")
    drive.file("a", shared)
    last = drive.file("b", shared)
    full = {"body": {"parents": [shared]}, "supportsAllDrives": True}
    assert refused(drive, "files.create", **full) == (403, "teamDriveFileLimitExceeded")
    drive.call("files.update", fileId=last, body={"trashed": True}, supportsAllDrives=True)
    assert refused(drive, "files.create", **full) == (403, "teamDriveFileLimitExceeded")
    drive.call("files.delete", fileId=last, supportsAllDrives=True)
    drive.file("c", shared)


def test_a_folder_is_not_moved_deeper_than_may_be(tmp_path: Path) -> None:
    drive = Drive(tmp_path, depth=3)
    tall = drive.folder("tall")
    drive.folder("inner", tall)
    low, high = drive.folder("low"), drive.folder("x", drive.folder("y"))
    root = drive.call("files.get", fileId="root")["id"]
    why = refused(drive, "files.update", fileId=tall, addParents=high, removeParents=root)
    assert why == (403, "myDriveHierarchyDepthLimitExceeded")
    drive.call("files.update", fileId=tall, addParents=low, removeParents=root)


def test_a_day_has_room_for_so_many_bytes(tmp_path: Path) -> None:
    drive = Drive(tmp_path, day_upload_bytes=10)
    drive.file("a", data=b"12345678")
    assert refused(drive, "files.create", body={"name": "b"}, data=b"123") == (403, "userRateLimitExceeded")
    drive.file("b", user=BEN, data=b"123")
    drive.service.clock.advance(24 * 3600)
    drive.file("b", data=b"123")
