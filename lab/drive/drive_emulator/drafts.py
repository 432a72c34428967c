"""How a file would be after a request: who may ask for it, and every limit, with nothing changed yet.

So an upload is refused before its bytes come, and asked about again when they are there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .access import Access
from .clock import parse_ms
from .errors import DriveError, bad_request, forbidden, invalid, no_permission, not_found, not_implemented
from .limits import check_place, check_properties, check_size
from .model import FOLDER, GOOGLE_TYPES, OCTETS, SHORTCUT, File, Permission, at_least
from .service import Request, Service
from .state import new_id, permission_id

_WRITABLE = {
    "name",
    "mimeType",
    "description",
    "starred",
    "modifiedTime",
    "properties",
    "appProperties",
    "originalFilename",
    "folderColorRgb",
    "copyRequiresWriterPermission",
    "writersCanShare",
    "contentHints",
    "viewedByMeTime",
    "kind",
}
_NEW = _WRITABLE | {"id", "parents", "createdTime"}
_OLD = _WRITABLE | {"trashed"}
_SIMPLE = {
    "name": "name",
    "description": "description",
    "starred": "starred",
    "originalFilename": "original_name",
    "folderColorRgb": "folder_color",
    "copyRequiresWriterPermission": "copy_needs_writer",
    "writersCanShare": "writers_can_share",
}


def check_writable(body: dict[str, Any], *, new: bool) -> None:
    """Refuse fields that this method does not take."""
    for name in sorted(set(body) - (_NEW if new else _OLD)):
        if name in _NEW | _OLD:
            hint = " Use the addParents and removeParents parameters instead." if name == "parents" else ""
            raise forbidden("fieldNotWritable", f"The {name} field is not directly writable here.{hint}")
        raise not_implemented(f"writing the field {name}")


def _time(body: dict[str, Any], name: str, otherwise: int) -> int:
    if body.get(name) is None:
        return otherwise
    try:
        return parse_ms(body[name])
    except ValueError as error:
        raise invalid(f"Invalid value for {name}: {error}", name) from None


def _with_body(service: Service, request: Request, file: File) -> File:
    """Return a file with what a body says of it."""
    body = request.body
    values = {own: body[name] for name, own in _SIMPLE.items() if name in body}
    if "name" in values and not values["name"]:
        raise invalid("A file has a name.", "name")
    properties = _patched(file.properties, body.get("properties"))
    app = request.caller.app
    private = _patched(file.app_properties.get(app, {}), body.get("appProperties"))
    check_properties(service.limits, properties, private=False)
    check_properties(service.limits, private, private=True)
    app_properties = {name: value for name, value in file.app_properties.items() if name != app}
    return replace(
        file,
        modified=_time(body, "modifiedTime", file.modified),
        properties=properties,
        app_properties=app_properties | ({app: private} if private else {}),
        **values,
    )


def _patched(old: Any, patch: dict[str, str | None] | None) -> dict[str, str]:
    merged = {**old, **(patch or {})}
    return {name: value for name, value in merged.items() if value is not None}


def _parent(access: Access, request: Request, parents: list[str] | None) -> File:
    if parents is not None and len(parents) > 1:
        raise forbidden("cannotAddParent", "Increasing the number of parents is not allowed")
    parent_id = parents[0] if parents else "root"
    try:
        parent = access.find(parent_id, all_drives=request.all_drives, needs="writer")
    except DriveError as error:
        if error.reason == "insufficientFilePermissions":
            raise forbidden(
                "insufficientParentPermissions", "Insufficient permissions for the specified parent."
            ) from None
        raise
    if not parent.folder:
        raise forbidden("parentNotAFolder", "The specified parent is not a folder.")
    return parent


def _usable_id(service: Service, wanted: str | None, mime_type: str) -> str:
    if wanted is None:
        return new_id()
    if wanted in service.state.now.files:
        raise DriveError(409, "fileIdInUse", "A file already exists with the provided ID.")
    if mime_type.startswith(GOOGLE_TYPES) and mime_type != FOLDER:
        raise forbidden("insufficientFilePermissions", "Generated IDs are not supported for Docs Editors formats.")
    if wanted not in service.state.reserved:
        raise invalid("The provided file ID is not usable.", "file.id")
    return wanted


def new_file(service: Service, request: Request, size: int) -> File:
    """Return the new file of a request, without its content of `size` bytes; DriveError where it may not."""
    check_writable(request.body, new=True)
    access = request.access(service)
    mime_type = request.body.get("mimeType") or request.content_type or OCTETS
    file_id = _usable_id(service, request.body.get("id"), mime_type)
    parent = _parent(access, request, request.body.get("parents"))
    if mime_type == SHORTCUT:
        raise not_implemented("shortcuts")
    check_size(service.limits, size)
    _check_room(service, access, parent, size)
    now, me = service.state.time_ms(), request.caller.user
    owner = None if parent.drive_id else me
    file = File(
        id=file_id,
        name="Untitled",
        mime_type=mime_type,
        parent=parent.id,
        owner=owner,
        drive_id=parent.drive_id,
        app=request.caller.app,
        creator=me,
        created=_time(request.body, "createdTime", now),
        modified=now,
        modified_by=me,
        permissions=(Permission(permission_id("user", owner), "user", "owner", owner),) if owner else (),
    )
    return _with_body(service, request, file)


def _check_room(service: Service, access: Access, parent: File, size: int) -> None:
    owner = None if parent.drive_id else access.caller.user
    if owner is not None:
        access.check_storage(owner, size, service.storage_limit(owner))
    check_place(service.limits, service.state.now, parent)
    service.rates.check_day(service.limits, access.caller.user, size)
    if parent.drive_id:
        service.state.check_items(parent.drive_id)


def changed_file(service: Service, request: Request, size: int | None) -> File:
    """Return a file as a request wants it to be, without new content of `size` bytes; DriveError where it may not."""
    check_writable(request.body, new=False)
    access, body, state = request.access(service), request.body, service.state
    old = access.find(request.parameters["fileId"], all_drives=request.all_drives, needs="writer")
    if old.top and (set(body) - {"kind"} or size is not None):
        raise forbidden("fieldNotWritable", "The top folder of a drive can't be changed.")
    mime_type = body.get("mimeType") or (request.content_type if size is not None else None) or old.mime_type
    if mime_type != old.mime_type and (size is None or old.content is None):
        raise invalid("The type of a file changes only with its content.", "mimeType")
    if size is not None:
        if old.content is None:
            raise forbidden("fileNotDownloadable", "Only files with binary content can have new content.")
        check_size(service.limits, size)
        if old.owner is not None:
            access.check_storage(old.owner, size - old.size, service.storage_limit(old.owner))
        service.rates.check_day(service.limits, request.caller.user, size)
    visible = set(body) & {"name", "description"} or size is not None
    file = replace(
        old,
        mime_type=mime_type,
        modified=state.time_ms() if visible else old.modified,
        modified_by=request.caller.user if visible else old.modified_by,
    )
    file = _moved(service, request, _with_body(service, request, file))
    return _trashed(service, access, file, body.get("trashed"))


def _trashed(service: Service, access: Access, file: File, wanted: bool | None) -> File:
    if wanted is None or wanted == file.trashed:
        return file
    if not at_least(access.role(file), "fileOrganizer" if file.drive_id else "owner"):
        raise no_permission(file.id)
    if not wanted:
        return replace(file, trashed=False, trashed_at=None, trashed_by=None)
    return replace(file, trashed=True, trashed_at=service.state.time_ms(), trashed_by=access.caller.user)


def _moved(service: Service, request: Request, file: File) -> File:
    """Return a file in the folder to which addParents and removeParents move it."""
    access, tree = request.access(service), service.state.now
    me = service.state.root(request.caller.user).id
    added, removed = (
        [me if item == "root" else item for item in (request.parameters.get(name) or "").split(",") if item]
        for name in ("addParents", "removeParents")
    )
    if not added and not removed:
        return file
    if file.top:
        raise forbidden("fieldNotWritable", "The top folder of a drive can't be moved.")
    if unknown := set(removed) - {file.parent}:
        raise not_found(sorted(unknown)[0])
    if file.parent in added and not removed:
        raise bad_request("The file is in this folder already.", "addParents")
    if not removed or len(set(added)) > 1:
        raise forbidden("cannotAddParent", "Increasing the number of parents is not allowed")
    if not added:
        raise forbidden("cannotRemoveParent", "A file has one parent.")
    parent = _parent(access, request, added)
    if parent.id == file.parent:
        return file
    if any(item.id == file.id for item in tree.line(parent)):
        raise bad_request("A folder can't be in itself.", "addParents")
    if file.drive_id and not at_least(access.role(file), "fileOrganizer"):
        raise no_permission(file.id)
    if parent.drive_id != file.drive_id:
        if file.folder:
            raise not_implemented("moving a folder from one drive to another")
        if file.drive_id is None and file.owner != request.caller.user:
            raise no_permission(file.id)
        _check_room(service, access, parent, file.size)
    check_place(service.limits, tree, parent, height=tree.height(file))
    owner = None if parent.drive_id else (file.owner or request.caller.user)
    permissions = file.permissions
    if parent.drive_id != file.drive_id:
        permissions = (Permission(permission_id("user", owner), "user", "owner", owner),) if owner else ()
    return replace(file, parent=parent.id, drive_id=parent.drive_id, owner=owner, permissions=permissions)
