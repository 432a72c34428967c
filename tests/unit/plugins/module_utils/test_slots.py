"""Which students share a Job, and how fast each may go."""

from __future__ import annotations

import random
from collections import Counter

from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _slots
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=40)


@given(students=NAMES, zones=st.integers(1, 3), slots=st.integers(1, 9))
def test_each_is_in_one_slot_of_the_own_zone(students: list[str], zones: int, slots: int) -> None:
    topologies = {student: f"z{len(student) % zones}" for student in students}
    divided = _slots.divide(topologies, slots)
    assert sorted(one for some in divided.values() for one in some) == sorted(students)
    for slot, some in divided.items():
        assert some
        assert 0 <= slot.number < slots
        assert {topologies[student] for student in some} == {slot.topology}
    assert len({slot.claim for slot in divided}) == len(divided)


@given(students=NAMES, more=NAMES, slots=st.integers(1, 9))
def test_a_slot_does_not_depend_on_who_else_is_exported(students: list[str], more: list[str], slots: int) -> None:
    alone = {
        student: slot for slot, some in _slots.divide(dict.fromkeys(students, ""), slots).items() for student in some
    }
    every = _slots.divide(dict.fromkeys([*more, *students], ""), slots)
    assert all(student in every[slot] for student, slot in alone.items())


@given(student=st.text(max_size=8), slots=st.integers(1, 20))
def test_with_one_slot_more_a_student_stays_or_moves_into_that_one(student: str, slots: int) -> None:
    assert _slots.number(student, slots + 1) in (_slots.number(student, slots), slots)


@given(items=st.lists(st.integers()), size=st.integers(1, 9))
def test_batches_have_all_in_their_order(items: list[int], size: int) -> None:
    made = _slots.batches(items, size)
    assert [one for some in made for one in some] == items
    assert all(1 <= len(some) <= size for some in made)


@given(
    rates=st.tuples(*[st.floats(0.1, 1e9)] * 4), jobs=st.integers(1, 50), students=st.integers(1, 50), own=st.booleans()
)
def test_jobs_that_run_at_once_ask_for_no_more_than_drive_lets_them(
    rates: tuple[float, float, float, float], jobs: int, students: int, own: bool
) -> None:
    whole = _slots.Rates(*rates)
    jobs = min(jobs, students)
    identities = list(range(students)) if own else [0] * students
    one = _slots.share(whole, jobs, identities)
    assert one.project_units_per_minute * jobs <= whole.project_units_per_minute * 1.000001
    users = 1 if own else jobs
    for name in ("identity_units_per_minute", "writes_per_second", "bytes_per_day"):
        assert getattr(one, name) * users <= getattr(whole, name) * 1.000001
        assert not own or getattr(one, name) == getattr(whole, name)


def test_the_zone_is_of_the_volume() -> None:
    def volume(zone: str) -> dict[str, object]:
        term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]}
        return {"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}}

    assert _slots.topology(None) == _slots.topology({"spec": {}}) == ""
    assert _slots.topology(volume("a")) == _slots.topology(volume("a")) != _slots.topology(volume("b"))
    assert _slots.Slot("", 2).claim == "drive-state-2"


def test_two_students_with_one_account_slow_down_the_others_by_two_and_not_more() -> None:
    whole = _slots.Rates(800, 800, 8, 8)
    assert _slots.share(whole, 4, ["a", "a", "b", "c", "d"]) == _slots.Rates(400, 200, 4, 4)


RATES = _slots.Rates(700, 1000, 2, 1e9)


@given(
    slots=st.integers(1, 9),
    at_once=st.integers(1, 9),
    students=st.integers(1, 40),
    accounts=st.integers(1, 40),
    seed=st.integers(0, 10**6),
)
def test_slots_that_end_in_any_order_never_leave_jobs_with_more_than_the_whole(
    slots: int, at_once: int, students: int, accounts: int, seed: int
) -> None:
    """Pods read late, each when it likes, and what they read may be as old as they are."""
    chance = random.Random(seed)
    shares = _slots.Shares(RATES, min(at_once, slots), [number % accounts for number in range(students)])
    waiting, left = list(range(slots)), slots
    working: dict[int, _slots.Rates] = {}
    told = shares.each(left)
    most = Counter(shares.identities).most_common(1)[0][1]
    while waiting or working:
        if waiting and len(working) < shares.at_once:
            # The share of its request, or what the file says already.
            working[waiting.pop()] = chance.choice([shares.each(slots), told])
        elif chance.random() < 0.5:
            working[chance.choice(list(working))] = told
        else:
            del working[chance.choice(list(working))]
            left -= 1
            before, told = told, shares.each(left)
            assert told.project_units_per_minute >= before.project_units_per_minute
        every = list(working.values())
        assert sum(one.project_units_per_minute for one in every) <= RATES.project_units_per_minute * 1.000001
        # The Jobs that have students of one account: no more than it has students.
        same = sorted(every, key=lambda one: -one.writes_per_second)[:most]
        for name in ("writes_per_second", "identity_units_per_minute"):
            assert sum(getattr(one, name) for one in same) <= getattr(RATES, name) * 1.000001
    assert shares.each(1) == RATES
