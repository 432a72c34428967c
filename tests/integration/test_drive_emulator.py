"""The Drive emulator under Google's own client library."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httplib2
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.credentials import Credentials
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaFileUpload, MediaIoBaseDownload, MediaIoBaseUpload

from tests.integration.drive import ALL, LISTED, ROOT, Emulator, emulator, raw, reason

FOLDER = "application/vnd.google-apps.folder"
BLOCK = 256 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("drive")) as process:
        yield process


@pytest.fixture
def drive(running: Emulator, request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """The emulator, with no faults and with its usual limits after each test."""
    limits = running.admin("GET", "/limits")
    yield running
    running.admin("DELETE", "/faults")
    running.admin("PATCH", "/limits", **limits)


@pytest.fixture
def ada(drive: Emulator, request: pytest.FixtureRequest) -> Any:
    """A user of this test's own."""
    return drive.user(f"{request.node.name.replace('[', '-').replace(']', '')}@example.org")


def media(data: bytes, *, resumable: bool = False, chunk: int = BLOCK) -> MediaIoBaseUpload:
    return MediaIoBaseUpload(io.BytesIO(data), "text/plain", chunksize=chunk, resumable=resumable)


def read(client: Any, file_id: str, chunk: int = BLOCK) -> bytes:
    target = io.BytesIO()
    download = MediaIoBaseDownload(target, client.files().get_media(fileId=file_id, **ALL), chunksize=chunk)
    done = False
    while not done:
        _status, done = download.next_chunk()
    return target.getvalue()


def folder(client: Any, name: str, parent: str = "root") -> str:
    made = client.files().create(body={"name": name, "mimeType": FOLDER, "parents": [parent]}, **ALL).execute()
    file_id: str = made["id"]
    return file_id


def eventually(holds: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds; AssertionError where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def refused(call: Any) -> tuple[int, str]:
    with pytest.raises(HttpError) as caught:
        call.execute()
    return reason(caught.value)


def test_a_file_comes_back_as_it_was_sent(ada: Any) -> None:
    data = b"data" * 1000
    body = {"name": "it's a \\ name\n", "modifiedTime": "2020-01-02T03:04:05.678Z", "appProperties": {"a": "b"}}
    made = ada.files().create(body=body, media_body=media(data), fields="*").execute()
    assert made["md5Checksum"] == hashlib.md5(data).hexdigest()
    assert made["sha256Checksum"] == hashlib.sha256(data).hexdigest()
    assert (made["size"], made["modifiedTime"]) == ("4000", "2020-01-02T03:04:05.678Z")
    assert made["name"] == body["name"]
    assert read(ada, made["id"]) == data
    assert ada.files().get(fileId=made["id"], fields="*").execute() == made


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 17])
def test_a_resumable_upload_has_all_its_bytes(ada: Any, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    made = ada.files().create(body={"name": "big"}, media_body=media(data, resumable=True), fields="id,size").execute()
    assert made["size"] == str(size)
    assert read(ada, made["id"]) == data


def test_an_update_replaces_the_content(ada: Any, tmp_path: Path) -> None:
    made = ada.files().create(body={"name": "a"}, media_body=media(b"old")).execute()
    (tmp_path / "new").write_bytes(b"new" * BLOCK)
    upload = MediaFileUpload(str(tmp_path / "new"), "text/plain", chunksize=BLOCK, resumable=True)
    ada.files().update(fileId=made["id"], body={"name": "b"}, media_body=upload).execute()
    assert read(ada, made["id"]) == b"new" * BLOCK
    assert ada.files().get(fileId=made["id"]).execute()["name"] == "b"


def test_the_clients_own_pages_have_every_file(ada: Any) -> None:
    names = {ada.files().create(body={"name": f"file {number}"}).execute()["name"] for number in range(7)}
    seen: list[str] = []
    request = ada.files().list(q="name contains 'file' and trashed = false", pageSize=3)
    while request is not None:
        answer = request.execute()
        seen += [file["name"] for file in answer["files"]]
        request = ada.files().list_next(request, answer)
    assert sorted(seen) == sorted(names)


def test_a_course_exports_into_a_shared_drive(drive: Emulator, ada: Any) -> None:
    info = drive.service_account("export@project.iam.gserviceaccount.com", app="project")
    robot = drive.as_service_account(info)
    assert refused(robot.files().create(body={"name": "a"}, media_body=media(b"a"))) == (403, "storageQuotaExceeded")
    shared = ada.drives().create(requestId="course", body={"name": "Course"}).execute()["id"]
    assert refused(robot.drives().get(driveId=shared)) == (404, "notFound")
    member = {"type": "user", "role": "fileOrganizer", "emailAddress": info["client_email"]}
    ada.permissions().create(fileId=shared, body=member, sendNotificationEmail=False, **ALL).execute()
    top = folder(robot, "students", shared)
    wanted = robot.files().generateIds(count=1).execute()["ids"][0]
    body = {"id": wanted, "name": "a", "parents": [top], "appProperties": {"student": "ada"}}
    made = robot.files().create(body=body, media_body=media(b"a" * BLOCK, resumable=True), fields="id,driveId", **ALL)
    assert made.execute() == {"id": wanted, "driveId": shared}
    again = robot.files().create(body=body, media_body=media(b"a" * BLOCK, resumable=True), **ALL)
    assert refused(again) == (409, "fileIdInUse")
    query = "appProperties has { key='student' and value='ada' } and trashed = false"
    found = robot.files().list(q=query, corpora="drive", driveId=shared, **LISTED).execute()["files"]
    assert [file["id"] for file in found] == [wanted]


def test_delegation_exports_into_a_students_own_drive(drive: Emulator, ada: Any) -> None:
    student = "delegating@example.org"
    drive.admin("POST", "/users", email=student)
    info = drive.service_account("delegate@project.iam.gserviceaccount.com", delegated=["drive"])
    client = drive.as_service_account(info, subject=student)
    client.files().create(body={"name": "mine"}, media_body=media(b"a")).execute()
    about = client.about().get(fields="user/emailAddress,storageQuota/usage").execute()
    assert about == {"user": {"emailAddress": student}, "storageQuota": {"usage": "1"}}
    drive.service_account("delegate@project.iam.gserviceaccount.com")
    with pytest.raises(RefreshError, match="invalid_grant"):
        drive.as_service_account(info, subject=student).about().get(fields="user").execute()
    info = drive.service_account("delegate@project.iam.gserviceaccount.com")
    with pytest.raises(RefreshError, match="unauthorized_client"):
        drive.as_service_account(info, subject=student).about().get(fields="user").execute()


def test_consent_exports_until_it_is_revoked(drive: Emulator) -> None:
    student = "consenting@example.org"
    other = drive.user(student).files().create(body={"name": "private"}).execute()["id"]
    drive.admin("POST", "/clients", id="client", secret="secret", app="export")
    grant = drive.admin("POST", "/grants", client_id="client", user=student, scopes=["drive.file"])["refresh_token"]
    credentials = Credentials(
        None, refresh_token=grant, token_uri=f"{drive.url}/token", client_id="client", client_secret="secret"
    )
    client = drive.client(credentials)
    client.files().create(body={"name": "exported"}).execute()
    assert [file["name"] for file in client.files().list().execute()["files"]] == ["exported"]
    assert refused(client.files().get(fileId=other)) == (404, "notFound")
    assert refused(client.files().update(fileId=other, body={"name": "a"})) == (403, "appNotAuthorizedToFile")
    drive.admin("POST", "/revoke", user=student)
    with pytest.raises(RefreshError, match="invalid_grant"):
        client.files().list().execute()


def test_tokens_can_be_revoked_and_their_endpoint_can_fail(drive: Emulator) -> None:
    drive.admin("POST", "/users", email="ada@example.org")
    token = drive.token("ada@example.org")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    first, second = (raw(drive, "POST", "/revoke", f"token={token}".encode(), form) for _turn in range(2))
    assert (first.code, first.body) == (200, b"{}")
    assert (second.code, json.loads(second.body)["error"]) == (400, "invalid_token")
    assert raw(drive, "GET", "/drive/v3/files", headers={"Authorization": f"Bearer {token}"}).code == 401
    drive.admin("POST", "/faults", method="oauth.token", error={"status": 503, "reason": "temporarily_unavailable"})
    codes = [raw(drive, "POST", "/token", b"grant_type=password", form).code for _turn in range(2)]
    assert codes == [503, 400]


def test_a_scope_that_is_too_small_is_refused(drive: Emulator, ada: Any) -> None:
    reader = drive.user("reader@example.org", "https://www.googleapis.com/auth/drive.readonly")
    assert reader.files().list().execute()["files"] == []
    assert refused(reader.files().create(body={"name": "a"})) == (403, "insufficientPermissions")


def test_a_cut_chunk_goes_on_where_whole_blocks_end(drive: Emulator, ada: Any) -> None:
    data = bytes(range(256)) * (4 * BLOCK // 256)
    drive.admin("POST", "/faults", method="media.chunk", nth=2, cut_after_bytes=BLOCK + 1000)
    request = ada.files().create(body={"name": "a"}, media_body=media(data, resumable=True, chunk=2 * BLOCK))
    status, made = request.next_chunk()
    assert status.resumable_progress == 2 * BLOCK
    # When a connection is cut, httplib2 sends what is left of the chunk again, by a new one, and waits in vain.
    connections = ada._http.http.connections
    for one in connections.values():
        one.timeout = 5
    # What it raises for a connection that ends depends on where it was; the library hands it on.
    with pytest.raises((ConnectionError, httplib2.error.HttpLib2Error, http.client.HTTPException, OSError)):
        request.next_chunk()
    connections.clear()
    drive.admin("DELETE", "/counters")
    while made is None:
        _status, made = request.next_chunk()
    assert drive.uploaded() == BLOCK
    assert read(ada, made["id"]) == data


def test_an_upload_survives_the_process_that_began_it(drive: Emulator, ada: Any) -> None:
    data = b"x" * (3 * BLOCK + 1)
    first = ada.files().create(body={"name": "a"}, media_body=media(data, resumable=True))
    first.next_chunk()
    address = first.resumable_uri
    status = raw(drive, "PUT", address, headers={"Content-Range": f"bytes */{len(data)}"})
    assert (status.code, status.headers["Range"]) == (308, f"bytes=0-{BLOCK - 1}")
    headers = {"Content-Range": f"bytes {BLOCK}-{len(data) - 1}/{len(data)}"}
    done = raw(drive, "PUT", address, data[BLOCK:], headers)
    assert done.code == 200
    # Asked again, it tells what it has made.
    again = raw(drive, "PUT", address, headers={"Content-Range": f"bytes */{len(data)}"})
    assert (again.code, json.loads(again.body)) == (200, json.loads(done.body))
    assert read(ada, json.loads(done.body)["id"]) == data


def test_a_connection_that_hangs_does_not_hold_an_upload(drive: Emulator, ada: Any) -> None:
    data = bytes(range(256)) * (4 * BLOCK // 256)
    request = ada.files().create(body={"name": "a"}, media_body=media(data, resumable=True))
    request.next_chunk()
    with socket.create_connection(("127.0.0.1", int(drive.ports["port"]))) as hanging:
        head = f"PUT {request.resumable_uri.removeprefix(drive.url)} HTTP/1.1\r\nHost: a\r\n"
        head += f"Content-Range: bytes {BLOCK}-{4 * BLOCK - 1}/{len(data)}\r\nContent-Length: {3 * BLOCK}\r\n\r\n"
        hanging.sendall(head.encode() + data[BLOCK : 2 * BLOCK + 10])
        asks, kept = {"Content-Range": f"bytes */{len(data)}"}, f"bytes=0-{2 * BLOCK - 1}"
        eventually(lambda: raw(drive, "PUT", request.resumable_uri, headers=asks).headers["Range"] == kept)
        headers = {"Content-Range": f"bytes {2 * BLOCK}-{3 * BLOCK - 1}/{len(data)}"}
        assert raw(drive, "PUT", request.resumable_uri, data[2 * BLOCK : 3 * BLOCK], headers).code == 308
        # What the first connection still sends has come too late.
        hanging.sendall(b"x" * (2 * BLOCK - 10))
        assert b" 503 " in hanging.recv(100)
    headers = {"Content-Range": f"bytes {3 * BLOCK}-{len(data) - 1}/{len(data)}"}
    done = raw(drive, "PUT", request.resumable_uri, data[3 * BLOCK :], headers)
    assert read(ada, json.loads(done.body)["id"]) == data


def test_bytes_that_are_there_may_come_again(drive: Emulator, ada: Any) -> None:
    data = bytes(range(256)) * (3 * BLOCK // 256) + b"end"
    request = ada.files().create(body={"name": "a"}, media_body=media(data, resumable=True))
    request.next_chunk()
    headers = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
    done = raw(drive, "PUT", request.resumable_uri, data, headers)
    assert read(ada, json.loads(done.body)["id"]) == data


def test_chunks_are_multiples_of_256_kib(drive: Emulator, ada: Any) -> None:
    request = ada.files().create(body={"name": "a"}, media_body=media(b"x" * (3 * BLOCK), resumable=True))
    request.next_chunk()
    headers = {"Content-Range": f"bytes {BLOCK}-{BLOCK + 999}/{3 * BLOCK}"}
    refusal = raw(drive, "PUT", request.resumable_uri, b"x" * 1000, headers)
    assert refusal.code == 400
    assert "multiple of 262144" in refusal.body.decode()


@pytest.mark.parametrize("how", ["fault", "admin", "time"])
def test_an_expired_session_is_not_found(drive: Emulator, ada: Any, how: str) -> None:
    request = ada.files().create(body={"name": "a"}, media_body=media(b"x" * (3 * BLOCK), resumable=True))
    request.next_chunk()
    if how == "fault":
        drive.admin("POST", "/faults", method="media.chunk", expire_session=True)
    elif how == "admin":
        assert drive.admin("DELETE", "/uploads")["expired"] >= 1
    else:
        drive.admin("POST", "/clock", advance_s=7 * 24 * 3600)
        ada = drive.user("later@example.org")
        headers = {"Content-Range": f"bytes */{3 * BLOCK}"}
        assert raw(drive, "PUT", request.resumable_uri, headers=headers).code == 404
        return
    with pytest.raises(HttpError) as caught:
        request.next_chunk()
    assert reason(caught.value) == (404, "notFound")


@pytest.mark.parametrize("kind", ["media", "multipart"])
def test_an_upload_that_ends_early_leaves_nothing(drive: Emulator, ada: Any, kind: str) -> None:
    contents = drive.folder / "data/contents"
    before = set(contents.iterdir())
    me = ada.about().get(fields="user").execute()["user"]["emailAddress"]
    parts = b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "a"}\r\n--x\r\nContent-Type: text/plain\r\n\r\n'
    data = (parts if kind == "multipart" else b"") + b"x" * (3 * BLOCK)
    head = f"POST /upload/drive/v3/files?uploadType={kind} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data) + 10}\r\n"
    head += f"Authorization: Bearer {drive.token(me)}\r\nContent-Type: multipart/related; boundary=x\r\n\r\n"
    drive.admin("DELETE", "/counters")
    with socket.create_connection(("127.0.0.1", int(drive.ports["port"]))) as connection:
        connection.sendall(head.encode() + data)
        eventually(lambda: drive.uploaded() > 2 * BLOCK)
        assert set(contents.iterdir()) > before
    eventually(lambda: set(contents.iterdir()) == before)
    assert ada.files().list().execute()["files"] == []


def test_a_lost_answer_does_not_make_a_file_twice(drive: Emulator, ada: Any) -> None:
    drive.admin("POST", "/faults", method="drive.files.create", cut_after_bytes=0)
    wanted = ada.files().generateIds(count=1).execute()["ids"][0]
    call = ada.files().create(body={"id": wanted, "name": "a", "mimeType": FOLDER})
    # httplib2 has seen the connection end, and has sent the request again by itself.
    assert refused(call) == (409, "fileIdInUse")
    assert drive.admin("DELETE", "/faults")["faults"][0]["seen"] == 1
    drive.admin("POST", "/faults", method="drive.files.create", after=True, error={"status": 500, "reason": "a"})
    assert refused(ada.files().create(body={"name": "b"})) == (500, "a")
    assert sorted(file["name"] for file in ada.files().list().execute()["files"]) == ["a", "b"]


def test_a_cut_download_can_go_on(drive: Emulator, ada: Any) -> None:
    data = bytes(range(256)) * (3 * BLOCK // 256)
    made = ada.files().create(body={"name": "a"}, media_body=media(data)).execute()
    drive.admin("POST", "/faults", method="drive.files.get", nth=2, cut_after_bytes=1000)
    target = io.BytesIO()
    download = MediaIoBaseDownload(target, ada.files().get_media(fileId=made["id"]), chunksize=BLOCK)
    download.next_chunk()
    with pytest.raises((ConnectionError, httplib2.error.HttpLib2Error, http.client.HTTPException)):
        download.next_chunk()
    done = False
    while not done:
        _status, done = download.next_chunk()
    assert target.getvalue() == data


def test_the_clients_retries_meet_faults_at_the_call_that_was_named(drive: Emulator, ada: Any) -> None:
    error = {"status": 403, "reason": "rateLimitExceeded", "domain": "usageLimits", "message": "Rate Limit Exceeded"}
    drive.admin("POST", "/faults", method="drive.files.list", nth=2, times=1, error=error)
    drive.admin("POST", "/faults", method="drive.files.list", identity="other@*", times=0, error=error)
    drive.admin("DELETE", "/counters")
    for _turn in range(3):
        ada.files().list().execute(num_retries=1)
    assert drive.calls("drive.files.list") == 4
    assert refused(drive.user("other@example.org").files().list()) == (403, "rateLimitExceeded")


def test_a_slow_answer_is_slow(drive: Emulator, ada: Any) -> None:
    drive.admin("POST", "/faults", method="drive.about.get", delay_s=0.5)
    start = time.monotonic()
    ada.about().get(fields="user").execute()
    assert time.monotonic() - start >= 0.5


def test_rates_are_refused_until_time_has_passed(drive: Emulator, ada: Any) -> None:
    drive.admin("PATCH", "/limits", user_units_per_minute=10)
    ada.about().get(fields="user").execute()
    ada.about().get(fields="user").execute()
    assert refused(ada.about().get(fields="user")) == (403, "userRateLimitExceeded")
    drive.admin("PATCH", "/limits", user_units_per_minute=10, rate_status=429)
    ada.about().get(fields="user").execute()
    assert refused(ada.files().list()) == (429, "userRateLimitExceeded")


def test_storage_can_be_full(drive: Emulator, ada: Any) -> None:
    drive.admin(
        "POST", "/users", email=ada.about().get(fields="user").execute()["user"]["emailAddress"], storage_bytes=0
    )
    assert refused(ada.files().create(body={"name": "a"}, media_body=media(b"a"))) == (403, "storageQuotaExceeded")
    drive.admin("DELETE", "/counters")
    large = ada.files().create(body={"name": "a"}, media_body=media(b"a" * BLOCK, resumable=True))
    assert refused(large) == (403, "storageQuotaExceeded")
    assert drive.uploaded() == 0


def test_changes_are_told_to_the_client(ada: Any) -> None:
    token = ada.changes().getStartPageToken().execute()["startPageToken"]
    made = ada.files().create(body={"name": "a"}).execute()["id"]
    page = ada.changes().list(pageToken=token).execute()
    assert [(item["fileId"], item["file"]["name"]) for item in page["changes"]] == [(made, "a")]
    ada.files().delete(fileId=made).execute()
    page = ada.changes().list(pageToken=page["newStartPageToken"]).execute()
    assert [(item["fileId"], item["removed"]) for item in page["changes"]] == [(made, True)]


def test_the_counters_count(drive: Emulator, ada: Any) -> None:
    me = ada.about().get(fields="user").execute()["user"]["emailAddress"]
    drive.admin("DELETE", "/counters")
    made = ada.files().create(body={"name": "a"}, media_body=media(b"1234567")).execute()["id"]
    read(ada, made)
    ada.files().list().execute()
    counters = drive.admin("DELETE", "/counters")
    assert {(row["method"], row["identity"], row["count"]) for row in counters["calls"]} == {
        ("drive.files.create", me, 1),
        ("drive.files.get", me, 1),
        ("drive.files.list", me, 1),
    }
    assert (counters["uploaded_bytes"], counters["downloaded_bytes"]) == ({me: 7}, {me: 7})
    assert drive.admin("GET", "/counters")["total_calls"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "said"),
    [
        ("GET", "/drive/v3/files?page_size=1", None, 400, "page_size"),
        ("GET", "/drive/v3/files?pageSize=many", None, 400, "pageSize"),
        ("GET", "/drive/v3/files?fields=files(title)", None, 400, "title"),
        ("GET", "/drive/v3/files?q=title%3D'a'", None, 400, "title"),
        ("GET", "/drive/v3/changes", None, 400, "pageToken"),
        ("GET", "/drive/v3/about", None, 400, "fields"),
        ("GET", "/drive/v3/filez", None, 404, "/drive/v3/filez"),
        ("PUT", "/drive/v3/files/x", None, 405, "PUT"),
        ("POST", "/drive/v3/files", {"title": "a"}, 400, "title"),
        ("POST", "/drive/v3/files", {"size": "1"}, 403, "size"),
        ("POST", "/drive/v3/files", ["a"], 400, "object"),
        ("POST", "/drive/v3/files", b"{", 400, "Parse Error"),
        ("POST", "/drive/v3/files", b'{"name": "\\ud800"}', 400, "Parse Error"),
        ("POST", "/drive/v3/files?uploadType=media", {}, 400, "/upload"),
        ("POST", "/upload/drive/v3/files?uploadType=carrier", b"", 400, "carrier"),
        ("POST", "/upload/drive/v3/files?uploadType=multipart", b"x", 400, "boundary"),
        ("PUT", "/upload/drive/v3/files?upload_id=unknown", b"x", 404, "anew"),
        ("GET", "/drive/v3/files/x?alt=proto", None, 501, "alt=proto"),
        ("GET", "/drive/v3/files/x/versions", None, 404, "versions"),
        ("GET", "/drive/v3/files/x/comments?fields=*", None, 501, "drive.comments.list"),
    ],
)
def test_what_google_does_not_have_is_refused(
    drive: Emulator, method: str, path: str, body: Any, code: int, said: str
) -> None:
    drive.admin("POST", "/users", email="raw@example.org")
    headers = {"Authorization": f"Bearer {drive.token('raw@example.org')}"}
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    answer = raw(drive, method, path, data, headers)
    assert answer.code == code, answer.body
    error = json.loads(answer.body)["error"]
    assert error["code"] == code
    assert error["errors"][0]["message"] == error["message"]
    assert {"domain", "reason"} <= set(error["errors"][0])
    assert said in answer.body.decode()
    assert f"{path.partition('?')[0]}: {code}" in drive.log.read_text(encoding="utf-8")


def test_nobody_is_let_in(drive: Emulator) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = raw(drive, "GET", "/drive/v3/files", headers=headers)
        assert (answer.code, "WWW-Authenticate" in answer.headers) == (401, True)


@pytest.mark.parametrize(
    ("method", "path", "values"),
    [
        ("POST", "/users", {}),
        ("POST", "/users", {"email": "a@b", "storage_bytes": "full"}),
        ("POST", "/faults", {"method": "x"}),
        ("POST", "/tokens", {"user": "unknown"}),
        ("POST", "/grants", {"client_id": "unknown"}),
        ("POST", "/clock", {"advance_s": -1}),
        ("POST", "/service-accounts", {"email": "a@b", "public_key": "none"}),
        ("PATCH", "/limits", {"typo": 1}),
    ],
)
def test_wrong_commands_are_refused(drive: Emulator, method: str, path: str, values: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="error"):
        drive.admin(method, path, **values)


def test_memory_does_not_grow_with_a_file(drive: Emulator, ada: Any, tmp_path: Path) -> None:
    size = 200 * 2**20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    before = drive.peak_kib()
    upload = MediaFileUpload(str(tmp_path / "large"), "text/plain", chunksize=64 * 2**20, resumable=True)
    made = ada.files().create(body={"name": "large"}, media_body=upload, fields="id,size").execute()
    assert made["size"] == str(size)
    headers = {
        "Authorization": f"Bearer {drive.token(ada.about().get(fields='user').execute()['user']['emailAddress'])}"
    }
    assert len(raw(drive, "GET", f"/drive/v3/files/{made['id']}?alt=media", headers=headers).body) == size
    assert drive.peak_kib() - before < 20 * 1024


def test_a_restart_begins_with_nothing(tmp_path: Path) -> None:
    with emulator(tmp_path) as process:
        process.user("ada@example.org").files().create(body={"name": "a"}, media_body=media(b"a")).execute()
    with emulator(tmp_path) as process:
        assert process.user("ada@example.org").files().list().execute()["files"] == []
        assert list((tmp_path / "data/contents").iterdir()) == []


def test_wrong_options_are_told_in_a_line(tmp_path: Path) -> None:
    for options in (["--limit=typo=1"], ["--tls-cert=missing"], ["--tls-cert=missing", "--tls-key=missing"]):
        result = subprocess.run(
            [sys.executable, "-m", "drive_emulator", "--port=0", "--admin-port=0", f"--data={tmp_path}", *options],
            env={"PYTHONPATH": str(ROOT / "lab/drive"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode != 0
        assert "Traceback" not in result.stderr
        assert "drive_emulator: " in result.stderr
