"""What a Drive is made of. Everything here is a value: a change makes a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
GOOGLE_TYPES = "application/vnd.google-apps."
OCTETS = "application/octet-stream"
# From the least to the most, see https://developers.google.com/workspace/drive/api/guides/ref-roles.
ROLES = ("reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")
# One for all files that have none.
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may do what: a user or group by address, a domain, or anyone."""

    id: str
    type: str
    role: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a file: their name on disk, size in bytes, and checksums in hexadecimal."""

    key: str
    size: int
    md5: str
    sha1: str
    sha256: str


@dataclass(frozen=True, slots=True)
class File:
    """A file or a folder. A shared drive is the folder at its top, whose permissions are its members.

    Times are in milliseconds since 1970. `owner` is None in shared drives, `drive_id` is None outside of them.
    `app` is the app that made the file, and `app_properties` has one mapping an app.
    """

    id: str
    name: str
    mime_type: str
    parent: str | None
    owner: str | None
    drive_id: str | None
    app: str
    creator: str
    created: int
    modified: int
    modified_by: str
    version: int = 1
    content: Content | None = None
    head_revision: str | None = None
    original_name: str | None = None
    description: str | None = None
    starred: bool = False
    trashed: bool = False
    trashed_at: int | None = None
    trashed_by: str | None = None
    folder_color: str | None = None
    copy_needs_writer: bool = False
    writers_can_share: bool = True
    permissions: tuple[Permission, ...] = ()
    properties: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    app_properties: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: _NOTHING)

    @property
    def folder(self) -> bool:
        return self.mime_type == FOLDER

    @property
    def size(self) -> int:
        return self.content.size if self.content else 0

    @property
    def top(self) -> bool:
        """Whether it is a My Drive or a shared drive itself."""
        return self.parent is None


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the change log. `audience` are the users who can no longer see a removed file."""

    number: int
    time: int
    file_id: str
    drive_id: str | None
    audience: frozenset[str] | None = None

    @property
    def removed(self) -> bool:
        return self.audience is not None


def at_least(role: str | None, wanted: str) -> bool:
    """Tell whether a role may do all that another one may."""
    return role is not None and ROLES.index(role) >= ROLES.index(wanted)
