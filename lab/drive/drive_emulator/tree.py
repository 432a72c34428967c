"""Files by id, with indexes for what is looked up: children, properties, owners and drives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .model import ROLES, File, Permission

_NONE: frozenset[str] = frozenset()
# What an index is asked for: kind and values.
Key = tuple[str, ...]


def _keys(file: File) -> Iterator[Key]:
    if file.parent is not None:
        yield ("parent", file.parent)
        yield ("corpus", file.drive_id) if file.drive_id is not None else ("owner", file.owner or "")
    for permission in file.permissions:
        if not file.top:
            yield ("shared", permission.address if permission.type in ("user", "group") else permission.type)
    for app, values in file.app_properties.items():
        for name, value in values.items():
            yield ("property", app, name, value)


class Tree:
    """All files at one moment."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self._index: dict[Key, set[str]] = {}

    def put(self, file: File) -> None:
        """Add a file, or replace the one with its id."""
        old = self.files.get(file.id)
        self.files[file.id] = file
        before, after = set(_keys(old)) if old else set(), set(_keys(file))
        for key in before - after:
            self._drop(key, file.id)
        for key in after - before:
            self._index.setdefault(key, set()).add(file.id)

    def remove(self, file_id: str) -> None:
        file = self.files.pop(file_id, None)
        for key in set(_keys(file)) if file else ():
            self._drop(key, file_id)

    def _drop(self, key: Key, file_id: str) -> None:
        ids = self._index[key]
        ids.discard(file_id)
        if not ids:
            del self._index[key]

    def ids(self, *key: str) -> frozenset[str] | set[str]:
        """Return the ids below a key: parent, corpus, owner, shared, or property with app, name and value."""
        return self._index.get(key, _NONE)

    def children(self, file_id: str) -> frozenset[str] | set[str]:
        return self.ids("parent", file_id)

    def line(self, file: File) -> Iterator[File]:
        """Yield a file, its folder, that folder's, and so on to the top."""
        current: File | None = file
        while current is not None:
            yield current
            current = self.files.get(current.parent) if current.parent is not None else None

    def descendants(self, file_id: str) -> Iterator[str]:
        """Yield all ids below a folder, those nearer to it first."""
        level: Iterable[str] = self.children(file_id)
        while level:
            yield from level
            level = [child for item in level for child in self.children(item)]

    def depth(self, file: File) -> int:
        """Return how many folders are above a file, the top not counted."""
        return max(0, len(list(self.line(file))) - 2)

    def height(self, file: File) -> int:
        """Return how many levels are below a file."""
        height, level = 0, list(self.children(file.id))
        while level:
            height, level = height + 1, [child for item in level for child in self.children(item)]
        return height

    def trashed(self, file: File) -> bool:
        """Tell whether a file is in the bin, itself or with a folder above it."""
        return any(item.trashed for item in self.line(file))

    def role(self, user: str, file: File) -> str | None:
        """Return the most that a user may do with a file, or None. Whoever owns a folder may write what is in it."""
        best = -1
        for item in self.line(file):
            for permission in item.permissions:
                if _names(permission, user):
                    role = permission.role
                    if role == "owner" and item is not file:
                        role = "writer"
                    best = max(best, ROLES.index(role))
        return ROLES[best] if best >= 0 else None

    def audience(self, file: File) -> frozenset[str]:
        """Return the users named by a file's permissions and those above it."""
        return frozenset(
            permission.address
            for item in self.line(file)
            for permission in item.permissions
            if permission.type in ("user", "group")
        )


def _names(permission: Permission, user: str) -> bool:
    if permission.type == "anyone":
        return True
    if permission.type == "domain":
        return user.rpartition("@")[2] == permission.address
    return permission.address == user
