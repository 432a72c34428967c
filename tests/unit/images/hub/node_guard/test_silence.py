"""When a kubelet has fallen silent."""

from __future__ import annotations

from coursehub_hub.node_guard.silence import LEASE_S, PAUSE_S, Silence
from hypothesis import given
from hypothesis import strategies as st

LOOK_S = 2


def looks(silence: Silence, begin: float, end: float, **renewed: str) -> list[frozenset[str]]:
    return [silence.look(renewed, now) for now in range(int(begin), int(end), LOOK_S)]


def test_a_lease_that_stands_still_for_as_long_as_it_holds() -> None:
    found = looks(Silence(), 0, LEASE_S + LOOK_S, a="10:00:00")
    assert found[:-1] == [frozenset()] * (len(found) - 1)
    assert found[-1] == {"a"}


def test_one_that_is_renewed_is_not_silent_and_no_more_silent() -> None:
    silence = Silence()
    looks(silence, 0, 60, a="10:00:00", b="10:00:00")
    assert silence.look({"a": "10:01:00", "b": "10:00:00"}, 60) == {"b"}


def test_nobody_is_silent_because_nobody_looked() -> None:
    silence = Silence()
    looks(silence, 0, 20, a="10:00:00")
    # The API server was away: no Lease could be renewed.
    assert silence.look({"a": "10:00:00"}, 200) == frozenset()
    assert looks(silence, 202, 238, a="10:00:00")[-1] == frozenset()
    assert silence.look({"a": "10:00:00"}, 240) == {"a"}


def test_a_node_that_is_gone_is_forgotten() -> None:
    silence = Silence()
    looks(silence, 0, 60, a="10:00:00")
    assert silence.look({}, 60) == frozenset()
    assert silence.look({"a": "10:00:00"}, 62) == frozenset()


@given(st.lists(st.tuples(st.floats(0.1, 2 * PAUSE_S), st.booleans()), max_size=60))
def test_whoever_renews_in_time_is_never_silent(steps: list[tuple[float, bool]]) -> None:
    silence, now, renewed = Silence(), 0.0, 0
    last = now
    for pause, renews in steps:
        now += pause
        if renews or now - last >= LEASE_S:
            renewed, last = renewed + 1, now
        assert silence.look({"a": str(renewed)}, now) == frozenset()
