"""Files and folders in Drive, as this program makes and finds them."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from . import manifest, names
from .client import Client, RefusedError
from .reasons import ABUSIVE, Treatment
from .rows import BUNDLE, FOLDER, MANIFEST, Row

FOLDER_TYPE = "application/vnd.google-apps.folder"
FIELDS = "id,name,mimeType,parents,md5Checksum,size,modifiedTime,trashed,driveId,appProperties"
# Properties of this app alone: whose it is, what it is, and the path that it was made for.
# https://developers.google.com/workspace/drive/api/guides/properties: 124 bytes for a key with its value.
STUDENT, ROLE, PATH = "coursehub", "coursehub_role", "coursehub_path"
# On the folder and the list of an export: the state that goes on with it (`turn.py`).
TURN = "coursehub_turn"
TOP = "top"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An id costs nothing, a call for more does.
_LEAST_IDS = 20
_MOST_IDS = 1000
# The table of Python alone, so that the machine it runs on makes no difference.
_TYPES = mimetypes.MimeTypes(filenames=())
_TYPES.add_type("application/x-ipynb+json", ".ipynb")
_OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Fact:
    """What Drive says of one of its files. ``role`` is what we made it as, ``turn`` whose turn it is."""

    id: str
    name: str
    parent: str
    folder: bool
    md5: str
    size: int
    modified_ms: int
    trashed: bool
    drive: str
    role: str
    turn: str


def _fact(answer: dict[str, Any]) -> Fact:
    return Fact(
        answer["id"],
        answer["name"],
        (answer.get("parents") or [""])[0],
        answer["mimeType"] == FOLDER_TYPE,
        answer.get("md5Checksum", ""),
        int(answer.get("size", 0)),
        _milliseconds(answer.get("modifiedTime", "")),
        bool(answer.get("trashed")),
        answer.get("driveId", ""),
        answer.get("appProperties", {}).get(ROLE, ""),
        answer.get("appProperties", {}).get(TURN, ""),
    )


def _milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1) if text else 0


def modified_time(mtime_ns: int) -> str:
    """Return a time as Drive takes it: RFC 3339, to the millisecond; years that it has no digits for are cut."""
    ms = min(max(mtime_ns // 1_000_000, -62_135_596_800_000), 253_402_300_799_999)
    return (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def hashed(*words: str) -> str:
    """Return a digest of words that are no business of whoever reads properties, short enough for one."""
    return hashlib.sha256(b"\0".join(map(os.fsencode, words))).hexdigest()[:32]


class Drive:
    """One student's part of a Drive. ``turn`` is the state that what is made is of, where that matters.

    ``acknowledge_abuse``: a person wants also what Google takes for malware.
    """

    def __init__(self, client: Client, student: str, turn: str = "", *, acknowledge_abuse: bool = False) -> None:
        self.client = client
        self.student = hashed(student)
        self.turn = turn
        self._name = student
        self._files = client.files
        self._acknowledge = acknowledge_abuse
        self._abusive: set[str] = set()
        self._ids: list[str] = []
        self._lock = threading.Lock()

    def get(self, file_id: str) -> Fact | None:
        """Return what Drive says of a file; None where it is not there. Raises RefusedError."""
        try:
            return _fact(self.client.read(self._files.get(fileId=file_id, fields=FIELDS, supportsAllDrives=True)))
        except RefusedError as error:
            if error.treatment is Treatment.LOOK:
                return None
            raise

    def writable(self, folder: str) -> bool:
        """Tell whether files may be made in a folder. Raises RefusedError."""
        fields = "capabilities/canAddChildren"
        answer = self.client.read(self._files.get(fileId=folder, fields=fields, supportsAllDrives=True))
        return bool(answer.get("capabilities", {}).get("canAddChildren"))

    def all(self, drive: str) -> Iterator[Fact]:
        """Yield all of this student's in Drive that is in no bin. Lists may be late by minutes. Raises RefusedError."""
        query = f"appProperties has {{ key='{STUDENT}' and value='{self.student}' }} and trashed = false"
        return map(_fact, self._list(drive, query, FIELDS))

    def lists(self, drive: str) -> Iterator[Fact]:
        """Yield the lists of all students that are in no bin. Lists may be late by minutes. Raises RefusedError."""
        query = f"appProperties has {{ key='{ROLE}' and value='{MANIFEST}' }} and trashed = false"
        return map(_fact, self._list(drive, query, FIELDS))

    def count(self, drive: str) -> int:
        """Return how many items a shared drive has, its bin included. Raises RefusedError."""
        return sum(1 for _file in self._list(drive, None, "id"))

    def _list(self, drive: str, query: str | None, fields: str) -> Iterator[dict[str, Any]]:
        where = {"corpora": "drive", "driveId": drive} if drive else {"corpora": "user"}
        page = None
        while True:
            request = self._files.list(
                q=query,
                pageSize=1000,
                pageToken=page,
                fields=f"nextPageToken,files({fields})",
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
                **where,
            )
            answer = self.client.listed(request)
            yield from answer["files"]
            page = answer.get("nextPageToken")
            if not page:
                return

    def new_id(self, expected: int) -> str:
        """Return an id that nothing has yet; ``expected`` is how many will be asked for. Raises RefusedError."""
        with self._lock:
            if not self._ids:
                count = min(max(expected, _LEAST_IDS), _MOST_IDS)
                answer = self.client.read(self._files.generateIds(count=count, space="drive", type="files"))
                self._ids = answer["ids"]
            return str(self._ids.pop())

    def body(self, row: Row, role: str = "") -> dict[str, Any]:
        """Return what Drive is told of a thing, but where it is."""
        path = hashed(self._name, row.path)
        body: dict[str, Any] = {
            "name": row.name,
            "appProperties": {STUDENT: self.student, ROLE: role or row.kind, PATH: path},
        }
        if self.turn and (role == TOP or row.kind == MANIFEST):
            body["appProperties"][TURN] = self.turn
        if row.kind != FOLDER:
            body["modifiedTime"] = modified_time(row.mtime_ns)
        return body

    def make_folder(self, row: Row, parent: str, name: str = "", role: str = "") -> Fact:
        """Make a folder by the id that the row has, with no parent at the top of one's own. Raises RefusedError."""
        body = {**self.body(row, role), "id": row.id, "mimeType": FOLDER_TYPE}
        if parent:
            body["parents"] = [parent]
        if name:
            body["name"] = name
        return self.made(row.id, lambda: self.create(body))

    def create(self, body: dict[str, Any], media: Any = None) -> Fact:
        """Make a file. Raises RefusedError."""
        request = self._files.create(body=body, media_body=media, fields=FIELDS, supportsAllDrives=True)
        return _fact(self.client.edit(request))

    def update(self, file_id: str, body: dict[str, Any], media: Any = None, **where: str) -> Fact:
        """Change a file's content, name, time or place. Raises RefusedError."""
        request = self._files.update(
            fileId=file_id, body=body, media_body=media, fields=FIELDS, supportsAllDrives=True, **where
        )
        return _fact(self.client.edit(request))

    def made(self, file_id: str, make: Any) -> Fact:
        """Make something by an id of ours; an answer that was lost is no harm, for it is there then."""
        try:
            fact: Fact = make()
        except RefusedError as error:
            if error.treatment is not Treatment.EXISTS:
                raise
            found = self.get(file_id)
            if found is None:
                raise
            return found
        return fact

    def take(self, fact: Fact) -> None:
        """Mark an export's folder or list as of this state, which goes on with it. Raises RefusedError."""
        if fact.turn != self.turn:
            self.update(fact.id, {"appProperties": {TURN: self.turn}})

    def begin_upload(self, row: Row, body: dict[str, Any], media: Any) -> Any:
        """Return the library's request for an upload, new by the body's id, or of the row's file."""
        if "id" in body:
            return self._files.create(body=body, media_body=media, fields=FIELDS, supportsAllDrives=True)
        return self._files.update(fileId=row.id, body=body, media_body=media, fields=FIELDS, supportsAllDrives=True)

    def content(self, file_id: str, start: int, end: int) -> bytes:
        """Return these bytes of a file. Raises RefusedError."""
        if file_id not in self._abusive:
            try:
                return self.client.download(self._files.get_media(fileId=file_id, supportsAllDrives=True), start, end)
            except RefusedError as error:
                # Never before Drive has asked for it: it is a person's word on this file.
                if error.reason != ABUSIVE or not self._acknowledge:
                    raise
                self._abusive.add(file_id)
        request = self._files.get_media(fileId=file_id, supportsAllDrives=True, acknowledgeAbuse=True)
        return self.client.download(request, start, end)


def fact_of(answer: dict[str, Any]) -> Fact:
    """Return what an answer says of a file."""
    return _fact(answer)


def content_type(row: Row) -> str:
    """Return the type that a file's name tells, which is what Drive opens it with."""
    if row.kind == BUNDLE:
        return "application/zip"
    if row.kind == MANIFEST:
        return manifest.TYPE
    found, encoding = _TYPES.guess_type(names.base(row.path))
    return found if found and not encoding and found.isascii() else _OCTETS
