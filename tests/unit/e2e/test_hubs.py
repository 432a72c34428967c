"""Which hub works, and which has ended, where the cluster's tests look."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.e2e.cluster import Object
from tests.e2e.faults.hubs import FENCED, Look, has_ended, how_it_ended, look, never_two

OLD, NEW = "10.0.0.1", "10.0.0.2"


def looks(*lines: str) -> list[Look]:
    """Return one look a second."""
    found = [look(line, float(number)) for number, line in enumerate(lines)]
    assert None not in found
    return [one for one in found if one is not None]


BEFORE = [f"{OLD}|{OLD}"] * 2
AFTER = [f"{NEW}|", *[f"{NEW}|{NEW}"] * 3]


def test_a_line_that_is_no_look_is_none() -> None:
    assert look("", 1) is None
    assert look("|", 1) == Look(1, frozenset(), frozenset())


def test_one_after_the_other_is_well() -> None:
    # A frozen one's sessions stay until they are ended by who takes over.
    never_two(looks(*BEFORE, f"|{OLD}", f"{NEW}|{OLD}", *AFTER), OLD, NEW)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([*BEFORE, *AFTER, f"{NEW}|{NEW},{OLD}"], id="the old one works on, or again"),
        pytest.param([*BEFORE, f"{OLD}|{OLD},{NEW}", *AFTER], id="the new one works before it has the lock"),
        pytest.param([*BEFORE, *AFTER, f"{OLD}|{NEW}"], id="the lock goes back"),
        pytest.param([*BEFORE, *AFTER, f"|{NEW}"], id="nobody has the lock"),
        pytest.param(BEFORE, id="nobody took over"),
        pytest.param(AFTER, id="the old one was not seen at work"),
    ],
)
def test_anything_else_is_not(seen: list[str]) -> None:
    with pytest.raises(AssertionError):
        never_two(looks(*seen), OLD, NEW)


ENDED = {"terminated": {"exitCode": FENCED}}


@pytest.mark.parametrize(
    ("count", "state", "last", "ended"),
    [
        (1, {"running": {}}, {"terminated": {"exitCode": 1}}, False),
        (1, ENDED, {"terminated": {"exitCode": 1}}, True),
        (1, {"waiting": {"reason": "CrashLoopBackOff"}}, ENDED, True),
        (2, {"running": {}}, ENDED, True),
    ],
)
def test_a_hub_has_ended_before_it_is_begun_anew(count: int, state: Object, last: Object, ended: bool) -> None:
    status = {"containerStatuses": [{"restartCount": count, "state": state, "lastState": last}]}
    cluster: Any = SimpleNamespace(kube=SimpleNamespace(get=lambda *_words: {"status": status}))
    assert has_ended(cluster, "hub-1", 1) is ended
    if ended:
        assert how_it_ended(cluster, "hub-1") == FENCED
