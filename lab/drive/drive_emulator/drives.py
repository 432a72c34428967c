"""The methods of shared drives, and of the user."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import fields, render
from .errors import DriveError, forbidden, invalid, not_implemented, required
from .pages import page
from .service import Request, Service

_DRIVE = fields.parse("kind,id,name")
_DRIVES = fields.parse("kind,nextPageToken,drives(kind,id,name)")
_WRITABLE = {"name", "kind"}


def _name(request: Request) -> str | None:
    if unknown := sorted(set(request.body) - _WRITABLE):
        raise not_implemented(f"writing the field {unknown[0]} of a shared drive")
    name = request.body.get("name")
    if name is not None and not name.strip():
        raise invalid("A shared drive has a name.", "name")
    return name


def _no_admin(request: Request) -> None:
    if request.parameters.get("useDomainAdminAccess"):
        raise not_implemented("access as an administrator of the domain")


def create(service: Service, request: Request) -> dict[str, Any]:
    """drives.create: whoever makes a shared drive is its organizer."""
    name, wanted = _name(request), request.parameters["requestId"]
    if name is None:
        raise required("name")
    if wanted in service.state.drives.values():
        raise DriveError(409, "duplicate", "A shared drive with this requestId exists already.", location="requestId")
    top = service.state.add_drive(name, request.caller.user, wanted)
    return _shown(service, request, top.id)


def _shown(service: Service, request: Request, drive_id: str) -> dict[str, Any]:
    access = request.access(service)
    return fields.pick(render.drive(access, service.state.now.files[drive_id]), request.mask(_DRIVE))


def get(service: Service, request: Request) -> dict[str, Any]:
    """drives.get, for members."""
    _no_admin(request)
    drive_id = request.parameters["driveId"]
    request.access(service).find_drive(drive_id)
    return _shown(service, request, drive_id)


def update(service: Service, request: Request) -> dict[str, Any]:
    """drives.update: the name."""
    _no_admin(request)
    drive_id = request.parameters["driveId"]
    top = request.access(service).find_drive(drive_id, needs="organizer")
    service.state.save(replace(top, name=_name(request) or top.name))
    return _shown(service, request, drive_id)


def delete(service: Service, request: Request) -> None:
    """drives.delete: for organizers, and only when nothing is in it any more; the bin counts too."""
    _no_admin(request)
    if request.parameters.get("allowItemDeletion"):
        raise invalid("allowItemDeletion needs useDomainAdminAccess.", "allowItemDeletion")
    drive_id = request.parameters["driveId"]
    request.access(service).find_drive(drive_id, needs="organizer")
    if service.state.items(drive_id):
        raise forbidden("cannotDeleteResourceWithChildren", "A shared drive that is not empty can't be deleted.")
    service.state.drop_drive(drive_id)


def list_drives(service: Service, request: Request) -> dict[str, Any]:
    """drives.list: those of which the user is a member."""
    _no_admin(request)
    if request.parameters.get("q"):
        raise not_implemented("searching for shared drives")
    access, files = request.access(service), service.state.now.files
    mine = [files[item] for item in service.state.drives if access.role(files[item])]
    shown, rest = page(mine, request.parameters["pageSize"], request.parameters.get("pageToken"))
    answer = {"kind": "drive#driveList", "drives": [render.drive(access, top) for top in shown], **rest}
    return fields.pick(answer, request.mask(_DRIVES))


def about(service: Service, request: Request) -> dict[str, Any]:
    """about.get, which wants to be told the fields."""
    if not request.parameters.get("fields"):
        raise DriveError(400, "required", "The 'fields' parameter is required for this method.", location="fields")
    me, state = request.caller.user, service.state
    owned = [state.now.files[file_id] for file_id in state.now.ids("owner", me)]
    trash = sum(file.size for file in owned if state.now.trashed(file))
    limit = 0 if request.caller.service_account else service.storage_limit(me)
    answer = {
        "kind": "drive#about",
        "user": render.user(me, me),
        "storageQuota": {
            "limit": str(limit),
            "usage": str(state.used(me)),
            "usageInDrive": str(state.used(me)),
            "usageInDriveTrash": str(trash),
        },
        "maxUploadSize": str(service.limits.file_bytes),
        "importFormats": {},
        "exportFormats": {},
        "appInstalled": True,
        "canCreateDrives": True,
    }
    return fields.pick(answer, request.mask({}))
