"""Whether a file fits a query, and in which order files are listed."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from .access import Access
from .errors import DriveError, not_implemented
from .model import FOLDER, File, at_least
from .query import Both, Compare, Has, In, Node, Not
from .tree import Tree

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _contains(term: str, text: str, value: str) -> bool:
    """Tell whether a text contains a value: a name by the beginnings of its words, anything else by its letters."""
    if term != "name":
        return value.casefold() in text.casefold()
    words = _words(text)
    return all(any(word.startswith(wanted) for word in words) for wanted in _words(value))


class Matcher:
    """Fits files to queries for one caller."""

    def __init__(self, access: Access, tree: Tree) -> None:
        self.access = access
        self.tree = tree
        self.me = access.caller.user
        self.app = access.caller.app

    def fits(self, node: Node | None, file: File) -> bool:
        if node is None:
            return True
        if isinstance(node, Both):
            left = self.fits(node.left, file)
            if node.operator == "and":
                return left and self.fits(node.right, file)
            return left or self.fits(node.right, file)
        if isinstance(node, Not):
            return not self.fits(node.part, file)
        if isinstance(node, In):
            return self._in(node, file)
        if isinstance(node, Has):
            values = file.properties if node.collection == "properties" else file.app_properties.get(self.app, {})
            return node.key in values and node.value in (None, values[node.key])
        return self._compare(node, file)

    def _compare(self, node: Compare, file: File) -> bool:
        value = self._value(node.term, file)
        if node.operator == "contains":
            return _contains(node.term, value, str(node.value))
        if node.term == "name":
            # Drive takes no notice of capital letters here; rclone checks the names that it gets for this reason.
            return _COMPARE[node.operator](value.casefold(), str(node.value).casefold())
        return _COMPARE[node.operator](value, node.value)

    def _value(self, term: str, file: File) -> Any:
        if term == "trashed":
            return self.tree.trashed(file)
        if term == "sharedWithMe":
            return file.owner not in (None, self.me) and any(item.address == self.me for item in file.permissions)
        names = {"name": "name", "mimeType": "mime_type", "modifiedTime": "modified", "createdTime": "created"}
        return getattr(file, names.get(term, term))

    def _in(self, node: In, file: File) -> bool:
        if node.collection == "parents":
            wanted = self.access.state.root(self.me).id if node.value == "root" else node.value
            return file.parent == wanted
        user = self.me if node.value == "me" else node.value
        if node.collection == "owners":
            return file.owner == user
        return at_least(self.tree.role(user, file), "writer" if node.collection == "writers" else "reader")


def _natural(file: File) -> tuple[tuple[bool, int, str], ...]:
    parts = _DIGITS.split(file.name.casefold())
    return tuple((False, int(part), "") if part.isdigit() and part.isascii() else (True, 0, part) for part in parts)


_ORDER: dict[str, Callable[[File], Any]] = {
    "createdTime": lambda file: file.created,
    "folder": lambda file: file.mime_type != FOLDER,
    "modifiedTime": lambda file: file.modified,
    "name": lambda file: file.name.casefold(),
    "name_natural": _natural,
    "quotaBytesUsed": lambda file: file.size,
    "recency": lambda file: max(file.created, file.modified),
    "starred": lambda file: file.starred,
}
_ELSEWHERE = ("modifiedByMeTime", "sharedWithMeTime", "viewedByMeTime")


def ordered(files: list[File], order_by: str | None) -> list[File]:
    """Return files in the order that orderBy asks for, or the newest first; DriveError for a key that is none."""
    files = sorted(files, key=lambda file: (-file.modified, file.id))
    for part in reversed([part.split() for part in order_by.split(",")] if order_by else []):
        if part and part[0] in _ELSEWHERE:
            raise not_implemented(f"the order {part[0]}")
        if not part or part[0] not in _ORDER or part[1:] not in ([], ["desc"]):
            raise DriveError(400, "invalid", f"Invalid value for orderBy: {order_by}", location="orderBy")
        files.sort(key=_ORDER[part[0]], reverse=part[1:] == ["desc"])
    return files
