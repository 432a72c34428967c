"""Who sees what, and who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drive_emulator.errors import DriveError

from tests.unit.lab.drive.services import ADA, BEN, Drive

ALL = {"supportsAllDrives": True}


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path)


def refused(drive: Drive, *arguments: Any, **given: Any) -> tuple[int, str]:
    with pytest.raises(DriveError) as caught:
        drive.call(*arguments, **given)
    return caught.value.status, caught.value.reason


def share(drive: Drive, file_id: str, role: str, user: str = BEN) -> str:
    body = {"type": "user", "role": role, "emailAddress": user}
    permission_id: str = drive.call("permissions.create", body=body, fileId=file_id, **ALL)["id"]
    return permission_id


def test_what_is_not_shared_is_not_there(drive: Drive) -> None:
    file_id = drive.file("a")
    assert refused(drive, "files.get", BEN, fileId=file_id) == (404, "notFound")
    assert drive.names(BEN) == []
    assert refused(drive, "files.list", BEN, q=f"'{file_id}' in parents") == (404, "notFound")


def test_sharing_a_folder_shares_what_is_in_it(drive: Drive) -> None:
    folder = drive.folder("folder")
    file_id = drive.file("a", folder)
    permission = share(drive, folder, "reader")
    assert drive.call("files.get", BEN, fileId=file_id)["name"] == "a"
    assert set(drive.names(BEN)) == {"folder", "a"}
    assert drive.names(BEN, q="sharedWithMe = true") == ["folder"]
    assert refused(drive, "files.update", BEN, {"name": "b"}, fileId=file_id) == (403, "insufficientFilePermissions")
    assert refused(drive, "files.create", BEN, {"parents": [folder]}) == (403, "insufficientParentPermissions")
    share(drive, folder, "writer")
    drive.call("files.update", BEN, {"name": "b"}, fileId=file_id)
    assert refused(drive, "files.delete", BEN, fileId=file_id) == (403, "insufficientFilePermissions")
    trash = refused(drive, "files.update", BEN, {"trashed": True}, fileId=file_id)
    assert trash == (403, "insufficientFilePermissions")
    drive.call("permissions.delete", fileId=folder, permissionId=permission)
    assert refused(drive, "files.get", BEN, fileId=file_id) == (404, "notFound")


def test_a_folders_owner_does_not_own_what_others_put_there(drive: Drive) -> None:
    folder = drive.folder("folder")
    share(drive, folder, "writer")
    file_id = drive.file("a", folder, BEN)
    assert drive.call("files.get", fileId=file_id, fields="ownedByMe") == {"ownedByMe": False}
    drive.call("files.update", body={"name": "b"}, fileId=file_id)
    assert refused(drive, "files.update", body={"trashed": True}, fileId=file_id) == (
        403,
        "insufficientFilePermissions",
    )
    assert drive.service.state.used(BEN) == 4


def test_a_folder_that_is_not_shared_is_not_told(drive: Drive) -> None:
    file_id = drive.file("a", drive.folder("folder"))
    share(drive, file_id, "reader")
    assert drive.call("files.get", BEN, fileId=file_id, fields="parents,name") == {"name": "a"}


def test_an_app_with_drive_file_sees_what_it_made(drive: Drive) -> None:
    other = drive.file("other")
    mine = drive.call("files.create", body={"name": "mine"}, scope="drive.file", app="export")["id"]
    narrow: dict[str, Any] = {"scope": "drive.file", "app": "export"}
    assert drive.names(**narrow) == ["mine"]
    assert drive.call("files.get", fileId=mine, **narrow)["name"] == "mine"
    assert refused(drive, "files.get", fileId=other, **narrow) == (404, "notFound")
    assert refused(drive, "files.update", fileId=other, body={"name": "b"}, **narrow) == (403, "appNotAuthorizedToFile")
    folder = drive.folder("folder")
    assert refused(drive, "files.create", body={"parents": [folder]}, **narrow)[1] == "appNotAuthorizedToFile"


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("reader", set()),
        ("commenter", set()),
        ("writer", {"create", "rename"}),
        ("fileOrganizer", {"create", "rename", "trash", "move"}),
        ("organizer", {"create", "rename", "trash", "move", "delete", "share"}),
    ],
)
def test_roles_in_a_shared_drive(drive: Drive, role: str, may: set[str]) -> None:
    shared = drive.shared_drive(**{role: BEN})
    folder, file_id = drive.folder("folder", shared), drive.file("a", shared)
    member = {"type": "user", "role": "reader", "emailAddress": ADA}
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "create": ("files.create", {"body": {"parents": [shared]}}),
        "rename": ("files.update", {"fileId": file_id, "body": {"name": "b"}}),
        "trash": ("files.update", {"fileId": file_id, "body": {"trashed": True}}),
        "move": ("files.update", {"fileId": file_id, "addParents": folder, "removeParents": shared}),
        "share": ("permissions.create", {"fileId": folder, "body": member}),
        "delete": ("files.delete", {"fileId": file_id}),
    }
    assert drive.call("files.get", BEN, fileId=file_id, **ALL)["name"] == "a"
    for name, (method, given) in calls.items():
        if name in may:
            drive.call(method, BEN, **given, **ALL)
        else:
            assert refused(drive, method, BEN, **given, **ALL)[0] == 403


def test_without_support_there_are_no_shared_drives(drive: Drive) -> None:
    shared = drive.shared_drive()
    file_id = drive.file("a", shared)
    assert refused(drive, "files.get", fileId=file_id) == (404, "notFound")
    assert refused(drive, "files.create", body={"parents": [shared]}) == (404, "notFound")
    assert refused(drive, "files.list", q=f"'{shared}' in parents") == (404, "notFound")
    assert drive.names() == []


def test_files_in_shared_drives_have_no_owner(drive: Drive) -> None:
    file_id = drive.file("a", shared := drive.shared_drive())
    shown = drive.call("files.get", fileId=file_id, fields="*", **ALL)
    assert shown["driveId"] == shared
    assert {"owners", "ownedByMe", "shared", "permissions"}.isdisjoint(shown)
    assert drive.service.state.used(ADA) == 0


def test_members_of_a_shared_drive(drive: Drive) -> None:
    shared = drive.shared_drive(writer=BEN)
    listed = drive.call("permissions.list", BEN, fileId=shared, fields="permissions(emailAddress,role)", **ALL)
    assert listed["permissions"] == [
        {"emailAddress": ADA, "role": "organizer"},
        {"emailAddress": BEN, "role": "writer"},
    ]
    assert [item["name"] for item in drive.call("drives.list", BEN)["drives"]] == ["Course"]
    last = listed = drive.call("permissions.list", fileId=shared, **ALL)["permissions"][0]["id"]
    assert refused(drive, "permissions.delete", fileId=shared, permissionId=last, **ALL)[0] == 403
    file_id = drive.file("a", shared)
    ben = drive.call("permissions.list", fileId=shared, **ALL)["permissions"][1]["id"]
    inherited = refused(drive, "permissions.delete", fileId=file_id, permissionId=ben, **ALL)
    assert inherited == (403, "cannotModifyInheritedPermission")
    drive.call("permissions.delete", BEN, fileId=shared, permissionId=ben, **ALL)
    assert refused(drive, "drives.get", BEN, driveId=shared) == (404, "notFound")
    assert drive.call("drives.list", BEN)["drives"] == []


def test_sharing_is_checked(drive: Drive) -> None:
    file_id = drive.file("a")
    for body, why in (
        ({"role": "reader", "emailAddress": BEN}, "required"),
        ({"type": "user", "emailAddress": BEN}, "required"),
        ({"type": "user", "role": "reader"}, "required"),
        ({"type": "robot", "role": "reader"}, "invalid"),
        ({"type": "user", "role": "king", "emailAddress": BEN}, "invalid"),
        ({"type": "user", "role": "organizer", "emailAddress": BEN}, "invalidSharingRequest"),
        ({"type": "user", "role": "reader", "emailAddress": "nobody@example.org"}, "invalidSharingRequest"),
    ):
        assert refused(drive, "permissions.create", body=body, fileId=file_id)[1] == why
    drive.call("permissions.create", body={"type": "domain", "role": "reader", "domain": "example.org"}, fileId=file_id)
    assert drive.call("files.get", BEN, fileId=file_id)["name"] == "a"


def test_a_shared_drive_is_made_once_and_deleted_empty(drive: Drive) -> None:
    made = drive.call("drives.create", body={"name": "Course"}, requestId="r")
    assert refused(drive, "drives.create", body={"name": "Course"}, requestId="r") == (409, "duplicate")
    file_id = drive.file("a", made["id"])
    assert refused(drive, "drives.delete", driveId=made["id"])[0] == 403
    drive.call("files.delete", fileId=file_id, **ALL)
    drive.call("drives.delete", driveId=made["id"])
    assert refused(drive, "files.get", fileId=made["id"], **ALL) == (404, "notFound")
