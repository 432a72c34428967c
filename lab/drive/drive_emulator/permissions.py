"""The methods that share files, and that make members of shared drives.

https://developers.google.com/workspace/drive/api/guides/manage-sharing
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import fields, render
from .errors import DriveError, forbidden, invalid, no_permission, not_implemented, required
from .model import ROLES, File, Permission, at_least
from .pages import page
from .service import Request, Service
from .state import permission_id

_ONE = fields.parse("kind,id,type,role")
_MANY = fields.parse("kind,nextPageToken,permissions(kind,id,type,role)")
_TYPES = ("user", "group", "domain", "anyone")
_WRITABLE = {"type", "role", "emailAddress", "domain", "kind", "allowFileDiscovery"}
_PAGE = 100


def _shareable(service: Service, request: Request, file_id: str) -> File:
    """Return a file whose permissions the caller may change; DriveError where that is not so."""
    if request.parameters.get("useDomainAdminAccess"):
        raise not_implemented("access as an administrator of the domain")
    access = request.access(service)
    file = access.find(file_id, all_drives=request.all_drives)
    role = access.role(file)
    if not at_least(role, "organizer" if file.drive_id or not file.writers_can_share else "writer"):
        raise no_permission(file_id)
    if not file.drive_id and file.top:
        raise forbidden("cannotShareRootFolder", "My Drive itself can't be shared.")
    return file


def _checked(request: Request, file: File) -> tuple[str, str, str]:
    """Return type, role and address of a permission that a body asks for."""
    body = request.body
    if unknown := sorted(set(body) - _WRITABLE):
        raise not_implemented(f"writing the field {unknown[0]} of a permission")
    kind, role = body.get("type"), body.get("role")
    if kind is None or role is None:
        raise required("permission.type" if kind is None else "permission.role")
    if kind not in _TYPES:
        raise invalid(f"The specified permission type is invalid: {kind}", "permission.type")
    _check_role(role, file)
    if kind in ("domain", "anyone") and not at_least("writer", role):
        raise forbidden("invalidSharingRequest", f"A {kind} can't be {role}.")
    if kind == "anyone":
        return kind, role, ""
    name = "domain" if kind == "domain" else "emailAddress"
    if not body.get(name):
        raise required(f"permission.{name}")
    return kind, role, body[name]


def _check_role(role: str, file: File) -> None:
    if role not in ROLES:
        raise invalid(f"The specified role is invalid: {role}", "permission.role")
    if role == "owner":
        raise not_implemented("giving a file to another owner")
    if role in ("organizer", "fileOrganizer") and (not file.drive_id or (role == "organizer" and not file.top)):
        raise forbidden("invalidSharingRequest", f"The role {role} is for shared drives.")


def create(service: Service, request: Request) -> dict[str, Any]:
    """permissions.create: for an address that has one already, the role is replaced."""
    file = _shareable(service, request, request.parameters["fileId"])
    kind, role, address = _checked(request, file)
    if kind == "user" and not service.accounts.known(address):
        raise DriveError(400, "invalidSharingRequest", f"Bad Request. User message: there is no user {address}.")
    item = Permission(permission_id(kind, address), kind, role, address)
    if any(other.id == item.id and other.role == "owner" for other in file.permissions):
        raise forbidden("invalidSharingRequest", "The owner's permission can't be replaced.")
    others = tuple(other for other in file.permissions if other.id != item.id)
    service.state.save(replace(file, permissions=(*others, item)))
    return _shown(request, item, file)


def _shown(request: Request, item: Permission, file: File, source: File | None = None) -> dict[str, Any]:
    answer = render.permission(item, source if source is not file else None, drive=file.drive_id is not None)
    return fields.pick(answer, request.mask(_ONE))


def _all(service: Service, file: File) -> list[tuple[Permission, File]]:
    """Return the permissions on a file and where each is from, in a shared drive the inherited ones too."""
    line = list(service.state.now.line(file)) if file.drive_id else [file]
    found: dict[str, tuple[Permission, File]] = {}
    for source in line:
        for item in source.permissions:
            known = found.get(item.id)
            if known is None or at_least(item.role, known[0].role):
                found[item.id] = (item, source)
    return list(found.values())


def list_permissions(service: Service, request: Request) -> dict[str, Any]:
    """permissions.list."""
    file = _readable(service, request)
    items, rest = page(
        _all(service, file), request.parameters.get("pageSize") or _PAGE, request.parameters.get("pageToken")
    )
    shown = [
        render.permission(item, source if source is not file else None, drive=file.drive_id is not None)
        for item, source in items
    ]
    answer = {"kind": "drive#permissionList", "permissions": shown, **rest}
    return fields.pick(answer, request.mask(_MANY))


def _readable(service: Service, request: Request) -> File:
    needs = "reader" if request.parameters["fileId"] in service.state.drives else "writer"
    access = request.access(service)
    return access.find(request.parameters["fileId"], all_drives=request.all_drives, needs=needs)


def _found(service: Service, request: Request, file: File) -> tuple[Permission, File]:
    wanted = request.parameters["permissionId"]
    for item, source in _all(service, file):
        if item.id == wanted:
            return item, source
    raise DriveError(404, "notFound", f"Permission not found: {wanted}.", location="permissionId")


def get(service: Service, request: Request) -> dict[str, Any]:
    """permissions.get."""
    file = _readable(service, request)
    item, source = _found(service, request, file)
    return _shown(request, item, file, source)


def _own(service: Service, request: Request, file: File) -> Permission:
    item, source = _found(service, request, file)
    if source is not file:
        raise forbidden("cannotModifyInheritedPermission", f"The permission {item.id} is inherited from {source.id}.")
    if item.role == "owner":
        raise no_permission(file.id)
    return item


def update(service: Service, request: Request) -> dict[str, Any]:
    """permissions.update: another role."""
    file = _shareable(service, request, request.parameters["fileId"])
    item = _own(service, request, file)
    if set(request.body) - {"role", "kind"} or request.body.get("role") is None:
        raise forbidden("fieldNotWritable", "An update of a permission has a role, and nothing else.")
    _check_role(request.body["role"], file)
    changed = replace(item, role=request.body["role"])
    rest = (changed if other.id == item.id else other for other in file.permissions)
    service.state.save(replace(file, permissions=tuple(rest)))
    return _shown(request, changed, file)


def delete(service: Service, request: Request) -> None:
    """permissions.delete. A shared drive keeps its last organizer."""
    file_id = request.parameters["fileId"]
    access = request.access(service)
    file = access.find(file_id, all_drives=request.all_drives)
    item = _own(service, request, file)
    # Everybody may leave.
    if item.address != request.caller.user:
        _shareable(service, request, file_id)
    left = tuple(other for other in file.permissions if other.id != item.id)
    if file.drive_id and file.top and not any(other.role == "organizer" for other in left):
        raise forbidden("cannotRemoveLastOrganizer", "A shared drive has an organizer.")
    service.state.save(replace(file, permissions=left))
    if item.address and service.state.now.role(item.address, service.state.now.files[file.id]) is None:
        service.state.lose(file, item.address)
