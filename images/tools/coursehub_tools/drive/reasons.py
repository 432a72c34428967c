"""What Drive says when it refuses, and what is done about it: one table.

https://developers.google.com/workspace/drive/api/guides/handle-errors, and for tokens RFC 6749, section 5.2.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


class Treatment(enum.Enum):
    """What is done about a refusal."""

    RETRY = "retry"
    # What we know of Drive is not so any more: look, plan again, go on.
    LOOK = "look"
    # It is there already, by an id that is ours.
    EXISTS = "exists"
    # This file can't be exported, or not be had back; the others can.
    FILE = "file"
    STUDENT = "student"
    # All who export into this drive or folder are struck.
    DRIVE = "drive"
    CONSENT = "consent"
    # Nothing more goes today.
    DAY = "day"


@dataclass(frozen=True)
class Rule:
    """A treatment, and what a person is to do."""

    treatment: Treatment
    remedy: str


_RETRY = Rule(Treatment.RETRY, "Drive is busy or away: run this again later, it goes on where it was")
_FULL = Rule(Treatment.STUDENT, "the Drive is full: have its owner make room or get more storage, then run this again")
_RIGHTS = Rule(
    Treatment.STUDENT,
    "let the account of the credentials write there (in a shared drive: as content manager), run again",
)
_CONSENT = Rule(
    Treatment.CONSENT,
    "ask the student to allow the export again and store the new token, or the service account's new key",
)
_DEEP = Rule(Treatment.FILE, "Drive takes 100 folders in one another: bundle the topmost of them (bundle: always)")
_SCOPE = Rule(
    Treatment.CONSENT, "the credentials allow too little: grant the scope drive.file, or drive for a shared drive"
)
_DOMAIN = Rule(Treatment.STUDENT, "the domain's administrator doesn't allow this: ask them to allow the app and Drive")

# https://developers.google.com/workspace/drive/api/reference/rest/v3/files/get: who owns the file, or organizes its
# shared drive, may have it all the same with acknowledgeAbuse.
ABUSIVE = "cannotDownloadAbusiveFile"

LOST = Rule(
    Treatment.RETRY,
    "see that the pods of exports reach Google at port 443 (the role's networks, a firewall), then run this"
    " again, it goes on where it was",
)

REASONS: Mapping[str, Rule] = {
    "userRateLimitExceeded": _RETRY,
    "rateLimitExceeded": _RETRY,
    "sharingRateLimitExceeded": _RETRY,
    "backendError": _RETRY,
    "internalError": _RETRY,
    "transientError": _RETRY,
    "temporarily_unavailable": _RETRY,
    "dailyLimitExceeded": Rule(Treatment.DAY, "the project's calls of today are used up: run this again tomorrow"),
    "uploadLimitExceeded": Rule(Treatment.DAY, "750 GB were sent today, which is what Drive takes: run this tomorrow"),
    "storageQuotaExceeded": _FULL,
    "quotaExceeded": _FULL,
    "insufficientFilePermissions": _RIGHTS,
    "insufficientParentPermissions": _RIGHTS,
    "teamDriveMembershipRequired": _RIGHTS,
    "forbidden": _RIGHTS,
    "teamDriveFileLimitExceeded": Rule(
        Treatment.DRIVE, "the shared drive has as many items as it can have (500 000 with the bin): use another one"
    ),
    "numChildrenInNonRootLimitExceeded": Rule(
        Treatment.DRIVE, "the folder has as many items as it can have: name another folder for the exports"
    ),
    "activeItemCreationLimitExceeded": Rule(
        Treatment.DRIVE, "the account has made as many items as it can: export with another account"
    ),
    "teamDriveHierarchyTooDeep": _DEEP,
    "myDriveHierarchyDepthLimitExceeded": _DEEP,
    "uploadTooLarge": Rule(Treatment.FILE, "Drive takes files of at most 5 TiB: have it made smaller or left out"),
    ABUSIVE: Rule(
        Treatment.FILE,
        "Google takes it for malware or spam: look at it in Drive; if it may come back, import with acknowledge_abuse,"
        " by the account of its owner or of a manager of the shared drive",
    ),
    "downloadQuotaExceeded": Rule(
        Treatment.FILE, "it was downloaded too often for now: import it again tomorrow, onto another new disk"
    ),
    "appNotAuthorizedToFile": Rule(
        Treatment.CONSENT,
        "the app may only use files that it made: export into a new folder, or have the student consent",
    ),
    "authError": _CONSENT,
    "required": _CONSENT,
    "invalid_grant": _CONSENT,
    "unauthorized_client": Rule(
        Treatment.CONSENT,
        "delegate the scope to the service account in the domain's Admin console, then run this again",
    ),
    "invalid_client": Rule(
        Treatment.CONSENT, "the OAuth client of the credentials is wrong or gone: correct their file"
    ),
    "access_denied": _CONSENT,
    "insufficientPermissions": _SCOPE,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": _SCOPE,
    "invalid_scope": _SCOPE,
    "domainPolicy": _DOMAIN,
    "admin_policy_enforced": _DOMAIN,
    "accessNotConfigured": Rule(
        Treatment.DRIVE, "switch the Drive API on in the Google Cloud project, then run this again"
    ),
    "notFound": Rule(Treatment.LOOK, "it is not in Drive any more, or the account may not see it: run this again"),
    "parentNotAFolder": Rule(Treatment.LOOK, "a folder of the export was replaced in Drive: run this again"),
    "fileIdInUse": Rule(Treatment.EXISTS, "it is there already"),
}
_UNKNOWN = Rule(Treatment.STUDENT, "this is not expected: report it with what Drive said")


def rule(status: int, reason: str) -> Rule:
    """Return what is done about an answer. A reason that is not known is judged by the status."""
    known = REASONS.get(reason)
    if known is not None:
        return known
    if status in (408, 429) or status >= 500:
        return _RETRY
    return {401: _CONSENT, 404: REASONS["notFound"], 409: REASONS["fileIdInUse"], 413: REASONS["uploadTooLarge"]}.get(
        status, _UNKNOWN
    )


def read(content: bytes) -> tuple[str, str]:
    """Return reason and message of an answer that is an error; both are empty where it has none."""
    try:
        error = json.loads(content)["error"]
        if isinstance(error, str):
            return error, ""
        first = (error.get("errors") or [{}])[0]
        return str(first.get("reason") or error.get("status") or ""), str(error.get("message") or "")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        return "", ""


def retry_after(text: str | None, now: float) -> float | None:
    """Return the seconds of a Retry-After header, which is a number or a date (RFC 9110); None for none."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)


def next_day(now: float) -> str:
    """Return when Drive's day has surely ended, RFC 3339: its documents say 24 hours, and not when they begin."""
    return datetime.fromtimestamp(now + 24 * 3600, UTC).isoformat(timespec="seconds")
