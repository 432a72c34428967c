"""What a list has, in which order, in which pages, and how late."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from drive_emulator.errors import DriveError
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lab.drive.services import ADA, BEN, FOLDER, Drive

LISTED = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path)


def refused(drive: Drive, **given: Any) -> tuple[int, str, str | None]:
    with pytest.raises(DriveError) as caught:
        drive.call("files.list", **given)
    return caught.value.status, caught.value.reason, caught.value.location


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name = 'HELLOWORLD'", ["HelloWorld"]),
        ("name != 'helloworld'", ["a-b report", "folder", "image"]),
        ("name contains 'Hello'", ["HelloWorld"]),
        ("name contains 'World'", []),
        ("name contains 'rep b'", ["a-b report"]),
        ("name contains 'ep'", []),
        (f"mimeType = '{FOLDER}'", ["folder"]),
        ("mimeType contains 'image/'", ["image"]),
        ("modifiedTime > '2020-01-02T00:00:00'", ["folder", "image"]),
        ("modifiedTime = '2020-01-01T00:00:00.5Z'", ["HelloWorld"]),
        ("trashed = true", ["image"]),
        ("not trashed = true", ["HelloWorld", "a-b report", "folder"]),
        ("starred = true", ["a-b report"]),
        ("'me' in owners and 'ada@example.org' in readers", ["HelloWorld", "a-b report", "folder", "image"]),
        ("'ben@example.org' in writers", []),
        ("properties has { key='p' and value='q' }", ["HelloWorld"]),
        ("appProperties has { key='k' }", ["image"]),
        ("appProperties has { key='k' and value='w' }", []),
        ("'root' in parents and name = 'folder' or name = 'image'", ["folder", "image"]),
    ],
)
def test_queries(drive: Drive, query: str, found: list[str]) -> None:
    folder = drive.folder("folder")
    drive.file("HelloWorld", modifiedTime="2020-01-01T00:00:00.5Z", properties={"p": "q"})
    drive.file("a-b report", modifiedTime="2020-01-02T00:00:00Z", starred=True)
    body = {"name": "image", "mimeType": "image/png", "parents": [folder], "appProperties": {"k": "v"}}
    image = drive.call("files.create", body=body, data=b"")["id"]
    drive.call("files.update", fileId=image, body={"trashed": True})
    assert sorted(drive.names(q=query)) == found


def test_folders_can_be_asked_for_together(drive: Drive) -> None:
    one, two, three = (drive.folder(name) for name in ("one", "two", "three"))
    for parent in (one, two, three):
        drive.file(f"in {parent}", parent)
    query = f"trashed = false and ('{one}' in parents or '{two}' in parents)"
    assert sorted(drive.names(q=query)) == sorted([f"in {one}", f"in {two}"])
    assert drive.names(q=f"'{one}' in parents and '{two}' in parents") == []


def test_an_unknown_folder_is_an_error(drive: Drive) -> None:
    assert refused(drive, q="'root' in parents or 'unknown' in parents") == (404, "notFound", "fileId")
    assert refused(drive, q="'unknown' in parents") == (404, "notFound", "fileId")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("name", ["a1", "a12", "a2", "b"]),
        ("name desc", ["b", "a2", "a12", "a1"]),
        ("name_natural", ["a1", "a2", "a12", "b"]),
        ("folder,name", ["b", "a1", "a12", "a2"]),
        ("quotaBytesUsed desc, name", ["a1", "a12", "a2", "b"]),
        ("modifiedTime", ["a12", "a2", "a1", "b"]),
        (None, ["b", "a1", "a2", "a12"]),
    ],
)
def test_orders(drive: Drive, order: str | None, names: list[str]) -> None:
    drive.file("a2", data=b"1", modifiedTime="2021-01-01T00:00:00Z")
    drive.file("a12", data=b"12", modifiedTime="2020-01-01T00:00:00Z")
    drive.file("a1", data=b"123", modifiedTime="2022-01-01T00:00:00Z")
    drive.folder("b")
    assert drive.names(**({"orderBy": order} if order else {})) == names


def test_a_wrong_order_is_refused(drive: Drive) -> None:
    assert refused(drive, orderBy="size") == (400, "invalid", "orderBy")
    assert refused(drive, orderBy="name down") == (400, "invalid", "orderBy")


def test_pages_have_every_file_once(drive: Drive) -> None:
    expected = [drive.file(f"file {number}") for number in range(7)]
    seen, token = [], {}
    for count in (3, 3, 1):
        page = drive.call("files.list", pageSize=3, orderBy="name", fields="*", **token)
        assert len(page["files"]) == count
        seen += [file["id"] for file in page["files"]]
        token = {"pageToken": page.get("nextPageToken")}
        # A file that comes meanwhile moves nothing.
        drive.file("another")
    assert seen == expected
    assert token["pageToken"] is None


def test_a_page_token_is_for_its_list(drive: Drive) -> None:
    drive.file("a")
    drive.file("b")
    token = drive.call("files.list", pageSize=1)["nextPageToken"]
    assert refused(drive, pageSize=1, pageToken=token, q="trashed = false")[2] == "pageToken"
    assert refused(drive, pageToken="unknown")[2] == "pageToken"
    assert drive.call("files.list", pageToken=token) == drive.call("files.list", pageToken=token)


def test_corpora(drive: Drive) -> None:
    shared = drive.shared_drive(writer=BEN)
    other = drive.shared_drive()
    drive.file("of ada", shared)
    drive.file("of ben", shared, BEN)
    drive.file("elsewhere", other)
    drive.file("mine", user=BEN)
    assert drive.names(BEN) == ["mine"]
    assert set(drive.names(BEN, all=True)) == {"mine", "of ben"}
    assert set(drive.names(BEN, corpora="drive", driveId=shared)) == {"of ada", "of ben"}
    assert set(drive.names(BEN, corpora="allDrives")) == {"mine", "of ada", "of ben"}
    # A folder that is named is listed whatever the corpora.
    assert set(drive.names(BEN, all=True, q=f"'{shared}' in parents")) == {"of ada", "of ben"}
    assert drive.names(ADA, corpora="drive", driveId=shared, q=f"'{other}' in parents") == []
    assert refused(drive, user=BEN, corpora="drive", driveId=other, **LISTED)[:2] == (404, "notFound")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"corpora": "drive", **LISTED}, (400, "invalid", "driveId")),
        ({"corpora": "allDrives", "driveId": "x", **LISTED}, (400, "invalid", "driveId")),
        ({"driveId": "x", **LISTED}, (400, "invalid", "driveId")),
        (
            {"corpora": "allDrives", "supportsAllDrives": True},
            (403, "teamDriveIncludeItemsRequired", "includeItemsFromAllDrives"),
        ),
        ({"includeItemsFromAllDrives": True}, (403, "teamDrivesNotSupported", "supportsAllDrives")),
        ({"corpora": "mine"}, (400, "invalid", "corpora")),
        ({"corpora": "domain"}, (501, "notImplemented", None)),
        ({"spaces": "appDataFolder"}, (501, "notImplemented", None)),
    ],
)
def test_parameters_for_shared_drives_fit_together(drive: Drive, given: dict[str, Any], why: tuple[Any, ...]) -> None:
    assert refused(drive, **given) == why


def test_a_list_is_late_and_a_get_is_not(tmp_path: Path) -> None:
    drive = Drive(tmp_path, listing_delay_s=30)
    file_id = drive.file("a")
    assert drive.call("files.get", fileId=file_id)["name"] == "a"
    assert drive.names() == []
    drive.service.clock.advance(31)
    assert drive.names() == ["a"]
    drive.call("files.update", fileId=file_id, body={"name": "b"})
    assert drive.names(q="name = 'a'") == ["a"]
    drive.service.clock.advance(31)
    assert drive.names(q="name = 'a'") == []
    drive.call("files.delete", fileId=file_id)
    assert drive.names() == ["b"]
    drive.service.clock.advance(31)
    assert drive.names() == []


steps = st.lists(
    st.tuples(
        st.sampled_from(["file", "folder", "move", "trash", "untrash", "delete"]), st.integers(0, 9), st.integers(0, 9)
    ),
    max_size=25,
)


@given(steps)
def test_lists_agree_with_gets_whatever_has_happened(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        drive = Drive(Path(folder))
        root = drive.call("files.get", fileId="root")["id"]
        for number, (action, one, other) in enumerate(steps):
            state = drive.service.state.now.files
            ids = sorted(state, key=lambda file_id: (state[file_id].created, state[file_id].name))
            item = state[ids[one % len(ids)]]
            target = state[ids[other % len(ids)]]
            parent = target.id if target.folder else root
            try:
                if action in ("file", "folder"):
                    getattr(drive, action)(f"{number:02}", parent)
                elif action == "move":
                    given = {"addParents": parent, "removeParents": item.parent or root}
                    drive.call("files.update", fileId=item.id, **given)
                elif action == "delete":
                    drive.call("files.delete", fileId=item.id)
                else:
                    drive.call("files.update", fileId=item.id, body={"trashed": action == "trash"})
            except DriveError:
                # The top can't be moved, and a folder not into itself.
                continue
        everything = drive.call("files.list", pageSize=1000, fields="files")["files"]
        assert {file["id"] for file in everything} == set(drive.service.state.now.files) - {root}
        for file in everything:
            assert drive.call("files.get", fileId=file["id"], fields="*") == file
            siblings = drive.call("files.list", q=f"'{file['parents'][0]}' in parents")["files"]
            assert file["id"] in {item["id"] for item in siblings}
        shown = {file["id"] for file in drive.call("files.list", q="trashed = true")["files"]}
        assert shown == {file["id"] for file in everything if file["trashed"]}
        assert len(list(Path(folder).iterdir())) == sum("md5Checksum" in file for file in everything)
        used = drive.call("about.get", fields="storageQuota/usage")["storageQuota"]["usage"]
        assert int(used) == sum(int(file.get("size", 0)) for file in everything)
