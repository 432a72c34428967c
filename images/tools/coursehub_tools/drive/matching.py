"""Which thing in Drive is which thing at home: by path, by the folder that it is in, by content.

Drive's tree is one of ids: a folder that gets another name takes along all that is in it, by one call. So a thing at
home is looked for in whatever stands for its folder, and only where it is not there by its content elsewhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from . import names
from .rows import FOLDER, Key, Row

# What says that two contents are one: size and SHA-256 of a file, or a digest of what is in a bundle.
Content = tuple[int, str]


def match(base: Mapping[Key, Row], wanted: Sequence[Row], contents: Mapping[Key, Content]) -> dict[Key, Row]:
    """Return what stands in Drive for what is wanted, by the wanted things' keys.

    ``base`` and ``wanted`` are things that have a file of their own in Drive; ``wanted`` is sorted by path.
    ``contents`` are those of wanted things that are not in Drive by their path.
    """
    keys = {row.key for row in wanted}
    lost = [row for key, row in base.items() if key not in keys]
    fresh = [row for row in wanted if row.key not in base]
    return _Matching(base, keys, _votes(_pairs(lost, fresh, contents))).run(wanted, contents)


class _Matching:
    def __init__(self, base: Mapping[Key, Row], keys: set[Key], votes: Mapping[str, Counter[str]]) -> None:
        self._base = base
        self._wanted = keys
        self._votes = votes
        self._found: dict[Key, Row] = {}
        self._taken: set[Key] = set()

    def run(self, wanted: Sequence[Row], contents: Mapping[Key, Content]) -> dict[Key, Row]:
        for row in wanted:
            if row.kind == FOLDER and not self._by_place(row):
                self._by_votes(row)
        for row in wanted:
            if row.kind != FOLDER:
                self._by_place(row)
        lost = [row for key, row in self._base.items() if key not in self._taken]
        fresh = [row for row in wanted if row.key not in self._found]
        for old, new in _pairs(lost, fresh, contents):
            self._take(new, old)
        return self._found

    def _take(self, new: Row, old: Row) -> None:
        self._found[new.key] = old
        self._taken.add(old.key)

    def _by_place(self, row: Row) -> bool:
        """Take what has this name in what stands for the folder."""
        folder = names.parent(row.path)
        if folder:
            found = self._found.get((folder, FOLDER))
            if found is None:
                return False
            folder = found.path
        old = self._base.get((names.join(folder, names.base(row.path)), row.kind))
        if old is None or old.key in self._taken:
            return False
        self._take(row, old)
        return True

    def _by_votes(self, row: Row) -> None:
        """Take for a new folder the lost one whose files say most often that it is the same."""
        candidates = self._votes.get(row.path, Counter())
        for path, _count in sorted(candidates.items(), key=lambda item: (-item[1], item[0])):
            old = self._base.get((path, FOLDER))
            if old is not None and old.key not in self._taken and old.key not in self._wanted:
                self._take(row, old)
                return


def _pairs(lost: Iterable[Row], fresh: Iterable[Row], contents: Mapping[Key, Content]) -> Iterator[tuple[Row, Row]]:
    """Yield what was lost and what is new with the same content, each once, of the same name first."""
    by_content: dict[tuple[str, Content], list[Row]] = defaultdict(list)
    for row in lost:
        if row.kind != FOLDER and row.size and row.sha256:
            by_content[row.kind, (row.size, row.sha256)].append(row)
    groups: dict[tuple[str, Content], list[Row]] = defaultdict(list)
    for row in fresh:
        content = contents.get(row.key)
        if content is not None and (row.kind, content) in by_content:
            groups[row.kind, content].append(row)
    for group in sorted(groups):
        yield from _pair_up(by_content[group], groups[group])


def _pair_up(lost: list[Row], fresh: list[Row]) -> Iterator[tuple[Row, Row]]:
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(lost, key=lambda row: row.path, reverse=True):
        by_name[names.base(row.path)].append(row)
    rest = []
    for row in sorted(fresh, key=lambda row: row.path):
        same = by_name.get(names.base(row.path))
        if same:
            yield same.pop(), row
        else:
            rest.append(row)
    left = sorted((row for rows in by_name.values() for row in rows), key=lambda row: row.path)
    yield from zip(left, rest, strict=False)


def _votes(pairs: Iterable[tuple[Row, Row]]) -> dict[str, Counter[str]]:
    """Return how many pairs of files say that a new folder was an old one, by the new one's path.

    A pair speaks for the folders above it too, as long as the names on the way are the same.
    """
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for old, new in pairs:
        before, now = names.parent(old.path), names.parent(new.path)
        while before and now and before != now:
            votes[now][before] += 1
            if names.base(before) != names.base(now):
                break
            before, now = names.parent(before), names.parent(now)
    return votes
