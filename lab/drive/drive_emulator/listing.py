"""files.list: which files a query is about, and the pages of what fits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from . import fields, query, render
from .access import Access
from .errors import DriveError, invalid, not_implemented
from .matching import Matcher, ordered
from .model import File
from .service import Request, Service
from .tree import Tree

DEFAULT = fields.parse("kind,nextPageToken,incompleteSearch,files(kind,id,name,mimeType)")
# Lists that are not read to their end are forgotten, the oldest first.
_CURSORS = 1000


def list_files(service: Service, request: Request) -> dict[str, Any]:
    """files.list: the first page makes the list, the others take from it."""
    given = request.parameters
    made_for = tuple(
        given.get(name)
        for name in ("q", "orderBy", "corpora", "driveId", "includeItemsFromAllDrives", "supportsAllDrives", "spaces")
    )
    made_for = (request.caller.user, request.caller.app, *made_for)
    access, seen = request.access(service), service.state.seen()
    if given.get("pageToken") is None:
        ids, start = [file.id for file in _found(service, request, access, seen)], 0
    else:
        ids, start = _known(service, given["pageToken"], made_for)
    mask = request.mask(DEFAULT)
    below = fields.wanted(mask, "files")
    end = start + given["pageSize"]
    answer: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": False}
    if end < len(ids):
        answer["nextPageToken"] = _remember(service, made_for, ids, end)
    answer = fields.pick(answer, mask)
    if below is not None:
        # What has gone since the list was made is not on a later page.
        files = (seen.files[file_id] for file_id in ids[start:end] if file_id in seen.files)
        answer["files"] = [render.file(access, seen, file, below) for file in files]
    return answer


def _known(service: Service, token: str, made_for: tuple[Any, ...]) -> tuple[list[str], int]:
    known = service.cursors.get(token)
    if known is None or known[0] != made_for:
        raise DriveError(400, "invalid", "Invalid Value", location="pageToken")
    return known[1:]


def _remember(service: Service, made_for: tuple[Any, ...], ids: list[str], start: int) -> str:
    while len(service.cursors) >= _CURSORS:
        del service.cursors[next(iter(service.cursors))]
    token = "~!!~" + secrets.token_urlsafe(24)
    service.cursors[token] = (made_for, ids, start)
    return token


def _found(service: Service, request: Request, access: Access, seen: Tree) -> list[File]:
    given = request.parameters
    corpora, drive_id, with_drives = given.get("corpora") or "user", given.get("driveId"), _with_drives(given)
    if drive_id is not None:
        access.find_drive(drive_id)
    node = query.parse(given.get("q") or "")
    named = query.folders(node)
    if named is not None:
        # A folder that is not there is an error, and not a list of nothing.
        folders = {access.find(folder, all_drives=request.all_drives).id for folder in sorted(named)}
        candidates: Iterable[str] = [file_id for folder in folders for file_id in seen.children(folder)]
    else:
        candidates = _narrowed(service, request, node, seen, _corpus(access, seen, corpora, drive_id, with_drives))
    matcher = Matcher(access, seen)
    files = []
    for file_id in candidates:
        file = seen.files[file_id]
        wrong_drive = file.drive_id != drive_id if drive_id else file.drive_id is not None and not with_drives
        if not file.top and not wrong_drive and matcher.fits(node, file) and access.sees(file, seen):
            files.append(file)
    return ordered(files, given.get("orderBy"))


def _with_drives(given: dict[str, Any]) -> bool:
    """Check the parameters for shared drives against each other, and tell whether their files are listed.

    https://developers.google.com/workspace/drive/api/guides/enable-shareddrives
    """
    corpora, drive_id = given.get("corpora") or "user", given.get("driveId")
    if given["spaces"] != "drive" or corpora == "domain":
        raise not_implemented(f"the spaces {given['spaces']} and the corpora {corpora}")
    if corpora not in ("user", "drive", "allDrives"):
        raise invalid(f"Invalid value for corpora: {corpora}", "corpora")
    if (corpora == "drive") != (drive_id is not None):
        raise invalid("The driveId parameter must be specified if and only if corpora is set to drive.", "driveId")
    include = bool(given["includeItemsFromAllDrives"])
    if corpora != "user" and not include:
        raise DriveError(
            403,
            "teamDriveIncludeItemsRequired",
            "The includeItemsFromAllDrives parameter must be set to true when driveId is specified or corpora contains "
            "drive or allDrives.",
            location="includeItemsFromAllDrives",
        )
    if include and not given["supportsAllDrives"]:
        raise DriveError(
            403,
            "teamDrivesNotSupported",
            "The supportsAllDrives parameter must be set to true when includeItemsFromAllDrives is.",
            location="supportsAllDrives",
        )
    return include


def _corpus(access: Access, seen: Tree, corpora: str, drive_id: str | None, with_drives: bool) -> Iterator[str]:
    """Yield the ids of a corpus. `user` has of the shared drives only what the user has made or changed."""
    if drive_id is not None:
        yield from seen.ids("corpus", drive_id)
        return
    me = access.caller.user
    mine = set(seen.ids("owner", me))
    for file_id in seen.ids("shared", me):
        mine.add(file_id)
        mine.update(seen.descendants(file_id))
    yield from mine
    for other in access.state.drives if with_drives else ():
        top = seen.files.get(other)
        if top is None or seen.role(me, top) is None:
            continue
        for file_id in seen.ids("corpus", other) - mine:
            file = seen.files[file_id]
            if corpora == "allDrives" or me in (file.creator, file.modified_by):
                yield file_id


def _narrowed(
    service: Service, request: Request, node: query.Node | None, seen: Tree, corpus: Iterable[str]
) -> Iterable[str]:
    """Return fewer candidates where the query asks for a property of the app's, for these have an index."""
    for item in query.conditions(node):
        if isinstance(item, query.Has) and item.collection == "appProperties" and item.value is not None:
            found = seen.ids("property", request.caller.app, item.key, item.value)
            if len(found) * 4 < len(seen.files):
                return found & set(corpus)
    return corpus
