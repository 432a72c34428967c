"""The Drive emulator as a process, and Google's own client library turned to it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import googleapiclient
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import build_http

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = Path(googleapiclient.__file__).parent / "discovery_cache/documents/drive.v3.json"
DRIVE = "https://www.googleapis.com/auth/drive"
DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
ALL = {"supportsAllDrives": True}
LISTED = {"supportsAllDrives": True, "includeItemsFromAllDrives": True}


class Emulator:
    """One emulator, strict: an answer that Google's description has not is an error of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.log = folder / "emulator.log"
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self.ports: dict[str, str] = {}

    def start(self) -> Emulator:
        command = [sys.executable, "-m", "drive_emulator", "--port=0", "--admin-port=0", "--strict", "--verbose"]
        with self.log.open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*command, f"--data={self.folder / 'data'}", *self._options],
                env={**os.environ, "PYTHONPATH": str(ROOT / "lab/drive"), "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert "serving" in said, self.log.read_text(encoding="utf-8")
        self.ports = dict(word.split("=", 1) for word in said.split() if "=" in word)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(timeout=120) == 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['port']}"

    def admin(self, verb: str, path: str, /, **values: Any) -> dict[str, Any]:
        """Ask the port for tests; AssertionError where it refuses."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['admin-port']}{path}",
            method=verb,
            data=json.dumps(values).encode() if values else None,
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
                result: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{verb} {path}: {error.read().decode()}") from None
        return result

    def token(self, user: str, *scopes: str, app: str = "app", **values: Any) -> str:
        given = {"user": user, "app": app, "scopes": list(scopes or [DRIVE]), **values}
        token: str = self.admin("POST", "/tokens", **given)["access_token"]
        return token

    def user(self, email: str, *scopes: str, app: str = "app", **values: Any) -> Any:
        """Make a user, and return a client of Drive for them."""
        self.admin("POST", "/users", email=email, **values)
        return self.client(Credentials(token=self.token(email, *scopes, app=app)))

    def client(self, credentials: Any) -> Any:
        # An `api_endpoint` is not enough: the library takes the address for uploads from the description's rootUrl.
        document = json.loads(DESCRIPTION.read_text(encoding="utf-8"))
        document["rootUrl"] = self.url + "/"
        # Unlike httplib2 by itself, the library's own takes a 308 for what it is: no redirection.
        plain = build_http()
        plain.timeout = 120
        plain.proxy_info = None
        http = AuthorizedHttp(credentials, http=plain)
        return build_from_document(document, http=http)

    def service_account(self, email: str, **values: Any) -> dict[str, Any]:
        return self.admin("POST", "/service-accounts", email=email, token_uri=f"{self.url}/token", **values)

    def as_service_account(self, info: dict[str, Any], **values: Any) -> Any:
        credentials = service_account.Credentials.from_service_account_info(info, scopes=[DRIVE], **values)
        return self.client(credentials)

    def peak_kib(self) -> int:
        """Return the most memory that the process has had, in KiB."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))

    def calls(self, method: str) -> int:
        rows = self.admin("GET", "/counters")["calls"]
        return sum(row["count"] for row in rows if row["method"] == method)

    def uploaded(self) -> int:
        return sum(self.admin("GET", "/counters")["uploaded_bytes"].values())


@contextmanager
def emulator(folder: Path, *options: str) -> Iterator[Emulator]:
    """Run an emulator; at the end it must not have failed itself."""
    process = Emulator(folder, *options).start()
    try:
        yield process
        assert process.admin("GET", "/status")["internal_errors"] == 0, process.log.read_text(encoding="utf-8")
    finally:
        process.stop()
    log = process.log.read_text(encoding="utf-8")
    assert "Traceback" not in log, log


@dataclass
class Answer:
    """What came back: status, headers and body."""

    code: int
    headers: Mapping[str, str]
    body: bytes


def raw(
    process: Emulator, method: str, where: str, data: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send a request without any library of Google's."""
    connection = http.client.HTTPConnection("127.0.0.1", int(process.ports["port"]), timeout=120)
    connection.request(method, where.removeprefix(process.url), data, headers or {})
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return answer


def reason(error: HttpError) -> tuple[int, str]:
    """Return status and reason of an error as the client library has it."""
    return error.resp.status, json.loads(error.content)["error"]["errors"][0]["reason"]
