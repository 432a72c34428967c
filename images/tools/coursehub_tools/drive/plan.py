"""What is to be done so that Drive has what the home has: from what is known of both, without asking either.

The same for whatever order things come in; empty when all is as it should be; nothing is removed unless ``prune`` says
so, and then only into the bin.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from . import names
from .matching import Content, match
from .rows import BUNDLE, FILE, FOLDER, LINK, MANIFEST, UNKNOWN, Key, Row, by_key
from .steps import BIN, CHANGE, CONTENT, MAKE, UPLOAD, Action, Digest, Plan


def plan(
    base: Iterable[Row],
    wanted: Sequence[Row],
    digests: Mapping[str, Digest],
    held: Collection[str] = (),
    *,
    prune: bool = False,
) -> Plan:
    """Return what is to be done. ``base`` is what is known to be in Drive, ``wanted`` comes from ``arrange``.

    ``digests`` are those of the files of ``questions``. ``held`` are paths that could not be read: what the export has
    of them stays as it is.
    """
    return _Planner(list(base), wanted, digests, held, prune).run()


class _Planner:
    def __init__(
        self,
        base: list[Row],
        wanted: Sequence[Row],
        digests: Mapping[str, Digest],
        held: Collection[str],
        prune: bool,
    ) -> None:
        self._base = base
        self._things = by_key(row for row in base if row.in_drive and row.kind != MANIFEST and row.path)
        self._members = _members(base)
        self._digests = digests
        self._held = frozenset(held)
        self._prune = prune
        self._wanted_members = _members(wanted)
        self._wanted = [row for row in wanted if row.in_drive]
        self._rest = [row for row in wanted if not row.in_drive and not row.bundle]
        self._plan = Plan(settled=[row for row in base if row.kind == MANIFEST or not row.path])

    def run(self) -> Plan:
        old_bundles = {
            key: replace(row, size=1, sha256=signature(row.path, self._members[row.path]))
            if row.kind == BUNDLE
            else row
            for key, row in self._things.items()
        }
        self._found = {key: self._things[row.key] for key, row in self._match(old_bundles).items()}
        for row in self._wanted:
            self._decide(row, self._found.get(row.key))
        self._plan.settled += self._rest
        self._leave()
        return self._plan

    def _match(self, things: Mapping[Key, Row]) -> dict[Key, Row]:
        contents: dict[Key, Content] = {}
        for row in self._wanted:
            if row.kind == BUNDLE:
                contents[row.key] = 1, signature(row.path, self._wanted_members[row.path])
            elif row.path in self._digests:
                contents[row.key] = row.size, self._digests[row.path].sha256
        return match(things, self._wanted, contents)

    def _decide(self, row: Row, old: Row | None) -> None:
        if row.kind == FOLDER:
            self._decide_folder(row, old)
        elif row.kind == BUNDLE:
            self._decide_bundle(row, old)
        else:
            self._decide_file(row, old)

    def _decide_folder(self, row: Row, old: Row | None) -> None:
        if old is None:
            self._plan.folders.append(Action(MAKE, row))
        elif self._moved(row, old):
            self._plan.folders.append(Action(CHANGE, replace(row, id=old.id), old))
        else:
            self._plan.settled.append(replace(row, id=old.id))

    def _decide_file(self, row: Row, old: Row | None) -> None:
        digest = self._digests.get(row.path)
        if digest is not None:
            row = replace(row, md5=digest.md5, sha256=digest.sha256)
        if old is None:
            self._plan.files.append(Action(UPLOAD, row))
            return
        row = replace(row, id=old.id)
        if not _same_content(row, old):
            self._plan.files.append(Action(CONTENT, row, old))
            return
        row = replace(row, md5=old.md5, sha256=row.sha256 or old.sha256)
        if self._moved(row, old) or milliseconds(row) != milliseconds(old):
            self._plan.files.append(Action(CHANGE, row, old))
        else:
            self._plan.settled.append(row)

    def _decide_bundle(self, row: Row, old: Row | None) -> None:
        members = self._wanted_members[row.path]
        before = self._members[old.path] if old is not None else []
        if old is not None and any(self._covers(path, row.path) for path in self._held):
            # Made again it would be without what can't be read now.
            members = [_moved_row(member, old.path, row.path) for member in before]
        elif old is None or self._differ(row.path, members, old.path, before):
            verb = UPLOAD if old is None else CONTENT
            row = replace(row, id=old.id if old else "")
            self._plan.files.append(Action(verb, row, old, tuple(members)))
            return
        else:
            members = _with_digests(members, before, row.path, old.path)
        row = replace(old, path=row.path, gone=False)
        if self._moved(row, old):
            self._plan.files.append(Action(CHANGE, row, old, tuple(members)))
        else:
            self._plan.settled += [row, *members]

    def _differ(self, folder: str, members: Sequence[Row], old_folder: str, before: Sequence[Row]) -> bool:
        """Tell whether what is to be in a bundle is not what is in it: by size and time, and by checksum where read."""
        if signature(folder, members) != signature(old_folder, before):
            return True
        read = {row.path[len(folder) :]: self._digests[row.path] for row in members if row.path in self._digests}
        known = {row.path[len(old_folder) :]: row.sha256 for row in before if row.kind == FILE and row.sha256}
        return any(known.get(path, digest.sha256) != digest.sha256 for path, digest in read.items())

    def _moved(self, row: Row, old: Row) -> bool:
        """Tell whether a thing gets another name, or goes into what Drive has as another folder."""
        return row.name != old.name or self._old_folder(names.parent(row.path)) != names.parent(old.path)

    def _old_folder(self, path: str) -> str | None:
        """Return what stands in Drive for a folder at home, by its old path; None where it is yet to be made."""
        if not path:
            return ""
        found = self._found.get((path, FOLDER))
        return None if found is None else found.path

    def _covers(self, held: str, path: str) -> bool:
        """Tell whether something that can't be read is in a folder, or the folder is in it."""
        return held == path or names.below(held, path) or names.below(path, held)

    def _leave(self) -> None:
        """Decide of what is in Drive and not at home."""
        now = {row.key: key for key, row in self._found.items()}
        # Where the folders of old are now; what is in one that goes to the bin is not asked about any more.
        places: dict[str, str | None] = {"": ""}
        for key, row in sorted(self._things.items()):
            folder = places.get(names.parent(row.path), names.parent(row.path))
            if key in now:
                path: str | None = now[key][0]
            elif folder is None:
                path = None
            else:
                path = self._left(row, names.join(folder, names.base(row.path)))
            if row.kind == FOLDER:
                places[row.path] = path
        for row in self._base:
            if row.kind == LINK and not row.bundle and self._is_held(row.path):
                self._plan.settled.append(row)

    def _left(self, row: Row, path: str) -> str | None:
        """Keep a thing at its place, or put it into the bin; return where it is then."""
        members = self._members[row.path] if row.kind == BUNDLE else []
        if self._is_held(path):
            self._plan.settled.append(replace(row, path=path))
            self._plan.settled += [_moved_row(member, row.path, path) for member in members]
        elif self._prune:
            self._plan.bins.append(Action(BIN, replace(row, path=path, gone=True), row))
            return None
        else:
            self._plan.settled.append(replace(row, path=path, gone=True))
            self._plan.settled += [replace(_moved_row(member, row.path, path), gone=True) for member in members]
        return path

    def _is_held(self, path: str) -> bool:
        return path in self._held or any(folder in self._held for folder in names.lineage(path))


def milliseconds(row: Row) -> int | None:
    """Return a time as Drive keeps it, in milliseconds; None where it is not known."""
    return None if row.mtime_ns == UNKNOWN else row.mtime_ns // 1_000_000


def _same_content(row: Row, old: Row) -> bool:
    if row.size != old.size:
        return False
    return row.md5 == old.md5 if row.md5 else row.mtime_ns == old.mtime_ns


def _members(rows: Iterable[Row]) -> dict[str, list[Row]]:
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.bundle:
            members[row.bundle].append(row)
    return members


def signature(folder: str, members: Iterable[Row]) -> str:
    """Return a digest of what makes the bytes of a bundle, so that they need not be made to be compared."""
    result = hashlib.sha256()
    for row in sorted(members, key=lambda row: row.key):
        path = row.path[len(folder) :]
        result.update(repr((path, row.kind, row.size, row.mtime_ns, row.mode, row.target)).encode())
    return result.hexdigest()


def _moved_row(row: Row, before: str, now: str) -> Row:
    return replace(row, path=now + row.path[len(before) :], bundle=now)


def _with_digests(members: Sequence[Row], before: Iterable[Row], folder: str, old_folder: str) -> list[Row]:
    known = {(row.path[len(old_folder) :], row.kind): row for row in before}
    digests = [known[row.path[len(folder) :], row.kind] for row in members]
    return [replace(row, md5=old.md5, sha256=old.sha256) for row, old in zip(members, digests, strict=True)]
