"""What is told by Events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _events

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
ABOUT: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "name": "seats", "namespace": "students"}


@pytest.mark.parametrize(
    ("before", "said", "told"),
    [
        ([], [], []),
        ([], ["alert: at the limit"], [("Warning", "Alert", "alert: at the limit")]),
        (["alert: at the limit"], ["alert: at the limit"], []),
        # The money of each minute is another one.
        (["warning: 19.5 of 23 spent"], ["warning: 20 of 23 spent"], []),
        (["alert: a", "warning: b"], ["alert: a", "calendar: c: d"], [("Warning", "Calendar", "calendar: c: d")]),
        (["alert: a", "warning: b"], ["alert: a"], []),
        (["alert: a"], [], [("Normal", "Well", "what was said of seats is over")]),
        (["warning: 1"], ["alert: 1"], [("Warning", "Alert", "alert: 1")]),
    ],
)
def test_what_is_new_is_told_once(before: list[str], said: list[str], told: list[tuple[str, str, str]]) -> None:
    found = _events.of_change(ABOUT, before, said, TEN)
    assert [(one["type"], one["reason"], one["message"]) for one in found] == told
    assert all(one["involvedObject"] == ABOUT for one in found)


def test_events_have_names_of_their_own_and_are_as_short_as_they_must_be() -> None:
    found = _events.of_change(ABOUT, [], ["alert: " + "ä" * 600, "alert: b"], TEN)
    found += _events.of_change(ABOUT, [], ["alert: b"], TEN.replace(microsecond=1))
    assert len({one["metadata"]["name"] for one in found}) == 3
    assert {one["metadata"]["namespace"] for one in found} == {"students"}
    assert len(found[0]["message"].encode()) in (1023, 1024)
    assert found[0]["firstTimestamp"] == "2026-09-01T10:00:00Z"
