"""Whom Drive takes us for: from a file of one of four kinds, which is never shown.

- a service account's key: it exports into a shared drive that it is a member of;
- the same with a ``subject``: by delegation it is that user, and exports into their own Drive;
- a credential configuration (type ``external_account``): the same two without a key, see ``federation``;
- a stored refresh token (type ``authorized_user``): what a student has consented to.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from ..result import FailedError, because, shown
from . import federation

DRIVE = "https://www.googleapis.com/auth/drive"
# Only what this app has made itself; Google asks for no review of apps that want no more.
DRIVE_FILE = "https://www.googleapis.com/auth/drive.file"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_LARGEST = 1 << 16
_CONSENT = ("client_id", "client_secret", "refresh_token")


def load(path: Path, subject: str, student: str) -> Any:
    """Return credentials for google-auth. Raises FailedError, which never has anything of the file's content."""
    info = _read(path, student)
    kind = info.get("type")
    # A shared drive's folders are somebody else's, which drive.file can't see.
    scopes = [DRIVE_FILE if subject else DRIVE]
    if kind == federation.KIND:
        if problem := federation.wrong(info):
            raise _bad(path, student, *problem)
        return federation.load(info, scopes, subject)
    if kind == "service_account":
        try:
            return service_account.Credentials.from_service_account_info(info, scopes=scopes, subject=subject or None)
        except (GoogleAuthError, ValueError, TypeError):
            raise _bad(path, student, "is no service account's key", "download the key again") from None
    if kind == "authorized_user":
        if subject:
            raise _bad(path, student, f"is a consent, which can't act for '{shown(subject)}'", "leave out the subject")
        if lacking := [name for name in _CONSENT if not isinstance(info.get(name), str) or not info[name]]:
            raise _bad(path, student, f"has no {', '.join(lacking)}", "ask the student to consent again")
        # With no scopes named it gets those that the student has consented to.
        return Credentials(
            None,
            refresh_token=info["refresh_token"],
            token_uri=str(info.get("token_uri") or _TOKEN_URI),
            client_id=info["client_id"],
            client_secret=info["client_secret"],
        )
    raise _bad(path, student, "is no key, no credential configuration and no consent", "give a file of these kinds")


def _read(path: Path, student: str) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            info = json.loads(file.read(_LARGEST))
    except OSError as error:
        raise _bad(
            path, student, f"can't be read ({because(error)})", "look at the Secret and how it is mounted"
        ) from None
    except ValueError:
        raise _bad(path, student, "is no JSON", "store the file as Google gave it") from None
    if not isinstance(info, dict):
        raise _bad(path, student, "is no JSON object", "store the file as Google gave it")
    return info


def _bad(path: Path, student: str, what: str, remedy: str) -> FailedError:
    return FailedError(f"{shown(student)}: the credentials' file '{shown(str(path))}' {what}: {remedy}")
