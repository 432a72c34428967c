"""Students with homes and an emulated Drive, and the exporter run on them as a pod runs it."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursehub_tools.drive import __main__ as command
from coursehub_tools.drive import manifest, names
from google.oauth2.credentials import Credentials

from tests.integration.drive import DRIVE, DRIVE_FILE, Emulator

CLIENT_SECRET = "known-to-the-app-alone"
FIELDS = "nextPageToken,files(id,name,parents,mimeType,md5Checksum,size,modifiedTime,trashed,appProperties)"


@dataclass
class Student:
    """One who has consented, with a home, and a state that outlives the runs."""

    drive: Emulator
    place: Path
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.place / "home"

    @property
    def email(self) -> str:
        return f"{self.name}@example.org"

    @property
    def key(self) -> Path:
        return self.place / "credentials.json"

    def enrol(self, **user: Any) -> Student:
        self.home.mkdir(parents=True)
        self.drive.admin("POST", "/users", email=self.email, **user)
        self.drive.admin("POST", "/clients", id="export", secret=CLIENT_SECRET, app="export")
        self.consent()
        return self

    def consent(self) -> None:
        """Store a refresh token as the hub would have it."""
        grant = self.drive.admin("POST", "/grants", client_id="export", user=self.email, scopes=[DRIVE_FILE])
        info = {
            "type": "authorized_user",
            "client_id": "export",
            "client_secret": CLIENT_SECRET,
            "refresh_token": grant["refresh_token"],
            "token_uri": f"{self.drive.url}/token",
        }
        self.key.write_text(json.dumps(info), encoding="utf-8")

    def values(self, **more: Any) -> dict[str, Any]:
        usual = {
            "student": self.name,
            "credentials": str(self.key),
            "source": str(self.home),
            "state": str(self.place / "state"),
            "writes_per_second": 1000,
            "bundle": "never",
        }
        return {**usual, **self.options, **more}

    def run(self, what: str, **more: Any) -> dict[str, Any]:
        """Run a command for this student alone; return their result."""
        return run(self.drive, self.place, what, [self.values(**more)])[self.name]

    def export(self, **more: Any) -> dict[str, Any]:
        return self.run("export", **more)

    def exported(self, **more: Any) -> dict[str, Any]:
        """Export, and see that it went well."""
        result = self.export(**more)
        assert result["failed"] == "", result
        assert result["problems"] == []
        return result

    def restored(self, **more: Any) -> Path:
        """Import into a new folder; return it."""
        disk = self.place / "disk"
        shutil.rmtree(disk, ignore_errors=True)
        disk.mkdir()
        result = self.run("import", disk=str(disk), **more)
        assert result["failed"] == "", result
        return disk

    def client(self) -> Any:
        """Drive as the student sees it."""
        return self.drive.client(Credentials(token=self.drive.token(self.email, DRIVE, app="export")))

    def files(self) -> list[dict[str, Any]]:
        """Return all that is in the student's Drive and not in the bin."""
        found: list[dict[str, Any]] = []
        client, page = self.client(), None
        while True:
            answer = client.files().list(q="trashed = false", pageSize=1000, pageToken=page, fields=FIELDS).execute()
            found += answer["files"]
            page = answer.get("nextPageToken")
            if not page:
                return found

    def tree(self) -> dict[str, str | None]:
        """Return the MD5 by path of what is in the export, None for folders. AssertionError for two at one path."""
        files = {file["id"]: file for file in self.files()}
        tree: dict[str, str | None] = {}
        for file in files.values():
            parts, one = [], file
            while one["parents"][0] in files:
                parts.append(names.decode(one["name"]))
                one = files[one["parents"][0]]
            path = "/".join(reversed(parts))
            assert path not in tree, f"twice: {path}"
            tree[path] = file.get("md5Checksum")
        tree.pop("")
        tree.pop(manifest.NAME, None)
        return tree


def run(drive: Emulator, place: Path, what: str, students: list[dict[str, Any]], **common: Any) -> dict[str, Any]:
    """Run a command for students; return their results by name, and the summary by the empty name."""
    results = place / "results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir()
    request = place / "request.json"
    request.write_text(json.dumps({"students": students, **common}), encoding="utf-8")
    words = [what, f"--request={request}", f"--results={results}", f"--drive-address={drive.url}"]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        code = command.main(words)
    finally:
        signal.signal(signal.SIGTERM, handler)
    found = {}
    for path in results.iterdir():
        one = json.loads(path.read_text(encoding="utf-8"))
        found[one["student"]] = one
    assert code == (1 if any(one["failed"] for one in found.values()) or not found else 0)
    return found
