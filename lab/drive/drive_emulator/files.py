"""The methods that make, change and remove files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import render
from .drafts import changed_file, new_file
from .errors import forbidden, no_permission, not_implemented
from .model import GOOGLE_TYPES, Content, File, at_least
from .service import Request, Service
from .state import new_id


def create(service: Service, request: Request) -> dict[str, Any]:
    """files.create, with content or without."""
    content = request.content
    file = new_file(service, request, content.size if content else 0)
    if file.mime_type.startswith(GOOGLE_TYPES):
        if content is not None:
            raise not_implemented("importing content into Google's own formats")
    else:
        file = _with_content(file, content or _empty(service))
    return _saved(service, request, file)


def _empty(service: Service) -> Content:
    return service.contents.writer().finish()


def _with_content(file: File, content: Content) -> File:
    return replace(file, content=content, head_revision=new_id("0B", 51), original_name=file.original_name or file.name)


def _saved(service: Service, request: Request, file: File) -> dict[str, Any]:
    service.state.save(file)
    if request.content is not None:
        service.rates.uploaded(request.caller.user, request.content.size)
    access = request.access(service)
    return render.file(access, service.state.now, service.state.now.files[file.id], request.mask(render.FILE))


def get(service: Service, request: Request) -> dict[str, Any]:
    """files.get without the content."""
    access = request.access(service)
    file = access.find(request.parameters["fileId"], all_drives=request.all_drives)
    return render.file(access, service.state.now, file, request.mask(render.FILE))


def update(service: Service, request: Request) -> dict[str, Any]:
    """files.update, with content or without."""
    content = request.content
    file = changed_file(service, request, content.size if content else None)
    return _saved(service, request, _with_content(file, content) if content else file)


def copy(service: Service, request: Request) -> dict[str, Any]:
    """files.copy: the copy has the content and the properties, and the fields that the body gives."""
    access = request.access(service)
    source = access.find(request.parameters["fileId"], all_drives=request.all_drives)
    if source.folder:
        raise forbidden("cannotCopyFile", "This file cannot be copied by the user.")
    body = dict(request.body)
    if "parents" not in body:
        folder = service.state.now.files.get(source.parent or "")
        if folder is not None and at_least(access.role(folder), "writer"):
            body["parents"] = [folder.id]
    for name, value in (("name", source.name), ("mimeType", source.mime_type), ("description", source.description)):
        if value is not None:
            body.setdefault(name, value)
    properties = (("properties", source.properties), ("appProperties", source.app_properties.get(access.caller.app)))
    for name, values in properties:
        if values:
            body[name] = {**values, **(body.get(name) or {})}
    file = new_file(service, replace(request, body=body), source.size)
    return _saved(service, request, _with_content(file, source.content) if source.content else file)


def delete(service: Service, request: Request) -> None:
    """files.delete: for good, with all that is below. In a shared drive that takes an organizer of the folder."""
    access = request.access(service)
    file = access.find(request.parameters["fileId"], all_drives=request.all_drives, needs="writer")
    above = service.state.now.files.get(file.parent or "")
    enough = at_least(access.role(above or file), "organizer") if file.drive_id else file.owner == access.caller.user
    if above is None or not enough:
        raise no_permission(file.id)
    service.state.erase([file.id])


def empty_trash(service: Service, request: Request) -> None:
    """files.emptyTrash, of My Drive or of one shared drive."""
    state, access = service.state, request.access(service)
    drive_id = request.parameters.get("driveId")
    if drive_id is not None:
        access.find_drive(drive_id, needs="organizer")
    key = ("corpus", drive_id) if drive_id is not None else ("owner", request.caller.user)
    state.erase(sorted(file_id for file_id in state.now.ids(*key) if state.now.files[file_id].trashed))


def generate_ids(service: Service, request: Request) -> dict[str, Any]:
    """files.generateIds."""
    space, kind = request.parameters["space"], request.parameters["type"]
    if space != "drive" or kind != "files":
        raise not_implemented(f"ids of type {kind} for the space {space}")
    ids = service.state.reserve(request.parameters["count"])
    return {"kind": "drive#generatedIds", "space": space, "ids": ids}
