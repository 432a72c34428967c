"""The Drive emulator under Google's own client library."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

from tests.integration.drive import ALL, Emulator, emulator, reason

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
        _, done = download.next_chunk()
    return target.getvalue()


def folder(client: Any, name: str, parent: str = "root") -> str:
    made = client.files().create(body={"name": name, "mimeType": FOLDER, "parents": [parent]}, **ALL).execute()
    file_id: str = made["id"]
    return file_id


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
