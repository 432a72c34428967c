"""The lab's Drive, told what to do by its port for tests, which only its own pod reaches."""

from __future__ import annotations

import ast
import json
from typing import Any

from tests.e2e.cluster import Cluster

NAMESPACE = "drive-lab"
ADDRESS = f"http://drive.{NAMESPACE}.svc:8080"
DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
_ASK = """
import json, sys, urllib.error, urllib.request
verb, path, body = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:8081" + path, method=verb, data=body.encode() or None)
try:
    print(urllib.request.urlopen(request).read().decode())
except urllib.error.HTTPError as error:
    print(json.dumps({"refused": error.read().decode()}))
"""


class Drive:
    """One emulator."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def admin(self, verb: str, path: str, **values: Any) -> dict[str, Any]:
        """Ask the port for tests; AssertionError where it refuses."""
        (pod,) = self._cluster.pods(NAMESPACE, "app.kubernetes.io/name=drive")
        body = json.dumps(values) if values else ""
        said = self._cluster.run_python(pod["metadata"]["name"], _ASK, verb, path, body, namespace=NAMESPACE)
        # What comes over the stream of a command is made a dict's text by its client where it looks like JSON.
        answer: dict[str, Any] = json.loads(said) if said.lstrip().startswith('{"') else _literal(said)
        assert "refused" not in answer, f"{verb} {path}: {answer}"
        return answer

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

    def files(self) -> int:
        """Return how many files and folders there are."""
        return int(self.admin("GET", "/status")["files"])

    def calls(self, method: str) -> int:
        """Return how often a method was called since the counters were reset."""
        rows = self.admin("GET", "/counters")["calls"]
        return sum(row["count"] for row in rows if row["method"] == method)

    def sent(self) -> int:
        """Return how often contents were sent since the counters were reset."""
        return self.calls("drive.files.create") + self.calls("drive.files.update") + self.calls("media.chunk")


def _literal(said: str) -> dict[str, Any]:
    answer = ast.literal_eval(said)
    assert isinstance(answer, dict), said
    return answer
