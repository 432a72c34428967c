"""Google's token endpoint: grants for service accounts and for refresh tokens, and their end.

https://developers.google.com/identity/protocols/oauth2/service-account and .../oauth2/web-server
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from . import jwt
from .accounts import Accounts, Caller

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = (
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
)
# An assertion lives an hour at most; clocks may differ by this many seconds.
_LIFETIME_S = 3600
_SKEW_S = 300


class OAuthError(Exception):
    """An answer that is an error, in the shape of RFC 6749."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, str]:
        """Return the JSON that goes with the status."""
        return {"error": self.error, "error_description": self.description}


def token(accounts: Accounts, form: Mapping[str, str], now: float, lifetime_s: int, own_url: str) -> dict[str, Any]:
    """Return the answer to a request for an access token; OAuthError where it is refused.

    `own_url` is the address at which the emulator was asked: an assertion may be meant for it too.
    """
    kind = form.get("grant_type", "")
    if kind == JWT_GRANT:
        caller, grant = _assertion(accounts, form.get("assertion", ""), now, (*AUDIENCES, own_url)), None
    elif kind == "refresh_token":
        caller, grant = _refresh(accounts, form)
    else:
        raise OAuthError(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")
    access = accounts.issue(caller, lifetime_s, grant)
    return {
        "access_token": access,
        "expires_in": lifetime_s,
        "scope": " ".join(sorted(caller.scopes)),
        "token_type": "Bearer",
    }


def _assertion(accounts: Accounts, text: str, now: float, audiences: tuple[str, ...]) -> Caller:
    try:
        claims = jwt.claims(text)
    except jwt.JwtError as error:
        raise OAuthError(400, "invalid_grant", f"Invalid JWT: {error}.") from None
    account = accounts.service_accounts.get(str(claims.get("iss")))
    if account is None:
        raise OAuthError(400, "invalid_grant", "Invalid grant: account not found")
    try:
        jwt.verify(text, account.keys.values())
    except jwt.JwtError:
        raise OAuthError(400, "invalid_grant", "Invalid JWT Signature.") from None
    if claims.get("aud") not in audiences:
        raise OAuthError(400, "invalid_grant", "Invalid JWT: Failed audience check.")
    if not _timely(claims.get("iat"), claims.get("exp"), now):
        raise OAuthError(
            400,
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        )
    scopes = frozenset(str(claims.get("scope", "")).split())
    if not scopes:
        raise OAuthError(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    subject = str(claims.get("sub") or account.email)
    if subject == account.email:
        return Caller(account.email, account.app, scopes, service_account=True)
    if not scopes <= account.delegated:
        raise OAuthError(
            401,
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of "
            "the scopes requested.",
        )
    if subject not in accounts.users:
        raise OAuthError(400, "invalid_grant", "Invalid email or User ID")
    return Caller(subject, account.app, scopes)


def _timely(issued: Any, until: Any, now: float) -> bool:
    if not isinstance(issued, (int, float)) or not isinstance(until, (int, float)):
        return False
    return until > now and issued <= now + _SKEW_S and until - issued <= _LIFETIME_S


def _refresh(accounts: Accounts, form: Mapping[str, str]) -> tuple[Caller, str]:
    client = accounts.clients.get(form.get("client_id", ""))
    if client is None:
        raise OAuthError(401, "invalid_client", "The OAuth client was not found.")
    if not secrets.compare_digest(client.secret.encode(), form.get("client_secret", "").encode()):
        raise OAuthError(401, "invalid_client", "The provided client secret is invalid.")
    grant = form.get("refresh_token", "")
    known = accounts.grants.get(grant)
    if known is None or known[0] != client:
        raise OAuthError(400, "invalid_grant", "Token has been expired or revoked.")
    return known[1], grant


def revoke(accounts: Accounts, form: Mapping[str, str]) -> dict[str, Any]:
    """End a token; OAuthError where there is none such."""
    if not accounts.revoke(form.get("token", "")):
        raise OAuthError(400, "invalid_token", "Token expired or revoked")
    return {}
