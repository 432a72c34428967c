# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What there is to tell of each student's disk, as data and as a table; without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils._disks import Disk
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._snapshots import Shot, newest_good
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._usage import Usage

Object = dict[str, Any]


def row(disk: Disk, shots: Sequence[Shot], pod: str, usage: Usage | None, now: datetime) -> dict[str, Any]:
    """Return what there is to tell of one disk. What isn't known is None: a disk that no pod has tells no usage."""
    newest = newest_good(shots)
    return {
        "student": disk.student,
        "claim": disk.claim,
        "phase": disk.phase,
        "size_bytes": disk.size,
        "used_bytes": usage.used_bytes if usage else None,
        "used_inodes": usage.used_inodes if usage else None,
        "node": usage.node if usage else "",
        "pod": pod,
        "last_start": disk.last_start.isoformat() if disk.last_start else None,
        "newest_snapshot": newest.name if newest else "",
        "newest_snapshot_age_s": int((now - newest.taken).total_seconds()) if newest else None,
        "snapshots": sum(one.good for one in shots),
        "failed_snapshots": sum(one.state == "failed" for one in shots),
    }


def table(rows: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """Return the rows for a person to read."""
    lines = [("student", "disk", "used", "of", "server", "last start", "newest snapshot", "snapshots")]
    for one in rows:
        failed = f" ({one['failed_snapshots']} failed)" if one["failed_snapshots"] else ""
        started = datetime.fromisoformat(one["last_start"]) if one["last_start"] else None
        age = one["newest_snapshot_age_s"]
        lines.append(
            (
                one["student"],
                one["phase"].lower(),
                "" if one["used_bytes"] is None else size(one["used_bytes"]),
                size(one["size_bytes"]),
                f"on {one['node']}" if one["node"] else ("starting" if one["pod"] else ""),
                "" if started is None else f"{span(now - started)} ago",
                "none" if age is None else f"{span(timedelta(seconds=age))} ago",
                f"{one['snapshots']}{failed}",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def size(number: int) -> str:
    """Return bytes as a person reads them, ``1.5 GiB``."""
    value, units = float(number), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if value < 1024 or unit == units[-1]:
            break
        value /= 1024
    return f"{value:.1f} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"


def span(length: timedelta) -> str:
    """Return a span of time in its largest unit, ``3 h``."""
    seconds = max(0, int(length.total_seconds()))
    for unit, factor in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= factor:
            return f"{seconds // factor} {unit}"
    return f"{seconds} s"
