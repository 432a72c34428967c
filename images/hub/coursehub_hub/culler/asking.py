"""What the culler asks the hub for, some things at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

# Servers that are ended at a time: the hub has others to serve. One that is slow to end holds its place for 10 s; then
# the hub answers that it goes on by itself. So a lecture of 450 who go together takes 4 minutes where each is slow.
AT_ONCE = 20
# A hub that lists a thousand servers while a class starts.
TIMEOUT_S = 60


class Hub:
    """The hub's API. Its methods raise what tornado's client raises. Who sees to one server holds one of ``places``."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token
        self._headers = {"Authorization": f"token {token}"}
        self.places = asyncio.Semaphore(AT_ONCE)
        # The client that all share takes 10 requests at a time, and those that wait for them run into their timeout.
        self._client = AsyncHTTPClient(force_instance=True, max_clients=AT_ONCE)

    async def members(self, group: str) -> list[str]:
        """Return who is in a group; nobody is in one that is not there."""
        found = await self._ask("GET", f"groups/{quote(group, safe='')}")
        return list(found["users"]) if found else []

    async def server(self, user: str, name: str) -> dict[str, Any]:
        """Return what the hub says of a server now, nothing where it runs no more."""
        found = await self._ask("GET", f"users/{quote(user, safe='')}")
        return dict(found["servers"].get(name) or {}) if found else {}

    async def end(self, user: str, name: str) -> None:
        """End a server: wait until it has ended, or until the hub says that it takes longer."""
        where = f"servers/{quote(name, safe='')}" if name else "server"
        await self._ask("DELETE", f"users/{quote(user, safe='')}/{where}")

    async def _ask(self, method: str, path: str) -> dict[str, Any]:
        """Return the answer, nothing where there is none or what is asked for is not there."""
        try:
            answer = await self._client.fetch(
                f"{self.url}/{path}", method=method, headers=self._headers, request_timeout=TIMEOUT_S
            )
        except HTTPClientError as error:
            if error.code != 404:
                raise
            return {}
        return dict(json.loads(answer.body)) if answer.body else {}
