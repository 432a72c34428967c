"""The API over HTTP: whom a request is from, whether it is allowed, and what is answered."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from . import fields, oauth, rates, wire
from .accounts import Caller
from .discovery import Call, Discovery
from .errors import DriveError, not_implemented
from .faults import Plan
from .media import CHUNK_METHOD, Media
from .methods import METHODS
from .service import Request, Service

LOG = logging.getLogger("drive_emulator")
_TOKEN_PATHS = ("/token", "/oauth2/v4/token", "/o/oauth2/token")
NOBODY = "-"


class Api:
    """Google's side. With `strict`, an answer that is not as Google's description says is an error of the emulator."""

    def __init__(self, service: Service, discovery: Discovery, *, strict: bool = False) -> None:
        self.service = service
        self.discovery = discovery
        self.strict = strict
        self.media = Media(service, discovery)
        self.internal_errors = 0

    def application(self) -> web.Application:
        """Return what serves it."""
        application = web.Application(client_max_size=wire.JSON_BYTES)
        for path in _TOKEN_PATHS:
            application.router.add_post(path, self._token)
        application.router.add_post("/revoke", self._revoke)
        application.router.add_route("*", "/{path:.*}", self._handle)
        return application

    async def _token(self, http: web.Request) -> web.Response:
        form = await self._form(http)
        own = f"{http.scheme}://{http.host}{http.path}"
        now, lifetime = self.service.clock(), self.service.limits.access_token_s
        return await self._oauth("oauth.token", lambda: oauth.token(self.service.accounts, form, now, lifetime, own))

    async def _revoke(self, http: web.Request) -> web.Response:
        form = {**dict(http.query), **await self._form(http)}
        return await self._oauth("oauth.revoke", lambda: oauth.revoke(self.service.accounts, form))

    async def _form(self, http: web.Request) -> dict[str, str]:
        try:
            return {name: value for name, value in (await http.post()).items() if isinstance(value, str)}
        except (ValueError, web.HTTPException):
            return {}

    async def _oauth(self, method: str, work: Any) -> web.Response:
        self.service.counters.calls[method, NOBODY] += 1
        plan = self.service.faults.plan(method, NOBODY)
        await asyncio.sleep(plan.delay_s)
        if plan.before is not None:
            status, body = plan.before.status, {"error": plan.before.reason, "error_description": plan.before.message}
        else:
            try:
                status, body = 200, work()
            except oauth.OAuthError as error:
                LOG.info("%s refused: %s: %s", method, error.error, error.description)
                status, body = error.status, error.body()
        self.service.counters.answers[method, NOBODY, status, body.get("error", "")] += 1
        return wire.answer(body, status)

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        names = ["unknown", NOBODY]
        reason = ""
        try:
            response = await self._dispatch(http, names)
        except DriveError as error:
            reason = error.reason
            # What Google's description does not have is a mistake of the client's, and seen without being asked for.
            level = logging.WARNING if error.status in (400, 405, 501) else logging.INFO
            said = " ".join(error.message.split())
            LOG.log(level, "%s %s: %s %s: %s", http.method, http.rel_url.raw_path, error.status, reason, said)
            response = wire.answer(error.body(), error.status, error.headers())
        except wire.Cut:
            response, reason = _cut(http), "cut"
        except wire.GONE:
            response, reason = web.Response(status=499), "gone"
        except Exception as error:
            self.internal_errors += 1
            LOG.error("%s %s: %s: %s", http.method, http.rel_url.raw_path, type(error).__name__, error)
            LOG.debug("where it happened", exc_info=True)
            failed = DriveError(500, "backendError", "The emulator itself has failed, see its log.")
            response, reason = wire.answer(failed.body(), failed.status), failed.reason
        self.service.counters.answers[names[0], names[1], response.status, reason] += 1
        return response

    async def _dispatch(self, http: web.Request, names: list[str]) -> web.StreamResponse:
        """Answer a request; `names` takes its method and identity as soon as they are known, for the counters."""
        if http.method in ("PUT", "POST") and "upload_id" in http.query and http.path.startswith("/upload/"):
            return await self._chunk(http, names)
        call = self.discovery.call(http.method, http.rel_url.raw_path, http.query.items())
        names[0] = call.method.id
        try:
            caller = self.service.accounts.identify(http.headers.get("Authorization"))
            names[1] = caller.user
        finally:
            self.service.counters.calls[names[0], names[1]] += 1
        plan = self.service.faults.plan(names[0], names[1])
        await asyncio.sleep(plan.delay_s)
        if plan.before is not None:
            raise plan.before
        download = call.parameters["alt"] == "media"
        self._admit(caller, call, download)
        if call.upload:
            response: web.StreamResponse = await self.media.upload(http, caller, call, plan)
        elif download:
            response = await self.media.download(http, caller, call, plan)
        else:
            response = wire.answer(await self._answer(http, caller, call))
        self._check_answer(call, response)
        return _after(response, plan)

    def _admit(self, caller: Caller, call: Call, download: bool) -> None:
        """Refuse a call that the scopes don't allow, that is not there, or that comes too fast."""
        if not call.method.scopes & caller.scopes:
            raise DriveError(
                403,
                "insufficientPermissions",
                "Insufficient Permission: Request had insufficient authentication scopes.",
            )
        if call.method.id not in METHODS or (download and call.method.id != "drive.files.get"):
            raise not_implemented(f"{call.method.id} with alt={call.parameters['alt']}")
        if not download and call.parameters["alt"] != "json":
            raise not_implemented(f"alt={call.parameters['alt']}")
        if call.parameters.get("uploadType") and not call.upload:
            raise DriveError(400, "badRequest", "An upload goes to /upload.", location="uploadType")
        limits = self.service.limits
        cost = rates.units(limits, call.method.id, download=download)
        write = cost == limits.edit_units and call.method.http_method != "GET"
        self.service.rates.call(limits, caller.user, caller.app, cost, write=write)
        if call.parameters.get("fields"):
            self.discovery.check_mask(call.method.response, fields.parse(call.parameters["fields"]))

    async def _answer(self, http: web.Request, caller: Caller, call: Call) -> Any:
        body = await wire.read_json(http)
        self.discovery.check_body(call.method.request, body)
        return METHODS[call.method.id](self.service, Request(caller, call.parameters, body))

    def _check_answer(self, call: Call, response: web.StreamResponse) -> None:
        if not self.strict or not isinstance(response, web.Response) or response.content_type != "application/json":
            return
        problems = self.discovery.check_response(call.method.response, wire.parse_json(response.body or b""))  # type: ignore[arg-type]
        if problems:
            raise AssertionError(f"{call.method.id} answers what Google's description has not: {problems}")

    async def _chunk(self, http: web.Request, names: list[str]) -> web.StreamResponse:
        names[0] = CHUNK_METHOD
        session_id = http.query["upload_id"]
        try:
            session = self.service.sessions.find(session_id)
            names[1] = session.caller.user
        finally:
            self.service.counters.calls[names[0], names[1]] += 1
        plan = self.service.faults.plan(names[0], names[1])
        await asyncio.sleep(plan.delay_s)
        if plan.expire_session:
            self.service.sessions.expire(session_id)
        if plan.before is not None:
            raise plan.before
        # The address of a session is a secret that is enough by itself; a token that comes with it is looked at.
        if http.headers.get("Authorization"):
            self.service.accounts.identify(http.headers["Authorization"])
        session = self.service.sessions.find(session_id)
        response = await self.media.chunk(http, session, plan)
        self._check_answer(session.call, response)
        return _after(response, plan)


def _after(response: web.StreamResponse, plan: Plan) -> web.StreamResponse:
    """Return the answer to work that is done, or what a fault has put in its place."""
    if plan.after is not None:
        raise plan.after
    if plan.cut_after_bytes is not None and not response.prepared:
        raise wire.Cut
    return response


def _cut(http: web.Request) -> web.Response:
    if http.transport is not None:
        http.transport.abort()
    return web.Response(status=499)
