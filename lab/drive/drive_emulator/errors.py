"""Drive's errors: status, reason and message, in the shape that its clients read.

The reasons are those of https://developers.google.com/workspace/drive/api/guides/handle-errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DriveError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: str | None = None,
        location_type: str = "parameter",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.location = location
        self.location_type = location_type
        self._headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the JSON that goes with the status."""
        error: dict[str, Any] = {"message": self.message, "domain": self.domain, "reason": self.reason}
        if self.location is not None:
            error |= {"location": self.location, "locationType": self.location_type}
        return {"error": {"code": self.status, "message": self.message, "errors": [error]}}

    def headers(self) -> dict[str, str]:
        """Return the headers that go with the status."""
        challenge = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
        return (challenge if self.status == 401 else {}) | self._headers


def bad_request(message: str, location: str | None = None) -> DriveError:
    """Return the error for a request that says something that it may not."""
    return DriveError(400, "badRequest", message, location=location)


def invalid(message: str, location: str) -> DriveError:
    """Return the error for a parameter with a wrong value."""
    return DriveError(400, "invalid", message, location=location)


def required(name: str) -> DriveError:
    """Return the error for a parameter that is missing."""
    return DriveError(400, "required", f"Required parameter: {name}", location=name)


def not_found(file_id: str) -> DriveError:
    """Return the error for a file that is not there, or that the caller may not see: Drive tells no difference."""
    return DriveError(404, "notFound", f"File not found: {file_id}.", location="fileId")


def drive_not_found(drive_id: str) -> DriveError:
    """Return the error for a shared drive that is not there, or of which the caller is no member."""
    return DriveError(404, "notFound", f"Shared drive not found: {drive_id}", location="driveId")


def forbidden(reason: str, message: str) -> DriveError:
    """Return an error that says that the caller may not do this."""
    return DriveError(403, reason, message)


def no_permission(file_id: str) -> DriveError:
    """Return the error for a caller whose role on the file is not enough."""
    return forbidden(
        "insufficientFilePermissions", f"The user does not have sufficient permissions for file {file_id}."
    )


def not_implemented(what: str) -> DriveError:
    """Return the error for what Drive has and the emulator has not; never an answer that looks like Drive's."""
    return DriveError(501, "notImplemented", f"The emulator does not have this: {what}")
