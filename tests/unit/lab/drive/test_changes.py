"""The feed of changes tells everything that a copy of the tree needs to know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drive_emulator.errors import DriveError

from tests.unit.lab.drive.services import ADA, BEN, Drive

LISTED = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path)


def start(drive: Drive, user: str = ADA, **given: Any) -> str:
    token: str = drive.call("changes.getStartPageToken", user, **given)["startPageToken"]
    return token


def told(drive: Drive, token: str, user: str = ADA, **given: Any) -> tuple[list[tuple[Any, ...]], str]:
    page = drive.call("changes.list", user, pageToken=token, **given)
    rows = [(item["changeType"], item.get("file", {}).get("name"), item["removed"]) for item in page["changes"]]
    return rows, page.get("newStartPageToken", "")


def test_a_change_is_told_once_with_its_last_state(drive: Drive) -> None:
    token = start(drive)
    file_id = drive.file("a")
    drive.call("files.update", fileId=file_id, body={"name": "b"})
    other = drive.file("c")
    rows, following = told(drive, token)
    assert rows == [("file", "b", False), ("file", "c", False)]
    assert told(drive, following) == ([], following)
    drive.call("files.delete", fileId=other)
    drive.call("files.update", fileId=file_id, body={"trashed": True})
    page = drive.call("changes.list", pageToken=following, fields="changes(fileId,removed,file/trashed)")
    assert page["changes"] == [
        {"fileId": other, "removed": True},
        {"fileId": file_id, "removed": False, "file": {"trashed": True}},
    ]
    assert told(drive, following, includeRemoved=False)[0] == [("file", "b", False)]


def test_pages_go_on_where_they_end(drive: Drive) -> None:
    token: str | None = start(drive)
    for number in range(5):
        drive.file(str(number))
    seen = []
    while token is not None:
        page = drive.call("changes.list", pageToken=token, pageSize=2)
        seen += [item["file"]["name"] for item in page["changes"]]
        assert ("nextPageToken" in page) != ("newStartPageToken" in page)
        token = page.get("nextPageToken")
    assert seen == list("01234")


def test_a_shared_drive_has_a_feed_of_its_own(drive: Drive) -> None:
    shared = drive.shared_drive()
    token = start(drive, driveId=shared, supportsAllDrives=True)
    drive.file("mine")
    drive.file("shared", shared)
    assert told(drive, token, driveId=shared, **LISTED)[0] == [("file", "shared", False)]
    assert told(drive, token)[0] == [("file", "mine", False)]
    assert told(drive, token, **LISTED)[0] == [("file", "mine", False), ("file", "shared", False)]


def test_others_are_not_told(drive: Drive) -> None:
    token = start(drive, BEN)
    shared, hidden = drive.file("shared"), drive.file("hidden")
    body = {"type": "user", "role": "reader", "emailAddress": BEN}
    permission = drive.call("permissions.create", body=body, fileId=shared)["id"]
    assert told(drive, token, BEN)[0] == [("file", "shared", False)]
    drive.call("permissions.delete", fileId=shared, permissionId=permission)
    drive.call("files.delete", fileId=hidden)
    page = drive.call("changes.list", BEN, pageToken=token)
    assert [(item["fileId"], item["removed"]) for item in page["changes"]] == [(shared, True)]


def test_the_feed_is_as_late_as_lists_are(tmp_path: Path) -> None:
    drive = Drive(tmp_path, listing_delay_s=30)
    token = start(drive)
    drive.file("a")
    rows, following = told(drive, token)
    assert rows == []
    drive.service.clock.advance(31)
    assert told(drive, following)[0] == [("file", "a", False)]


@pytest.mark.parametrize("token", ["", "x", "-1", "0", "99999999"])
def test_other_tokens_are_refused(drive: Drive, token: str) -> None:
    with pytest.raises(DriveError) as caught:
        drive.call("changes.list", pageToken=token)
    assert (caught.value.status, caught.value.location) == (400, "pageToken")
