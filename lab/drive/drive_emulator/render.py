"""Files and what belongs to them as the API's JSON. Only the fields that are asked for are worked out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from .access import Access
from .clock import format_ms
from .fields import Mask, select, wanted
from .model import GOOGLE_TYPES, File, Permission, at_least
from .state import permission_id
from .tree import Tree

# What is answered where no fields are asked for, see
# https://developers.google.com/workspace/drive/api/guides/fields-parameter.
FILE: Mask = {name: {} for name in ("kind", "id", "name", "mimeType")}


class View:
    """What a caller sees of one file."""

    def __init__(self, access: Access, tree: Tree, file: File) -> None:
        self.access = access
        self.tree = tree
        self.file = file
        self.me = access.caller.user
        self.app = access.caller.app

    @property
    def shared_drive(self) -> bool:
        return self.file.drive_id is not None

    def user(self, address: str) -> dict[str, Any]:
        return user(address, self.me)

    def parents(self) -> list[str] | None:
        parent = self.tree.files.get(self.file.parent or "")
        return [parent.id] if parent and self.tree.role(self.me, parent) else None

    def permissions(self) -> list[dict[str, Any]] | None:
        if self.shared_drive or not at_least(self.tree.role(self.me, self.file), "writer"):
            return None
        return [permission(item) for item in self.file.permissions]

    def capabilities(self) -> dict[str, bool]:
        role, file = self.tree.role(self.me, self.file), self.file
        edit = at_least(role, "writer")
        trash = at_least(role, "fileOrganizer" if self.shared_drive else "owner") and not file.top
        parent = self.tree.files.get(file.parent or "", file)
        delete = at_least(self.tree.role(self.me, parent), "organizer") if self.shared_drive else trash
        return {
            "canAddChildren": edit and file.folder,
            "canCopy": not file.folder,
            "canDelete": delete and not file.top,
            "canDownload": file.content is not None,
            "canEdit": edit,
            "canListChildren": file.folder,
            "canModifyContent": edit,
            "canRename": edit and not file.top,
            "canShare": at_least(role, "organizer") if self.shared_drive else edit,
            "canTrash": trash,
            "canUntrash": trash,
        }


def _suffix(file: File) -> str | None:
    return PurePosixPath(file.name.replace("/", "_")).suffix[1:] if file.content else None


_FILE: dict[str, Callable[[View], Any]] = {
    "kind": lambda v: "drive#file",
    "id": lambda v: v.file.id,
    "name": lambda v: v.file.name,
    "mimeType": lambda v: v.file.mime_type,
    "description": lambda v: v.file.description,
    "starred": lambda v: v.file.starred,
    "trashed": lambda v: v.tree.trashed(v.file),
    "explicitlyTrashed": lambda v: v.file.trashed,
    "trashedTime": lambda v: format_ms(v.file.trashed_at) if v.file.trashed_at and v.shared_drive else None,
    "trashingUser": lambda v: v.user(v.file.trashed_by) if v.file.trashed_by and v.shared_drive else None,
    "parents": View.parents,
    "properties": lambda v: dict(v.file.properties) or None,
    "appProperties": lambda v: dict(v.file.app_properties.get(v.app, {})) or None,
    "spaces": lambda v: ["drive"],
    "version": lambda v: str(v.file.version),
    "createdTime": lambda v: format_ms(v.file.created),
    "modifiedTime": lambda v: format_ms(v.file.modified),
    "lastModifyingUser": lambda v: v.user(v.file.modified_by),
    "owners": lambda v: [v.user(v.file.owner)] if v.file.owner else None,
    "ownedByMe": lambda v: v.file.owner == v.me if not v.shared_drive else None,
    "driveId": lambda v: v.file.drive_id,
    "shared": lambda v: len(v.tree.audience(v.file)) > 1 if not v.shared_drive else None,
    "permissions": View.permissions,
    "permissionIds": lambda v: [item.id for item in v.file.permissions] or None,
    "capabilities": View.capabilities,
    "isAppAuthorized": lambda v: v.file.app == v.app,
    "copyRequiresWriterPermission": lambda v: v.file.copy_needs_writer,
    "writersCanShare": lambda v: v.file.writers_can_share if not v.shared_drive else None,
    "folderColorRgb": lambda v: v.file.folder_color,
    "webViewLink": lambda v: f"https://drive.google.com/{_link(v.file)}",
    "originalFilename": lambda v: (v.file.original_name or v.file.name) if v.file.content else None,
    "fileExtension": lambda v: _suffix(v.file),
    "fullFileExtension": lambda v: _suffix(v.file),
    "headRevisionId": lambda v: v.file.head_revision,
    "quotaBytesUsed": lambda v: str(v.file.size),
    "size": lambda v: str(v.file.content.size) if v.file.content else None,
    "md5Checksum": lambda v: v.file.content.md5 if v.file.content else None,
    "sha1Checksum": lambda v: v.file.content.sha1 if v.file.content else None,
    "sha256Checksum": lambda v: v.file.content.sha256 if v.file.content else None,
}


def _link(file: File) -> str:
    if file.folder:
        return f"drive/folders/{file.id}"
    return f"{'document' if file.mime_type.startswith(GOOGLE_TYPES) else 'file'}/d/{file.id}/view"


def file(access: Access, tree: Tree, item: File, mask: Mask) -> dict[str, Any]:
    """Return a file with the fields that a mask shows; an empty mask shows all."""
    view = View(access, tree, item)
    answer: dict[str, Any] = {}
    for name, worked_out in _FILE.items():
        below = wanted(mask, name)
        if below is not None and (value := worked_out(view)) is not None:
            answer[name] = select(value, below)
    return answer


def user(address: str, me: str) -> dict[str, Any]:
    """Return a user as the API shows one."""
    return {
        "kind": "drive#user",
        "displayName": address.partition("@")[0],
        "me": address == me,
        "permissionId": permission_id("user", address),
        "emailAddress": address,
    }


def permission(item: Permission, inherited_from: File | None = None, drive: bool = False) -> dict[str, Any]:
    """Return a permission as the API shows one; in a shared drive with where it comes from."""
    answer: dict[str, Any] = {"kind": "drive#permission", "id": item.id, "type": item.type, "role": item.role}
    if item.type in ("user", "group"):
        answer |= {"emailAddress": item.address, "displayName": item.address.partition("@")[0]}
        answer |= {"deleted": False, "pendingOwner": False}
    else:
        answer["allowFileDiscovery"] = False
    if item.type == "domain":
        answer |= {"domain": item.address, "displayName": item.address}
    if drive:
        member = inherited_from is None or inherited_from.top
        detail = {"permissionType": "member" if member else "file", "role": item.role}
        source = {"inheritedFrom": inherited_from.id} if inherited_from else {}
        answer["permissionDetails"] = [detail | {"inherited": inherited_from is not None} | source]
    return answer


def drive(access: Access, top: File) -> dict[str, Any]:
    """Return a shared drive as the API shows one."""
    role = access.role(top)
    edit, organize = at_least(role, "writer"), at_least(role, "organizer")
    return {
        "kind": "drive#drive",
        "id": top.id,
        "name": top.name,
        "createdTime": format_ms(top.created),
        "hidden": False,
        "capabilities": {
            "canAddChildren": edit,
            "canDeleteChildren": organize,
            "canDeleteDrive": organize,
            "canDownload": True,
            "canEdit": edit,
            "canListChildren": True,
            "canManageMembers": organize,
            "canRename": edit,
            "canRenameDrive": organize,
            "canShare": organize,
            "canTrashChildren": at_least(role, "fileOrganizer"),
        },
        "restrictions": {
            "adminManagedRestrictions": False,
            "copyRequiresWriterPermission": False,
            "domainUsersOnly": False,
            "driveMembersOnly": False,
        },
    }
