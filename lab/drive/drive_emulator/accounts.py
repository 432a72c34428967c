"""Who there is: users, service accounts, apps with their grants, and the tokens that they hold."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .errors import DriveError

PREFIX = "https://www.googleapis.com/auth/"
# Scopes that show every file of the user; `drive.file` shows the app's own ones only, see
# https://developers.google.com/workspace/drive/api/guides/api-specific-auth.
_ALL_FILES = {PREFIX + name for name in ("drive", "drive.readonly", "drive.metadata", "drive.metadata.readonly")}


@dataclass(frozen=True)
class Caller:
    """Whom a request is from: an identity, an app (the Google Cloud project), and what it may do."""

    user: str
    app: str
    scopes: frozenset[str]
    service_account: bool = False

    @property
    def all_files(self) -> bool:
        return bool(self.scopes & _ALL_FILES)


@dataclass
class ServiceAccount:
    """An account of a project. `delegated` are the scopes for which it may act as any user of the domain."""

    email: str
    app: str
    # Key id -> public key in PEM.
    keys: dict[str, str] = field(default_factory=dict)
    delegated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Client:
    """An OAuth client of an app."""

    id: str
    secret: str
    app: str


@dataclass(frozen=True)
class _Token:
    caller: Caller
    until: float
    # The refresh token that it came from.
    grant: str | None = None


class Accounts:
    """All accounts. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Address -> storage limit in bytes, None for the limit of everybody.
        self.users: dict[str, int | None] = {}
        self.service_accounts: dict[str, ServiceAccount] = {}
        self.clients: dict[str, Client] = {}
        self.grants: dict[str, tuple[Client, Caller]] = {}
        self._tokens: dict[str, _Token] = {}

    def known(self, user: str) -> bool:
        return user in self.users or user in self.service_accounts

    def caller(self, user: str, app: str, scopes: Iterable[str]) -> Caller:
        """Return a caller; ValueError for an unknown user."""
        if not self.known(user):
            raise ValueError(f"there is no user {user}")
        return Caller(user, app, frozenset(scopes), user in self.service_accounts)

    def issue(self, caller: Caller, seconds: float, grant: str | None = None) -> str:
        """Return a fresh access token that lives for so many seconds."""
        now = self._clock()
        self._tokens = {key: token for key, token in self._tokens.items() if token.until > now}
        token = "ya29." + secrets.token_urlsafe(32)
        self._tokens[token] = _Token(caller, now + seconds, grant)
        return token

    def grant(self, client: Client, caller: Caller) -> str:
        """Return a refresh token for what a user has consented to."""
        token = "1//" + secrets.token_urlsafe(32)
        self.grants[token] = (client, caller)
        return token

    def identify(self, authorization: str | None) -> Caller:
        """Return whom an Authorization header is from; DriveError 401 where it is from nobody."""
        if not authorization:
            raise DriveError(401, "required", "Login Required.", location="Authorization", location_type="header")
        kind, _space, text = authorization.partition(" ")
        token = self._tokens.get(text.strip()) if kind.lower() == "bearer" else None
        if token is None or token.until <= self._clock():
            raise DriveError(401, "authError", "Invalid Credentials", location="Authorization", location_type="header")
        return token.caller

    def revoke(self, token: str) -> bool:
        """End a refresh token with its access tokens, or an access token with its grant; tell whether there was one."""
        known = self._tokens.get(token)
        grant = known.grant if known else token if token in self.grants else None
        self.grants.pop(grant or "", None)
        self._tokens = {
            key: item for key, item in self._tokens.items() if key != token and (grant is None or item.grant != grant)
        }
        return known is not None or grant is not None

    def revoke_user(self, user: str) -> int:
        """End all grants and tokens of a user, and tell how many; a service account loses its keys too."""
        grants = [key for key, (_client, caller) in self.grants.items() if caller.user == user]
        tokens = [key for key, item in self._tokens.items() if item.caller.user == user]
        for key in grants:
            del self.grants[key]
        for key in tokens:
            del self._tokens[key]
        keys: dict[str, str] = {}
        if user in self.service_accounts:
            keys, self.service_accounts[user].keys = self.service_accounts[user].keys, keys
        return len(grants) + len(tokens) + len(keys)
