"""The lab's Drive, told what to do by its port for tests, which only its own pod reaches."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cluster import Cluster

NAMESPACE = "drive-lab"
POD = "app.kubernetes.io/name=drive"
ADDRESS = f"http://drive.{NAMESPACE}.svc:8080"
DRIVE = "https://www.googleapis.com/auth/drive"
DRIVE_FILE = f"{DRIVE}.file"
_ASK = """
import json, sys, urllib.error, urllib.request
verb, place, body, token = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:" + place, method=verb, data=body.encode() or None)
if token:
    request.add_header("Authorization", "Bearer " + token)
    request.add_header("Content-Type", "application/json")
try:
    print(urllib.request.urlopen(request).read().decode())
except urllib.error.HTTPError as error:
    print(json.dumps({"refused": error.read().decode()}))
"""
# By its own words: those of the process that looks for it are not among them. The first process passes signals on.
_SIGNAL = """
import os, signal, sys
for number in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{number}/cmdline", "rb") as file:
        words = file.read().split(bytes(1))
    if number != "1" and b"drive_emulator" in words:
        os.kill(int(number), getattr(signal, sys.argv[1]))
        print("it has it")
"""


def account(student: str) -> str:
    """Return what a student is called in the lab's Drive."""
    return f"{student}@uni.example"


class Drive:
    """One emulator."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def admin(self, verb: str, path: str, **values: Any) -> dict[str, Any]:
        """Ask the port for tests; AssertionError where it refuses."""
        return self._ask(verb, f"8081{path}", values)

    def _ask(self, verb: str, place: str, values: dict[str, Any], token: str = "") -> dict[str, Any]:
        said = self._run(_ASK, verb, place, json.dumps(values) if values else "", token)
        # What comes over the stream of a command is made a dict's text by its client where it looks like JSON.
        answer: dict[str, Any] = json.loads(said) if said.lstrip().startswith('{"') else _literal(said)
        assert "refused" not in answer, f"{verb} {place}: {answer}"
        return answer

    @property
    def node(self) -> str:
        """The node that it runs on."""
        (pod,) = self._cluster.pods(NAMESPACE, POD)
        return str(pod["spec"]["nodeName"])

    def _run(self, program: str, *words: str) -> str:
        (pod,) = self._cluster.pods(NAMESPACE, POD)
        return self._cluster.run_python(pod["metadata"]["name"], program, *words, namespace=NAMESPACE)

    @contextmanager
    def faults(self, *rules: dict[str, Any]) -> Iterator[None]:
        """Let calls go wrong by these rules meanwhile."""
        try:
            for rule in rules:
                self.admin("POST", "/faults", **rule)
            yield
        finally:
            self.admin("DELETE", "/faults")

    def have_struck(self) -> bool:
        """Tell whether each of the rules has met a call."""
        return all(rule["struck"] for rule in self.admin("GET", "/faults")["faults"])

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it answer nothing, as when the network drops all that is sent. What it knows is in memory, and stays."""
        assert "it has it" in self._run(_SIGNAL, "SIGSTOP")
        try:
            yield
        finally:
            assert "it has it" in self._run(_SIGNAL, "SIGCONT")

    def consent(self, email: str) -> dict[str, str]:
        """Return the file that is stored of a user who consents."""
        self.admin("POST", "/clients", id="app", secret="s3cret", app="app")
        token = self.admin("POST", "/grants", client_id="app", user=email, scopes=[DRIVE_FILE])["refresh_token"]
        return {
            "type": "authorized_user",
            "client_id": "app",
            "client_secret": "s3cret",
            "refresh_token": token,
            "token_uri": f"{ADDRESS}/token",
        }

    def service_account(self, email: str, **values: Any) -> dict[str, Any]:
        """Make a service account, and return the file with its key."""
        return self.admin("POST", "/service-accounts", email=email, token_uri=f"{ADDRESS}/token", **values)

    def shared_drive(self, owner: str, member: str) -> str:
        """Make a shared drive of somebody, with a member who manages its contents; return its id."""
        self.admin("POST", "/users", email=owner)
        token = self.admin("POST", "/tokens", user=owner, scopes=[DRIVE])["access_token"]
        made: str = self._ask("POST", "8080/drive/v3/drives?requestId=course", {"name": "Course"}, token)["id"]
        where = f"8080/drive/v3/files/{made}/permissions?supportsAllDrives=true&sendNotificationEmail=false"
        self._ask("POST", where, {"type": "user", "role": "fileOrganizer", "emailAddress": member}, token)
        return made

    def files(self) -> int:
        """Return how many files and folders there are."""
        return int(self.admin("GET", "/status")["files"])

    def calls(self, method: str) -> int:
        """Return how often a method was called since the counters were reset."""
        rows = self.admin("GET", "/counters")["calls"]
        return sum(row["count"] for row in rows if row["method"] == method)

    def answered(self) -> dict[tuple[int, str], int]:
        """Return how many answers had each status and reason since the counters were reset; 499 is one cut off."""
        found: Counter[tuple[int, str]] = Counter()
        for row in self.admin("GET", "/counters")["answers"]:
            found[row["status"], row["reason"]] += row["count"]
        return found

    def received(self, student: str) -> int:
        """Return how many bytes of contents came from a student since the counters were reset."""
        return int(self.admin("GET", "/counters")["uploaded_bytes"].get(account(student), 0))

    def sent(self) -> int:
        """Return how often contents were sent since the counters were reset."""
        return self.calls("drive.files.create") + self.calls("drive.files.update") + self.calls("media.chunk")


def _literal(said: str) -> dict[str, Any]:
    answer = ast.literal_eval(said)
    assert isinstance(answer, dict), said
    return answer
