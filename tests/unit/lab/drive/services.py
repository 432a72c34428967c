"""A Drive in memory, for tests that need no HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from drive_emulator.accounts import PREFIX, Caller
from drive_emulator.discovery import Discovery
from drive_emulator.limits import Limits
from drive_emulator.methods import METHODS
from drive_emulator.service import Request, Service

FOLDER = "application/vnd.google-apps.folder"
ADA, BEN, ROBOT = "ada@example.org", "ben@example.org", "robot@project.iam.gserviceaccount.com"
DISCOVERY = Discovery.load()
_BY_ID = {method.id: method for method in DISCOVERY.methods}


class Drive:
    """A service, with calls as the API has them: checked against Google's description on the way in and out."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.service = Service(folder, Limits().changed(limits))
        self.service.accounts.users.update({ADA: None, BEN: None})

    def call(
        self,
        method: str,
        user: str = ADA,
        body: dict[str, Any] | None = None,
        data: bytes | None = None,
        *,
        scope: str = "drive",
        app: str = "app",
        **given: Any,
    ) -> dict[str, Any]:
        found = _BY_ID[f"drive.{method}"]
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
        path = found.path.pattern.replace("\\", "")
        for name in list(texts):
            if f"(?P<{name}>[^/]+)" in path:
                path = path.replace(f"(?P<{name}>[^/]+)", texts.pop(name))
        parameters = DISCOVERY.call(found.http_method, path, texts.items()).parameters
        DISCOVERY.check_body(found.request, body or {})
        content = None
        if data is not None:
            writer = self.service.contents.writer()
            writer.write(data)
            content = writer.finish()
        caller = Caller(user, app, frozenset({PREFIX + scope}), user == ROBOT)
        answer = METHODS[found.id](self.service, Request(caller, parameters, body or {}, content))
        assert DISCOVERY.check_response(found.response, answer) == []
        return answer or {}

    def folder(self, name: str, parent: str = "root", user: str = ADA) -> str:
        body = {"name": name, "mimeType": FOLDER, "parents": [parent]}
        file_id: str = self.call("files.create", user, body, supportsAllDrives=True)["id"]
        return file_id

    def file(self, name: str, parent: str = "root", user: str = ADA, data: bytes = b"data", **more: Any) -> str:
        body = {"name": name, "parents": [parent], **more}
        file_id: str = self.call("files.create", user, body, data, supportsAllDrives=True)["id"]
        return file_id

    def shared_drive(self, **members: str) -> str:
        """Make a shared drive of Ada's with members by role."""
        drive_id: str = self.call("drives.create", body={"name": "Course"}, requestId=str(members))["id"]
        for role, address in members.items():
            body = {"type": "user", "role": role, "emailAddress": address}
            self.call("permissions.create", body=body, fileId=drive_id, supportsAllDrives=True)
        return drive_id

    def names(self, user: str = ADA, **given: Any) -> list[str]:
        """Return the names that a list has, in its order."""
        if "corpora" in given or given.pop("all", False):
            given |= {"includeItemsFromAllDrives": True, "supportsAllDrives": True}
        return [file["name"] for file in self.call("files.list", user, **given)["files"]]
