"""A Drive of ids, and homes that change, to try plans on without any I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count

from coursehub_tools.drive import arranging, names, plan
from coursehub_tools.drive.rows import BUNDLE, FILE, FOLDER, LINK, Row
from coursehub_tools.drive.steps import BIN, CONTENT, MAKE, UPLOAD, Action, Digest, Plan


@dataclass
class Node:
    parent: str
    name: str
    content: str
    trashed: bool = False


@dataclass
class Model:
    """What Drive would have. ``rows`` is what the exporter knows of it."""

    nodes: dict[str, Node] = field(default_factory=lambda: {"top": Node("", "top", "folder")})
    rows: list[Row] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def apply(self, steps: Plan) -> None:
        rows = list(steps.settled)
        self._folders = {row.path: row.id for row in rows if row.kind == FOLDER and row.id and not row.gone} | {
            "": "top"
        }
        for action in steps.actions:
            done = self._take(action)
            if done is not None:
                rows += [done, *action.members]
        self.rows = rows

    def _take(self, action: Action) -> Row | None:
        row = action.row
        if action.verb == BIN:
            self.nodes[row.id].trashed = True
            return None
        parent = self._folders[names.parent(row.path)]
        if action.verb in (MAKE, UPLOAD):
            row = replace(row, id=f"id{next(self.numbers)}")
            self.nodes[row.id] = Node(parent, row.name, content_of(row, action.members))
        elif action.verb == CONTENT:
            node = self.nodes[row.id]
            assert (node.parent, node.name) == (parent, row.name)
            node.content = content_of(row, action.members)
        else:
            node = self.nodes[row.id]
            node.parent, node.name = parent, row.name
            # Nothing is ever moved into itself: the way up has an end.
            assert self.path(row.id) is not None
        assert not self.nodes[row.id].trashed
        if row.kind == FOLDER:
            self._folders[row.path] = row.id
        if row.kind == FILE:
            row = replace(row, md5=content_of(row), sha256=content_of(row))
        return row

    def path(self, node_id: str) -> str | None:
        """Return where something is, None for what is in the bin with its folder or by itself."""
        parts, seen = [], set()
        while node_id != "top":
            assert node_id not in seen
            seen.add(node_id)
            if self.nodes[node_id].trashed:
                return None
            parts.append(self.nodes[node_id].name)
            node_id = self.nodes[node_id].parent
        return "/".join(reversed(parts))

    def live(self) -> dict[tuple[str, str], str]:
        """Return the content of all that the rows say is at home, by where Drive has it."""
        shown = {}
        for row in self.rows:
            if row.in_drive and not row.gone and row.path:
                path = self.path(row.id)
                assert path is not None
                shown[path, row.kind] = self.nodes[row.id].content
        return shown


# A home for these tests: content by path, None for a folder. The content is its checksum.
Home = dict[str, str | None]


def content_of(row: Row, members: Iterable[Row] = ()) -> str:
    if row.kind == BUNDLE:
        return plan.signature(row.path, members)
    return "folder" if row.kind == FOLDER else row.target


def rows_of(home: Home, times: dict[str, int]) -> list[Row]:
    """Return what a scan would find; the content hides in ``target``, where no plan looks for it in a file."""
    rows = []
    for path, content in home.items():
        if content is None:
            rows.append(Row(path, FOLDER, 0, 1, 0o755))
        elif content.startswith("->"):
            rows.append(Row(path, LINK, 0, 1, 0o777, content))
        else:
            rows.append(Row(path, FILE, len(content), times.get(path, 1), 0o644, content))
    return rows


def export(
    model: Model, home: Home, times: dict[str, int], *, bundled: Iterable[str] = (), prune: bool = False
) -> Plan:
    """Plan as the exporter does and apply; return the plan."""
    wanted = arranging.arrange(rows_of(home, times), set(bundled))
    asked = arranging.questions(model.rows, wanted)
    digests = {row.path: Digest(row.target, row.target) for row in asked}
    steps = plan.plan(model.rows, wanted, digests, prune=prune)
    model.apply(steps)
    return steps
