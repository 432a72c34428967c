"""Who may use this server, by what the hub says, or said last where it can't say any more."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from coursehub_kept import Kept
from coursehub_memory import Answers, Line
from jupyterhub.services.auth import HubOAuth
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.log import app_log
from tornado.web import HTTPError
from traitlets import Float, Instance, default

# A hub that works answers in milliseconds. One whose node is gone does not even refuse the connection.
CONNECT_TIMEOUT_S = 3
REQUEST_TIMEOUT_S = 8
# How often a hub that is away is asked whether it is back.
PAUSE_S = 10
# Twelve hours: a night and a morning.
STALE_S = 12 * 3600.0
AWAY = (
    "The course's hub does not answer just now, and this browser is not logged in here yet."
    " Those who were at work go on working. Try again in a minute."
)


class HubAwayError(Exception):
    """The hub could not be asked, or did not know."""


class StandingHubOAuth(HubOAuth):
    """HubOAuth whose answers stand while the hub is away.

    With the hub there it is as without this class: an answer is asked for again after ``cache_max_age`` seconds, and
    who is refused then is out.
    """

    stale_if_error_s = Float(
        help="Seconds that an answer stands while the hub is away. Default: $COURSEHUB_STALE_IF_ERROR_S, or 12 hours."
    ).tag(config=True)

    @default("stale_if_error_s")
    def _default_stale_if_error(self) -> float:
        return float(os.environ.get("COURSEHUB_STALE_IF_ERROR_S") or STALE_S)

    answers = Instance(Answers)

    @default("answers")
    def _default_answers(self) -> Answers:
        answers = Answers(self.cache_max_age, self.stale_if_error_s)
        for key, user, age_s in self.kept.read():
            answers.recall(key, user, age_s)
        return answers

    kept = Instance(Kept)

    @default("kept")
    def _default_kept(self) -> Kept:
        path = os.environ.get("COURSEHUB_ANSWERS")
        return Kept(Path(path) if path else None)

    line = Instance(Line)

    @default("line")
    def _default_line(self) -> Line:
        return Line(PAUSE_S)

    _behind: asyncio.Task[None] | None = None

    async def _check_hub_authorization(
        self, url: str, api_token: str, cache_key: str | None = None, use_cache: bool = True
    ) -> dict[str, Any] | None:
        """Identify the user of a token, as the base class does; raise HTTPError 503 where nobody can."""
        # By its hash, as it may stand in a file: a session's id is in the key.
        key = hashlib.sha256(cache_key.encode()).hexdigest() if use_cache and cache_key else ""
        answer = self.answers.fresh(key)
        if answer is not None:
            return answer.user
        standing = self.answers.stale(key)
        if standing is not None and self.line.away:
            # Nobody waits for a hub that is known to be away.
            self._ask_behind(url, api_token, key)
            return standing.user
        try:
            return await self._ask_user(url, api_token, key)
        except HubAwayError as error:
            if standing is None:
                raise HTTPError(503, AWAY) from error
            return standing.user

    def _ask_behind(self, url: str, api_token: str, key: str) -> None:
        """Ask the hub without anybody waiting, one at a time and not too often."""
        if (self._behind is None or self._behind.done()) and self.line.take_turn():
            self._behind = asyncio.ensure_future(self._try_user(url, api_token, key))

    async def _try_user(self, url: str, api_token: str, key: str) -> None:
        try:
            await self._ask_user(url, api_token, key)
        except HubAwayError:
            return
        except HTTPError as error:
            app_log.warning("The hub can't tell whose a token is: %s", error)

    async def _ask_user(self, url: str, api_token: str, key: str) -> dict[str, Any] | None:
        """Ask the hub whose a token is, and keep what it says; None for nobody's.

        Raises HubAwayError where it can't tell, HTTPError 500 for a refusal that is not about the token.
        """
        status, body = await self.ask_hub("GET", url, api_token)
        if status == 403:
            user = None
            app_log.warning("No Hub user identified for request")
        elif status >= 400:
            raise HTTPError(500, f"Failed to check authorization: the hub answered {status}")
        else:
            user = json.loads(body)
        if key and self.answers.keep(key, user):
            self.kept.write(self.answers.standing())
        return user

    async def ask_hub(self, method: str, url: str, api_token: str, body: str | None = None) -> tuple[int, str]:
        """Return the status and the text of an answer; log when the hub goes away and when it is back, once each.

        Raises HubAwayError where there is none, and for those that say that the hub itself is not well.
        """
        request = HTTPRequest(
            url,
            method=method,
            body=body,
            headers={"Authorization": f"token {api_token}", "Content-Type": "application/json"},
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=REQUEST_TIMEOUT_S,
            follow_redirects=False,
        )
        try:
            response = await _client().fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise self._away(str(error)) from error
        # Too many requests is what a hub says that has no time.
        if response.code >= 500 or response.code == 429:
            raise self._away(str(response.error or response.code))
        seconds = self.line.answered()
        if seconds is not None:
            app_log.info("The hub answers again, after %d s", seconds)
        return response.code, response.body.decode("utf-8", "replace")

    def _away(self, reason: str) -> HubAwayError:
        if self.line.failed():
            app_log.warning(
                "The hub at %s does not answer (%s): who is logged in here stays so for up to %d s",
                self.api_url,
                reason,
                self.stale_if_error_s,
            )
        return HubAwayError(reason)


def _client() -> AsyncHTTPClient:
    """Return a client of this event loop's own: with the shared one, hub requests would wait for others' slots."""
    loop = asyncio.get_running_loop()
    client = getattr(loop, "_coursehub_client", None)
    if client is None:
        client = AsyncHTTPClient(force_instance=True, max_clients=100)
        loop._coursehub_client = client  # type: ignore[attr-defined]
    return client
