"""What the driver remembers: one JSON file each for volumes, snapshots, attachments, nodes and mounted disks.

In the pool itself, so that it survives the driver and moves with the disks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# What a request may name: our own ids and nodes. A slash would leave the folder; 255 bytes is the longest file name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,239}\Z")


def mounts_name(volume_id: str, node_id: str) -> str:
    """Return the name of the record that says where a node has a disk mounted."""
    return f"{volume_id}.{node_id}"


class Records:
    """One kind of record."""

    def __init__(self, root: Path, kind: str) -> None:
        self.folder = root / "records" / kind

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def get(self, name: str) -> dict[str, Any] | None:
        if not _NAME.match(name):
            return None
        try:
            record: dict[str, Any] = json.loads(self._path(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return record

    def put(self, name: str, record: dict[str, Any]) -> None:
        """Write a record whole or not at all, power cut included."""
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f".{name}.{os.getpid()}"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._path(name))

    def delete(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every record, by name."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*.json")):
                record = self.get(path.stem)
                if record is not None:
                    yield path.stem, record
