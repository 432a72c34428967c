"""The methods that tell what has changed: https://developers.google.com/workspace/drive/api/guides/manage-changes."""

from __future__ import annotations

from typing import Any

from . import fields, render
from .access import Access
from .clock import format_ms
from .errors import DriveError, invalid, not_implemented
from .model import Change
from .pages import number
from .service import Request, Service

_DEFAULT = fields.parse(
    "kind,nextPageToken,newStartPageToken,"
    "changes(kind,type,changeType,time,removed,fileId,driveId,file(kind,id,name,mimeType,driveId),drive(kind,id,name))"
)


def start_token(service: Service, request: Request) -> dict[str, Any]:
    """changes.getStartPageToken, of what the user sees or of one shared drive."""
    _drive(service, request)
    answer = {"kind": "drive#startPageToken", "startPageToken": str(service.state.next_change)}
    return fields.pick(answer, request.mask({}))


def _drive(service: Service, request: Request) -> str | None:
    drive_id: str | None = request.parameters.get("driveId")
    if drive_id is None:
        return None
    if not request.all_drives:
        raise invalid("supportsAllDrives must be set to true when driveId is specified.", "supportsAllDrives")
    request.access(service).find_drive(drive_id)
    return drive_id


def list_changes(service: Service, request: Request) -> dict[str, Any]:
    """changes.list: each file once, with its state of now, and what is gone."""
    given, state, access = request.parameters, service.state, request.access(service)
    drive_id = _drive(service, request)
    include = bool(given["includeItemsFromAllDrives"])
    if include and not request.all_drives:
        raise invalid(
            "The supportsAllDrives parameter must be set to true when includeItemsFromAllDrives is.",
            "supportsAllDrives",
        )
    if drive_id is not None and not include:
        raise invalid("includeItemsFromAllDrives must be set to true when driveId is specified.", "driveId")
    if given["spaces"] != "drive" or given["includeCorpusRemovals"]:
        raise not_implemented("other spaces, and includeCorpusRemovals")
    start = number(given["pageToken"])
    if not 0 < start <= state.next_change:
        raise DriveError(400, "invalid", "Invalid Value", location="pageToken")
    mask = request.mask(_DEFAULT)
    below = fields.wanted(mask, "changes")
    shown: list[dict[str, Any]] = []
    log = state.changes_since(start)
    following = log[-1].number + 1 if log else start
    token = {"newStartPageToken": str(following)}
    for change in log:
        if not _concerns(access, change, given, drive_id, include):
            continue
        if len(shown) == given["pageSize"]:
            token = {"nextPageToken": str(change.number)}
            break
        shown.append(_shown(access, change, below or {}))
    answer = fields.pick({"kind": "drive#changeList", **token}, mask)
    if below is not None:
        answer["changes"] = shown
    return answer


def _concerns(access: Access, change: Change, given: dict[str, Any], drive_id: str | None, include: bool) -> bool:
    """Tell whether a change is in the caller's log, or in that of a shared drive."""
    if drive_id is not None and change.drive_id != drive_id:
        return False
    if drive_id is None and change.drive_id is not None and not include:
        return False
    if change.audience is not None:
        return bool(given["includeRemoved"]) and access.caller.user in change.audience
    file = access.state.now.files.get(change.file_id)
    if file is None or (file.top and (file.drive_id is None or drive_id is not None)):
        return False
    if given["restrictToMyDrive"] and file.owner != access.caller.user:
        return False
    return access.sees(file, access.state.now)


def _shown(access: Access, change: Change, below: fields.Mask) -> dict[str, Any]:
    state = access.state
    file = None if change.removed else state.now.files[change.file_id]
    of_drive = change.file_id == change.drive_id
    kind = "drive" if of_drive else "file"
    answer: dict[str, Any] = {
        "kind": "drive#change",
        "type": kind,
        "changeType": kind,
        "time": format_ms(change.time),
        "removed": change.removed,
    }
    if of_drive:
        answer["driveId"] = change.drive_id
    else:
        answer["fileId"] = change.file_id
    answer = fields.pick(answer, below)
    wanted = fields.wanted(below, kind)
    if file is not None and wanted is not None:
        tree = state.now
        answer[kind] = (
            fields.pick(render.drive(access, file), wanted) if of_drive else render.file(access, tree, file, wanted)
        )
    return answer
