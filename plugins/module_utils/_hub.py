# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hub, as a service of it asks: servers, users and groups."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import CONNECTIONS, Kube, message_of

try:
    import urllib3
except ImportError:
    # Comes with the kubernetes library, whose absence is told at the modules' edge.
    urllib3 = None  # type: ignore[assignment]

# The hub's Secret, and the keys in it, one for each service: made by the hub's role.
SECRET, DISKS_KEY, PEOPLE_KEY = "hub", "disks-token", "people-token"
TIMEOUT_S = 30
# What a hub answers that has no time just now, and a proxy whose hub is away.
BUSY = (429, 502, 503, 504)
# What it answers too where one asks for the end of a server that it has found running at its own begin, and still looks
# at: JupyterHub waits a second for its look to end, and then fails. A stop that fails has no other answer of that kind.
STILL_LOOKS = 500
# How long it is left alone then, unless it says so itself, and at most: JupyterHub names up to 60 s where it
# refuses a start.
PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0
# Users in one answer: the most that JupyterHub gives (api_page_max_limit).
PAGE = 200
PAGES = "application/jupyterhub-pagination+json"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "stop_servers": {"type": "bool", "default": False},
    "hub_url": {"type": "str"},
    "hub_namespace": {"type": "str"},
}

Object = dict[str, Any]


class HubError(CoursehubError):
    """The hub refused a request; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Hub:
    """One hub, by the address that students use and the token that its role made for a service.

    Requests are made again while the hub has no time or is away, until ``deadline``, in ``time.monotonic`` seconds; so
    each one must be such that it may be made twice.
    """

    def __init__(
        self,
        kube: Kube,
        url: str,
        namespace: str,
        key: str = DISKS_KEY,
        deadline: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        found = kube.get("v1", "Secret", SECRET, namespace)
        token = ((found or {}).get("data") or {}).get(key)
        if not token:
            raise CoursehubError(
                f"the Secret {SECRET} in {namespace} has no {key}: run the playbook site, which makes it"
                f"{', or stop the servers by hand' if key == DISKS_KEY else ''}"
            )
        self._url = url.rstrip("/")
        self._deadline = deadline
        self._sleep = sleep
        self._headers = {"Authorization": f"token {base64.b64decode(token).decode()}"}
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=urllib3.Retry(connect=3, read=0, redirect=0))

    def stop(self, student: str) -> bool:
        """Ask for the end of a student's server; tell whether it has ended already.

        One that the hub does not know is no failure.
        """
        try:
            status, _data = self._ask(
                "DELETE", f"{_user(student)}/server", "did not stop the server", again=(*BUSY, STILL_LOOKS)
            )
        except HubError as error:
            if error.status == 404 or (error.status == 400 and "not running" in str(error)):
                return True
            raise
        return status == 204

    def start(self, student: str) -> None:
        """Ask for a student's server. One that runs, or starts already, is no failure."""
        try:
            self._ask("POST", f"{_user(student)}/server", "did not start the server")
        except HubError as error:
            if error.status != 400 or "already running" not in str(error):
                raise

    def why_not_started(self, student: str) -> str | None:
        """Return why the last start of a server failed, as the hub tells on the page of its progress; None where it
        still starts, or runs.
        """
        try:
            _status, data = self._ask(
                "GET", f"{_user(student)}/server/progress", "did not tell of the start", quick=True
            )
        except HubError as error:
            return "the hub does not know of a start" if error.status in (400, 404) else None
        except CoursehubError:
            # One that starts has no end of its answer yet.
            return None
        events = [json.loads(line[5:]) for line in data.decode("utf-8", "replace").splitlines() if line[:5] == "data:"]
        return next((str(event["message"]) for event in reversed(events) if event.get("failed")), None)

    def users(self, **query: str) -> list[Object]:
        """Return the hub's users, or those that ``state`` chooses (active: who has a server, or one that starts)."""
        return list({user["name"]: user for user in self._pages("users", query)}.values())

    def groups(self) -> dict[str, list[str]]:
        """Return the hub's groups with the users in them."""
        return {group["name"]: list(group["users"]) for group in self._pages("groups", {})}

    def add_users(self, names: Iterable[str]) -> None:
        """Make users; those that are there stay as they are."""
        self._unless(409, "POST", "users", "did not make the users", {"usernames": list(names)})

    def remove_user(self, name: str) -> None:
        """Remove a user; one that is gone is as wanted. The disk is not the hub's to remove."""
        self._unless(404, "DELETE", _user(name), "did not remove the user")

    def add_group(self, name: str) -> None:
        """Make a group; one that is there stays as it is."""
        self._unless(409, "POST", _group(name), "did not make the group", {})

    def join(self, group: str, names: Iterable[str]) -> None:
        """Put users into a group."""
        self._ask("POST", f"{_group(group)}/users", f"did not add to the group {group}", {"users": list(names)})

    def leave(self, group: str, names: Iterable[str]) -> None:
        """Take users out of a group."""
        self._ask("DELETE", f"{_group(group)}/users", f"did not remove from the group {group}", {"users": list(names)})

    def _unless(self, status: int, method: str, path: str, what: str, body: Object | None = None) -> None:
        """Ask, where one refusal means that it is as wanted."""
        try:
            self._ask(method, path, what, body)
        except HubError as error:
            if error.status != status:
                raise

    def _pages(self, path: str, query: dict[str, str]) -> Iterable[Object]:
        offset: int | None = 0
        while offset is not None:
            words = urlencode({**query, "limit": PAGE, "offset": offset})
            _status, data = self._ask("GET", f"{path}?{words}", f"did not list the {path}")
            answer = json.loads(data)
            yield from answer["items"]
            following = answer["_pagination"]["next"]
            offset = following["offset"] if following else None

    def _ask(
        self,
        method: str,
        path: str,
        what: str,
        body: Object | None = None,
        *,
        quick: bool = False,
        again: Collection[int] = BUSY,
    ) -> tuple[int, bytes]:
        """Return the status and the body of an answer. Raises HubError for a refusal, CoursehubError where nobody
        answers before the deadline; a ``quick`` one is not waited for. ``again`` are the statuses after which one asks
        once more.
        """
        headers = {**self._headers, "Accept": PAGES, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        while True:
            pause = PAUSE_S
            try:
                answer = self._pool.request(
                    method,
                    f"{self._url}/hub/api/{path}",
                    headers=headers,
                    body=content,
                    timeout=PAUSE_S if quick else TIMEOUT_S,
                )
            except urllib3.exceptions.HTTPError as error:
                trouble = CoursehubError(f"the hub at {self._url} does not answer: {error}")
                trouble.__cause__ = error
            else:
                if answer.status < 300:
                    return answer.status, answer.data
                trouble = HubError(
                    answer.status, f"the hub at {self._url} {what} ({answer.status}): {message_of(answer.data)}"
                )
                if answer.status not in again:
                    raise trouble
                pause = _pause(answer.headers.get("Retry-After"))
            if quick or time.monotonic() + pause > self._deadline:
                raise trouble
            self._sleep(pause)


def _pause(retry_after: str | None) -> float:
    """Return the seconds to wait that an answer names, within reason."""
    return min(float(retry_after), LONGEST_PAUSE_S) if retry_after and retry_after.isdecimal() else PAUSE_S


def _user(name: str) -> str:
    return f"users/{quote(name, safe='')}"


def _group(name: str) -> str:
    return f"groups/{quote(name, safe='')}"
