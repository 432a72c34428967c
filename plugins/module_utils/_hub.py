# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hub, as a service of it asks: stops servers."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube, message_of

try:
    import urllib3
except ImportError:
    # Comes with the kubernetes library, whose absence is told at the modules' edge.
    urllib3 = None  # type: ignore[assignment]

# The hub's Secret, and the key in it: made by the hub's role.
SECRET, KEY = "hub", "disks-token"
TIMEOUT_S = 30
ARGUMENTS: dict[str, dict[str, Any]] = {
    "stop_servers": {"type": "bool", "default": False},
    "hub_url": {"type": "str"},
    "hub_namespace": {"type": "str"},
}


class Hub:
    """One hub, by the address that students use and the token that its role made for work on disks."""

    def __init__(self, kube: Kube, url: str, namespace: str) -> None:
        found = kube.get("v1", "Secret", SECRET, namespace)
        token = ((found or {}).get("data") or {}).get(KEY)
        if not token:
            raise CoursehubError(
                f"the Secret {SECRET} in {namespace} has no {KEY}: run the playbook site, which makes it, or stop the"
                " servers by hand"
            )
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"token {base64.b64decode(token).decode()}"}
        self._pool = urllib3.PoolManager(timeout=TIMEOUT_S, retries=urllib3.Retry(connect=3, read=0, redirect=0))

    def stop(self, student: str) -> None:
        """Ask for the end of a student's server. One that the hub does not know is no failure: its pod is awaited."""
        path = f"{self._url}/hub/api/users/{quote(student, safe='')}/server"
        try:
            answer = self._pool.request("DELETE", path, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise CoursehubError(f"the hub at {self._url} does not answer: {error}") from error
        if answer.status not in (202, 204, 404) and not (answer.status == 400 and b"not running" in answer.data):
            raise CoursehubError(
                f"the hub at {self._url} did not stop the server ({answer.status}): {message_of(answer.data)}"
            )
