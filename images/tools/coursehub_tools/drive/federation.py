"""Workload identity federation: the pod's own token of the cluster in the place of a key.

Google takes it at its pool of identities, and lets whoever has it act for a service account; with a subject that
account acts for a user, by a signature of Google's. https://docs.cloud.google.com/iam/docs/workload-identity-federation

A file of this kind can name any address, file or program (https://google.aip.dev/auth/4117). So none of those is used:
they are what they have to be here, and a file with others is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from google.auth import identity_pool, impersonated_credentials
from google.auth.exceptions import GoogleAuthError, OAuthError

from .reasons import Rule, Treatment

KIND = "external_account"
# Where Google's documents have it, and where the Job's pod has it.
TOKEN = Path("/var/run/service-account/token")
_STS = "https://sts.googleapis.com/v1/token"
_JWT = "urn:ietf:params:oauth:token-type:jwt"
_ACCOUNT = re.compile(
    r"https://iamcredentials\.googleapis\.com/v1/projects/-/serviceAccounts/"
    r"([a-z0-9][a-z0-9.-]*@[a-z0-9.-]+\.gserviceaccount\.com):generateAccessToken"
)
_NOT_TAKEN = Rule(
    Treatment.CONSENT,
    "Google does not take the cluster's token: compare the provider of the pool (issuer, keys, audiences, condition)"
    " with the audience that is set for exports",
)
_NO_RIGHT = Rule(
    Treatment.CONSENT,
    "switch the IAM Service Account Credentials API on, and let the exports' identity act for the service account"
    " (Workload Identity User; for delegation Service Account Token Creator)",
)
# What the library begins with where the service account can't be had; STS's refusals have a class of their own.
_NO_ACCOUNT = "Unable to acquire impersonated credentials"


def wrong(info: dict[str, Any]) -> tuple[str, str] | None:
    """Return what is wrong with a credential configuration and what to do about it; None where nothing is."""
    source, account = info.get("credential_source"), info.get("service_account_impersonation_url")
    file = {"file": str(TOKEN)}
    if source not in (file, file | {"format": {"type": "text"}}):
        return f"does not take its token from {TOKEN} alone", f"make it anew with --credential-source-file={TOKEN}"
    if info.get("token_url") != _STS or info.get("universe_domain", "googleapis.com") != "googleapis.com":
        return "has not Google's address for tokens", "make it anew with gcloud, as the documentation has it"
    if info.get("subject_token_type") != _JWT or not isinstance(info.get("audience"), str) or not info["audience"]:
        return "is for no provider of the kind OIDC", "make it anew with gcloud, as the documentation has it"
    if account is None:
        # A shared drive's members, and who acts for users, have addresses.
        return "names no service account, and Drive knows no other identity", "make it anew with --service-account"
    if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
        return "has not Google's address for a service account", "make it anew with --service-account"
    if not TOKEN.is_file():
        return (
            f"needs the token of its pod, and there is no {TOKEN}",
            "set workload_identity_audience (coursehub_drive_export_workload_identity_audience)",
        )
    return None


def load(info: dict[str, Any], scopes: list[str], subject: str) -> Any:
    """Return credentials for google-auth of a configuration with which nothing is wrong. Raises ValueError."""
    found = _ACCOUNT.fullmatch(info["service_account_impersonation_url"])
    assert found is not None  # noqa: S101 - it was looked at
    ours = identity_pool.Credentials(info["audience"], _JWT, _STS, {"file": str(TOKEN)})
    return impersonated_credentials.Credentials(ours, found[1], scopes, subject=subject or None)


def refusal(error: GoogleAuthError) -> tuple[Rule, int, str, str] | None:
    """Return rule, status, reason and sentence of a refusal on the way to the service account; None for others.

    A status of 503 stands for an answer that is none.
    """
    by_pool = isinstance(error, OAuthError)
    if not by_pool and not (error.args and str(error.args[0]).startswith(_NO_ACCOUNT)):
        return None
    rule = _NOT_TAKEN if by_pool else _NO_RIGHT
    try:
        body = json.loads(error.args[-1])
        told = body["error"]
        if isinstance(told, dict):
            return rule, int(told["code"]), str(told.get("status", "")), str(told.get("message", ""))
        return rule, 400, str(told), str(body.get("error_description", ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return rule, 503, "", ""
