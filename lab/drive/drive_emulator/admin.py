"""The port for tests: accounts, limits, faults, time and counters. It has no password; keep it on loopback."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import faults, jwt, wire
from .accounts import PREFIX, Client, ServiceAccount
from .api import Api
from .errors import DriveError
from .service import Service

LOG = logging.getLogger("drive_emulator")
Values = dict[str, Any]
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105


def _text(values: Values, name: str, otherwise: str | None = None) -> str:
    value = values.get(name, otherwise)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text, and is wanted")
    return value


def _scopes(values: Values, name: str = "scopes") -> frozenset[str]:
    """Return scopes, given whole or as what comes after Google's address."""
    value = values.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{name} is a list of texts")
    return frozenset(item if ":" in item else PREFIX + item for item in value)


def _seconds(values: Values, name: str, otherwise: float | None = None) -> float:
    value = values.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} is a number of seconds, and is wanted")
    return value


class Admin:
    """Each method takes the values of a request and returns what is answered; ValueError for wrong ones."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.service: Service = api.service

    def application(self) -> web.Application:
        """Return what serves it."""
        routes: dict[tuple[str, str], Callable[[Values], Values]] = {
            ("GET", "/status"): self.status,
            ("GET", "/counters"): lambda _: self.service.counters.shown(),
            ("DELETE", "/counters"): self.reset_counters,
            ("GET", "/limits"): lambda _: vars(self.service.limits).copy(),
            ("PATCH", "/limits"): self.change_limits,
            ("GET", "/faults"): self.show_faults,
            ("POST", "/faults"): self.add_fault,
            ("DELETE", "/faults"): self.clear_faults,
            ("POST", "/users"): self.add_user,
            ("POST", "/service-accounts"): self.add_service_account,
            ("POST", "/clients"): self.add_client,
            ("POST", "/grants"): self.add_grant,
            ("POST", "/tokens"): self.add_token,
            ("POST", "/revoke"): self.revoke,
            ("POST", "/clock"): self.advance_clock,
            ("DELETE", "/uploads"): self.expire_uploads,
        }
        application = web.Application(client_max_size=wire.JSON_BYTES)
        for (method, path), work in routes.items():
            application.router.add_route(method, path, _handler(work))
        return application

    def status(self, _values: Values) -> Values:
        """Tell how much there is, how often the emulator itself has failed, and from when Google's description is."""
        state = self.service.state
        return {
            "files": len(state.now.files),
            "drives": len(state.drives),
            "internal_errors": self.api.internal_errors,
            "discovery_revision": self.api.discovery.revision,
            "time_s": self.service.clock(),
        }

    def reset_counters(self, _values: Values) -> Values:
        """Return the counters as they were, and begin anew."""
        shown = self.service.counters.shown()
        self.service.counters.reset()
        return shown

    def change_limits(self, values: Values) -> Values:
        """Change the limits that are given; rates begin with a full allowance again."""
        self.service.state.limits = self.service.limits.changed(values)
        self.service.rates.refill()
        return vars(self.service.limits).copy()

    def show_faults(self, _values: Values) -> Values:
        """Return all rules, with how often each has struck."""
        return {"faults": [rule.shown() for rule in self.service.faults.rules]}

    def add_fault(self, values: Values) -> Values:
        """Add a rule after the others."""
        rule = faults.parse(values)
        self.service.faults.rules.append(rule)
        return rule.shown()

    def clear_faults(self, _values: Values) -> Values:
        """Remove all rules, and return them."""
        shown = self.show_faults({})
        self.service.faults.rules.clear()
        return shown

    def add_user(self, values: Values) -> Values:
        """Make a user, or give one another storage: 0 bytes is a full one, null is what everybody has."""
        email, size = _text(values, "email"), values.get("storage_bytes")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise ValueError("storage_bytes is a number of bytes")
        if email in self.service.accounts.service_accounts:
            raise ValueError(f"{email} is a service account, and has no storage")
        self.service.accounts.users[email] = size
        return {"email": email, "storage_bytes": size, "used_bytes": self.service.state.used(email)}

    def add_service_account(self, values: Values) -> Values:
        """Make a service account, and return its key file; with `public_key` the private one is the caller's affair.

        `delegated` are the scopes with which it may act as any user.
        """
        email, app, key_id = _text(values, "email"), _text(values, "app", "app"), _text(values, "key_id", "key-1")
        private, public = (None, values["public_key"]) if values.get("public_key") else jwt.new_key()
        try:
            jwt.public_key(public)
        except (jwt.JwtError, AttributeError):
            raise ValueError("public_key is an RSA key in PEM") from None
        account = ServiceAccount(email, app, {key_id: public}, _scopes(values, "delegated"))
        self.service.accounts.service_accounts[email] = account
        key_file = {
            "type": "service_account",
            "project_id": app,
            "private_key_id": key_id,
            "client_email": email,
            "client_id": email.partition("@")[0],
            "token_uri": _text(values, "token_uri", _TOKEN_URI),
        }
        return key_file | ({"private_key": private} if private else {})

    def add_client(self, values: Values) -> Values:
        """Make an OAuth client of an app."""
        client = Client(_text(values, "id"), _text(values, "secret"), _text(values, "app", "app"))
        self.service.accounts.clients[client.id] = client
        return vars(client).copy()

    def add_grant(self, values: Values) -> Values:
        """Let a user consent to a client's scopes, and return the refresh token."""
        client = self.service.accounts.clients.get(_text(values, "client_id"))
        if client is None:
            raise ValueError("there is no such client")
        caller = self.service.accounts.caller(_text(values, "user"), client.app, _scopes(values))
        return {"refresh_token": self.service.accounts.grant(client, caller)}

    def add_token(self, values: Values) -> Values:
        """Return an access token without any ceremony."""
        accounts, seconds = self.service.accounts, _seconds(values, "seconds", 3600)
        caller = accounts.caller(_text(values, "user"), _text(values, "app", "app"), _scopes(values))
        return {"access_token": accounts.issue(caller, seconds)}

    def revoke(self, values: Values) -> Values:
        """End all grants, tokens and keys of a user or service account."""
        return {"revoked": self.service.accounts.revoke_user(_text(values, "user"))}

    def advance_clock(self, values: Values) -> Values:
        """Move the time on."""
        self.service.clock.advance(_seconds(values, "advance_s"))
        return {"time_s": self.service.clock()}

    def expire_uploads(self, _values: Values) -> Values:
        """Forget all upload sessions."""
        return {"expired": self.service.sessions.expire_all()}


def _handler(work: Callable[[Values], Values]) -> Callable[[web.Request], Any]:
    async def handle(http: web.Request) -> web.Response:
        try:
            return wire.answer(work(await wire.read_json(http)))
        except DriveError as error:
            return wire.answer({"error": error.message}, error.status)
        except ValueError as error:
            return wire.answer({"error": str(error)}, 400)

    return handle
