# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Samples of what a cluster is used for: how one is taken, and how they are kept in the cluster; without I/O.

A day's samples are the lines that ``_cost`` reads, compressed, in one ConfigMap. There are ``DAYS`` of them, by fixed
names, each of which is begun anew when its turn comes again. So there are never more, no right to remove anything is
needed, and an account can be given these objects and no others.

How large: with 1000 students of whom 300 to 500 are there from 8 to 22 a day is 60 to 80 KB (3 MB before compression);
of 3000, with 200 who come or go within five minutes day and night, 350 KB. So half a year is some 10 MB of etcd.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cost, _kept, _packing
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._quantity import parse_quantity

try:
    import lzma
except ImportError:
    # Of the standard library, but left out of a Python that was built where liblzma was not.
    HAS_LZMA = False
else:
    HAS_LZMA = True

Object = dict[str, Any]

PART = "usage"
# Twelve an hour. A class's rush of eight minutes is seen in one of them; a gap is a quarter of an hour (``_cost.GAP``).
EVERY = timedelta(minutes=5)
# Until a kubelet has told the API server what it has started. A start within so short a time before a sample is of the
# next one: in this one it may be missing, and the next one would look for later ones alone.
TOLD_AFTER = timedelta(seconds=10)
# Half a year: a semester with its exams.
DAYS = 182
# What all values of a ConfigMap may take together: k8s.io/api/core/v1, MaxSecretSize.
MOST = 1 << 20
TYPE = "node.kubernetes.io/instance-type"
STUDENT = "hub.jupyter.org/username"
COURSE = "coursehub.jupyterhub/course"
ASKED = "coursehub.jupyterhub/asked"
_KEY = "samples.xz"
# A line of 1000 students is as long as the 32 KB that zlib looks back, so it would be kept whole each time. Here some
# thirty of them fit, and the next one repeats nearly all of it.
_PRESET = {"preset": 1, "dict_size": MOST}


def due(last: datetime | None, now: datetime) -> bool:
    """Tell whether it is time for a sample. ``last`` is when the last one was taken."""
    span = EVERY.total_seconds()
    return last is None or last.timestamp() // span != now.timestamp() // span


def take(
    now: datetime,
    last: datetime | None,
    nodes: Iterable[Object],
    servers: Iterable[Object],
    machine: _packing.Machine,
    seats_per_node: int,
    core_nodes: int,
    course: str,
    used_mib: int | None,
) -> _cost.Sample:
    """Return what is now: the pool's ``nodes``, the core's as so many of the same machine, and students' ``servers``.

    A server is of the course of its pod's label, else of ``course``. ``last`` is when the last sample was taken: starts
    since then are told of, all times a little back. A start took from when the hub was asked for it, also while its
    student stood in line; of a pod that does not say so, from when it was made.
    """
    types: dict[str, int] = {machine.name: core_nodes}
    held = 0
    for node in nodes:
        name = (node["metadata"].get("labels") or {}).get(TYPE, machine.name)
        types[name] = types.get(name, 0) + 1
        held += 1
    since, until = (last or now - EVERY) - TOLD_AFTER, now - TOLD_AFTER
    there: dict[str, str] = {}
    waits, asked = [], 0
    for pod in servers:
        if pod.get("status", {}).get("phase") != "Running":
            continue
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        student = annotations.get(STUDENT, metadata["name"])
        there[student] = (metadata.get("labels") or {}).get(COURSE, course)
        asked += sum(_memory(container) for container in pod["spec"].get("containers", []))
        ran = _ran(pod)
        if ran and since < ran <= until:
            begun = _kept.moment(annotations.get(ASKED)) or datetime.fromisoformat(metadata["creationTimestamp"])
            waits.append((ran - begun).total_seconds())
    return _cost.Sample(
        now, types, held * seats_per_node, there, tuple(max(0.0, one) for one in waits), asked >> 20, used_mib
    )


def _memory(container: Object) -> int:
    return int(parse_quantity(str((container.get("resources", {}).get("requests") or {}).get("memory", "0"))))


def _ran(pod: Object) -> datetime | None:
    """Return when a pod's first container ran; None of one that was started anew, since nobody waited for that."""
    for status in pod["status"].get("containerStatuses") or []:
        begun = status.get("state", {}).get("running", {}).get("startedAt")
        if begun and not status.get("restartCount"):
            return datetime.fromisoformat(begun)
    return None


def used_of(kept: Object | None, now: datetime) -> int | None:
    """Return the MiB that servers use, as the last run of ``server_resize`` left it; None where none was lately."""
    data = (kept or {}).get("data") or {}
    at, used = _kept.moment(data.get("at")), _kept.number(data.get("used_mib"))
    if at is None or used is None or used < 0 or now - at > EVERY:
        return None
    return int(used)


def name_of(day: date) -> str:
    """Return the name of a day's object, which is also that of the day so many days before."""
    return f"usage-{day.toordinal() % DAYS:03}"


def names() -> list[str]:
    """Return the names of all objects that there may be."""
    return [f"usage-{number:03}" for number in range(DAYS)]


def day_of(at: datetime) -> date:
    """Return the day of whose object a moment's sample is a part: in UTC, as all times."""
    return at.astimezone(UTC).date()


def last_of(kept: Object | None) -> datetime | None:
    """Return when the last sample in an object was taken; None where there is none that can be read.

    It is what holds, not what the run that took it has noted since: that may have died between the two.
    """
    try:
        text = lines(kept) if kept else ""
    except CoursehubError:
        return None
    told = _kept.parsed(text.rstrip("\n").rpartition("\n")[2])
    return _kept.moment(told.get("at")) if isinstance(told, dict) else None


def added(kept: Object | None, namespace: str, sample: _cost.Sample) -> Object:
    """Return the day's object with a sample more. ``kept`` is the object by that name, which may be of a day long ago.

    The API refuses it where somebody else has changed the object since: another run by hand would else lose a sample.

    Raises CoursehubError where it can't be read, and where it would be larger than an object may be.
    """
    day = day_of(sample.at)
    before = lines(kept) if kept and _day(kept) == day.isoformat() else ""
    _check_lzma()
    filters = [{"id": lzma.FILTER_LZMA2, **_PRESET}]
    packed = lzma.compress(f"{before}{_cost.as_line(sample)}\n".encode(), filters=filters)
    if len(packed) > MOST - len(day.isoformat()):
        raise CoursehubError(f"the samples of {day} take more than a ConfigMap holds, so no more are kept today")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name_of(day), "namespace": namespace, **_version(kept)},
        "data": {"day": day.isoformat()},
        "binaryData": {_KEY: base64.b64encode(packed).decode()},
    }


def _check_lzma() -> None:
    """Raise CoursehubError where this Python has no lzma."""
    if not HAS_LZMA:
        raise CoursehubError(
            f"samples are compressed by xz, and {sys.executable} was built without lzma: use a Python that has it, as"
            " distributions' own do"
        )


def _version(kept: Object | None) -> dict[str, str]:
    version = (kept or {}).get("metadata", {}).get("resourceVersion")
    return {"resourceVersion": version} if version else {}


def by_day(items: Iterable[Object]) -> list[Object]:
    """Return the objects in order of their days."""
    return sorted(items, key=_day)


def lines(item: Object) -> str:
    """Return the lines in a day's object. Raises CoursehubError where it can't be read."""
    _check_lzma()
    try:
        packed = base64.b64decode((item.get("binaryData") or {})[_KEY], validate=True)
        return lzma.decompress(packed).decode()
    # Whatever is not base64 or no UTF-8 is a ValueError.
    except (KeyError, ValueError, lzma.LZMAError) as error:
        metadata = item["metadata"]
        raise CoursehubError(
            f"ConfigMap {metadata.get('namespace', '')}/{metadata['name']} holds no samples ({error}): remove it, and"
            " the others count"
        ) from error


def _day(item: Mapping[str, Any]) -> str:
    return str((item.get("data") or {}).get("day", ""))
