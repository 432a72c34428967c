# Copyright (c) 2026 the coursehub authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run says, as Kubernetes' Events: who collects those hears of it without looking; without I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

_NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
# What a note of an Event may have: k8s.io/kubernetes/pkg/apis/core/validation/events.go, NoteLengthLimit, in bytes.
_MOST = 1024


def of_change(about: Object, before: Sequence[str], said: Sequence[str], now: datetime) -> list[Object]:
    """Return an Event for each sentence that the last run did not say, and one where it said some and this one none.

    ``about`` is a reference to the object that they are of, which has a namespace. Sentences begin with a word that
    says what they are, as in ``alert: ``. One that differs by its numbers alone is no new one: money is another one
    each minute.
    """
    known = set(map(_bare, before))
    told = [(one.partition(": ")[0].capitalize(), one) for one in said if _bare(one) not in known]
    if before and not said:
        told = [("Well", "what was said of seats is over")]
    return [_event(about, number, reason, text, now) for number, (reason, text) in enumerate(told)]


def _bare(sentence: str) -> str:
    return _NUMBERS.sub("", sentence)


def _event(about: Object, number: int, reason: str, text: str, now: datetime) -> Object:
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # As client-go names them, by a time that no other run has.
        "metadata": {
            "name": f"{about['name']}.{int(now.timestamp() * 1e6):x}.{number}",
            "namespace": about["namespace"],
        },
        "involvedObject": dict(about),
        "type": "Normal" if reason == "Well" else "Warning",
        "reason": reason,
        "message": text.encode()[:_MOST].decode(errors="ignore"),
        "source": {"component": "coursehub"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
