"""The state of the emulated Drive: what is so now, what listings show, and what has changed.

It knows no requests. Who may do what is decided by whoever calls.
"""

from __future__ import annotations

import hashlib
import secrets
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from .limits import Limits, check_drive
from .model import FOLDER, Change, File, Permission
from .tree import Tree


def new_id(prefix: str = "1", length: int = 33) -> str:
    """Return a fresh id as Drive has them."""
    return (prefix + secrets.token_urlsafe(length))[:length]


def permission_id(kind: str, address: str) -> str:
    """Return the id of a permission: the same for the same user everywhere, as in Drive."""
    if kind == "anyone":
        return "anyoneWithLink"
    digest = hashlib.sha256(f"{kind}:{address}".encode()).digest()
    return f"{int.from_bytes(digest, 'big') % 10**20:020d}"


class State:
    """All files of all users. `clock` gives seconds since 1970; `release` is called with the keys of lost contents."""

    def __init__(self, clock: Callable[[], float], limits: Limits, release: Callable[[str], None]) -> None:
        self.clock = clock
        self.limits = limits
        self.now = Tree()
        self._seen = Tree()
        self._waiting: deque[tuple[float, str, File | None]] = deque()
        self._release = release
        self._roots: dict[str, str] = {}
        self.drives: dict[str, str] = {}
        self.reserved: set[str] = set()
        self.changes: list[Change] = []
        self._latest: dict[tuple[str, bool], int] = {}
        self._used: Counter[str] = Counter()
        self._items: Counter[str] = Counter()
        self._contents: Counter[str] = Counter()

    def time_ms(self) -> int:
        return int(self.clock() * 1000)

    def root(self, user: str) -> File:
        """Return the top folder of a user's My Drive; it is made when it is first asked for."""
        if user not in self._roots:
            self._roots[user] = self._top(new_id("0A", 19), "My Drive", user, None).id
        return self.now.files[self._roots[user]]

    def add_drive(self, name: str, organizer: str, request_id: str) -> File:
        """Make a shared drive with its first member."""
        drive_id = new_id("0A", 19)
        self.drives[drive_id] = request_id
        return self._top(drive_id, name, organizer, drive_id)

    def _top(self, file_id: str, name: str, user: str, drive_id: str | None) -> File:
        now = self.time_ms()
        role = "owner" if drive_id is None else "organizer"
        member = Permission(permission_id("user", user), "user", role, user)
        owner = user if drive_id is None else None
        file = File(file_id, name, FOLDER, None, owner, drive_id, "", user, now, now, user, permissions=(member,))
        self.save(file)
        return file

    def drop_drive(self, drive_id: str) -> None:
        """Remove a shared drive and all that is in it."""
        self.erase([drive_id])
        del self.drives[drive_id]

    def reserve(self, count: int) -> list[str]:
        """Return fresh ids that a client may use for files of its own."""
        ids = [new_id() for _number in range(count)]
        self.reserved.update(ids)
        return ids

    def save(self, file: File) -> None:
        """Add a file or replace it, count what it uses, and log the change."""
        old = self.now.files.get(file.id)
        if file.drive_id and not file.top and (old is None or old.drive_id != file.drive_id):
            self.check_items(file.drive_id)
        if old is not None:
            file = replace(file, version=old.version + 1)
        self._count(file, 1)
        if old is not None:
            self._count(old, -1)
        self.reserved.discard(file.id)
        self.now.put(file)
        self._show_later(file.id, file)
        self._log(file.id, file.drive_id, None)

    def erase(self, ids: Iterable[str]) -> None:
        """Remove files for good, with all that is below them."""
        for file_id in ids:
            if file_id not in self.now.files:
                continue
            doomed = [self.now.files[item] for item in (*self.now.descendants(file_id), file_id)]
            audiences = [self.now.audience(file) for file in doomed]
            for file, audience in zip(doomed, audiences, strict=True):
                self.now.remove(file.id)
                self._show_later(file.id, None)
                self._count(file, -1)
                self._log(file.id, file.drive_id, audience)

    def lose(self, file: File, user: str) -> None:
        """Log that a user can no longer see a file."""
        self._log(file.id, file.drive_id, frozenset({user}))

    def check_items(self, drive_id: str) -> None:
        """Refuse one more item in a shared drive that is full."""
        check_drive(self.limits, self._items[drive_id])

    def used(self, user: str) -> int:
        """Return the bytes that a user's files use, those in the bin too."""
        return self._used[user]

    def items(self, drive_id: str) -> int:
        """Return how many files and folders a shared drive has, those in the bin too."""
        return self._items[drive_id]

    def seen(self) -> Tree:
        """Return what listings show: the state of some seconds ago."""
        due = self.clock() - self.limits.listing_delay_s
        while self._waiting and self._waiting[0][0] <= due:
            file_id, file = self._waiting.popleft()[1:]
            if file is None:
                self._seen.remove(file_id)
            else:
                self._seen.put(file)
        return self._seen

    def changes_since(self, number: int) -> list[Change]:
        """Return the log from a number on, each file once, as far as listings show it."""
        due = int((self.clock() - self.limits.listing_delay_s) * 1000)
        start = bisect_left(self.changes, number, key=lambda change: change.number)
        return [
            change
            for change in self.changes[start:]
            if change.time <= due and self._latest[change.file_id, change.removed] == change.number
        ]

    @property
    def next_change(self) -> int:
        return self.changes[-1].number + 1 if self.changes else 1

    def _show_later(self, file_id: str, file: File | None) -> None:
        self._waiting.append((self.clock(), file_id, file))
        self.seen()

    def _log(self, file_id: str, drive_id: str | None, audience: frozenset[str] | None) -> None:
        change = Change(self.next_change, self.time_ms(), file_id, drive_id, audience)
        self.changes.append(change)
        self._latest[file_id, change.removed] = change.number

    def _count(self, file: File, sign: int) -> None:
        if file.drive_id and not file.top:
            self._items[file.drive_id] += sign
        if file.content is None:
            return
        if file.owner:
            self._used[file.owner] += sign * file.content.size
        self._contents[file.content.key] += sign
        if not self._contents[file.content.key]:
            del self._contents[file.content.key]
            self._release(file.content.key)
