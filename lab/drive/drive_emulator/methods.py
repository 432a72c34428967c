"""The methods of Drive v3 that the emulator has, by the id that Google's description gives them."""

from __future__ import annotations

from . import changes, drives, files, listing, permissions
from .service import Handler

METHODS: dict[str, Handler] = {
    "drive.about.get": drives.about,
    "drive.changes.getStartPageToken": changes.start_token,
    "drive.changes.list": changes.list_changes,
    "drive.drives.create": drives.create,
    "drive.drives.delete": drives.delete,
    "drive.drives.get": drives.get,
    "drive.drives.list": drives.list_drives,
    "drive.drives.update": drives.update,
    "drive.files.copy": files.copy,
    "drive.files.create": files.create,
    "drive.files.delete": files.delete,
    "drive.files.emptyTrash": files.empty_trash,
    "drive.files.generateIds": files.generate_ids,
    "drive.files.get": files.get,
    "drive.files.list": listing.list_files,
    "drive.files.update": files.update,
    "drive.permissions.create": permissions.create,
    "drive.permissions.delete": permissions.delete,
    "drive.permissions.get": permissions.get,
    "drive.permissions.list": permissions.list_permissions,
    "drive.permissions.update": permissions.update,
}
