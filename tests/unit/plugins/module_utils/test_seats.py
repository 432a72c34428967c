"""How many seats are to be warm."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _seats
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._calendar import Meeting
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

TEN = datetime(2026, 9, 1, 10, tzinfo=UTC)
CLASS = Meeting(TEN, TEN + timedelta(minutes=90), "Data", 450)
POLICY = _seats.Policy(boot_s=120.0)
LIMITS = _seats.Limits(nodes=30, spend=1000.0, core=2)


def at(minutes: float) -> datetime:
    return TEN + timedelta(minutes=minutes)


def plan(now: _seats.Now, policy: _seats.Policy = POLICY, limits: _seats.Limits = LIMITS) -> _seats.Plan:
    return _seats.plan([CLASS], policy, now, 28, limits, 0.5)


@pytest.mark.parametrize(
    ("minutes", "seats"),
    # Ordered so early that they are warm five minutes before; let go when the rush is over.
    [(-8, 0), (-7, 450), (0, 450), (14.9, 450), (15, 0), (600, 0)],
)
def test_seats_are_warm_from_before_a_class_until_after_its_peak(minutes: float, seats: int) -> None:
    assert plan(_seats.Now(at(minutes), [])).seats == seats


def test_a_short_class_is_over_before_its_peak() -> None:
    short = Meeting(TEN, at(10), "Quiz", 30)
    assert _seats.of_classes([short], POLICY, _seats.Now(at(10), [])) == 0


def test_who_came_needs_no_seat_any_more() -> None:
    early = [at(-30)] * 100
    came = [at(-1)] * 200
    assert _seats.of_classes([CLASS], POLICY, _seats.Now(at(0), early + came)) == 250


def test_a_class_that_is_there_is_no_rate_that_goes_on() -> None:
    came = [at(-1)] * 450
    now = _seats.Now(at(5), came)
    assert plan(now).seats == 0
    # One more than the class, and in the ten minutes after its peak nobody by chance.
    assert _seats.unexpected([CLASS], POLICY, _seats.Now(at(5), [*came, at(4)])) == [at(4)]
    assert plan(_seats.Now(at(16), came)).seats == 0


def test_nobody_takes_a_seat_of_two_classes() -> None:
    other = Meeting(TEN, TEN + timedelta(minutes=90), "Maths", 50)
    came = [at(-1)] * 450
    assert _seats.of_classes([CLASS, other], POLICY, _seats.Now(at(0), came)) == 50
    assert _seats.of_classes([CLASS, other], POLICY, _seats.Now(at(0), came + [at(-1)] * 20)) == 30


LAB = Meeting(TEN, at(90), "Lab", 50, ("lab1", "lab2"))


def servers(number: int, *groups: str, minutes: float = -60) -> list[_seats.Server]:
    return [_seats.Server(at(minutes), frozenset(groups))] * number


def needed(running: list[_seats.Server], *, came: int = 0, meeting: Meeting = LAB, share: float = 1.0) -> int:
    now = _seats.Now(at(0), [*(one.started for one in running), *[at(-1)] * came], running=running)
    return _seats.of_classes([meeting], _seats.Policy(boot_s=120.0, share=share), now)


def test_who_is_there_from_the_class_before_needs_no_seat() -> None:
    assert needed(servers(30, "lab1", "data")) == 20
    # Of several groups of a class each is counted once.
    assert needed(servers(30, "lab1", "lab2")) == 20
    assert needed(servers(30, "lab1") + servers(20, "lab2")) == 0
    assert needed(servers(30, "lab1"), came=5) == 15


def test_others_who_are_there_take_no_seat_of_a_class() -> None:
    # The class before was another course's: all of this one come anew, and its servers run on.
    assert needed(servers(50, "data")) == needed(servers(50)) == 50
    # Nor does anybody, of a class that names no group.
    assert needed(servers(50, "lab1"), meeting=Meeting(TEN, at(90), "Lab", 50)) == 50
    assert needed(servers(50), meeting=Meeting(TEN, at(90), "Lab", 50)) == 50
    # Who came since the class's seats were ordered has taken one of them, and is no second one's.
    assert needed(servers(10, "lab1", minutes=-1)) == 40


def test_who_is_there_is_taken_off_the_class_and_not_off_the_part_that_comes() -> None:
    # 35 come of 50. Where ten are there, they may be of those who would not have come.
    assert needed(servers(10, "lab1"), share=0.7) == 35
    assert needed(servers(20, "lab1"), share=0.7) == 30


def test_a_group_that_is_larger_than_the_class_says_nothing_and_is_told() -> None:
    running = servers(51, "lab1")
    assert needed(running) == 50
    now = _seats.Now(at(0), [], running=running)
    (sentence,) = _seats.of_groups([LAB], POLICY, now)
    assert sentence.startswith("Lab has 50 seats, and 51 of its groups (lab1, lab2) have a server already")
    assert _seats.of_groups([LAB], POLICY, _seats.Now(at(0), [], running=running[1:])) == []
    assert _seats.of_groups([LAB], POLICY, _seats.Now(at(-8), [], running=running)) == []
    assert _seats.of_groups([LAB], POLICY, _seats.Now(at(15), [], running=running)) == []


def test_not_everybody_comes() -> None:
    assert plan(_seats.Now(at(0), []), _seats.Policy(boot_s=120.0, share=0.7)).seats == 315


def test_without_a_class_the_rate_and_the_boot_time_decide() -> None:
    # Six in ten minutes, of which 1.2 come while a node boots; 95 % of such spans have three at most.
    started = [at(300 - one) for one in range(6)]
    assert plan(_seats.Now(at(300), started)).seats == 4
    assert _seats.base(1.0, 120.0) == 139
    assert plan(_seats.Now(at(330), started)).seats == 0


def test_placeholders_are_of_a_nodes_size_and_only_what_is_missing() -> None:
    assert plan(_seats.Now(at(0), [])).placeholders == 17
    assert plan(_seats.Now(at(0), [], free=450)).placeholders == 0
    assert plan(_seats.Now(at(0), [], free=430)).placeholders == 1


def test_a_limit_is_warned_of_before_it_is_reached() -> None:
    warned = plan(_seats.Now(at(0), []), limits=_seats.Limits(nodes=23, spend=1000.0, core=2))
    assert warned.seats == 450
    assert warned.warnings == ("19 of 23 nodes will be there",)
    assert not warned.alerts


def test_at_the_limit_of_nodes_growth_ends_and_an_alert_says_how_many_wait() -> None:
    plan_ = plan(_seats.Now(at(0), []), limits=_seats.Limits(nodes=12, spend=1000.0, core=2))
    assert (plan_.seats, plan_.placeholders) == (280, 10)
    assert "450 seats are wanted, 280 can be had with 12 nodes" in plan_.alerts[0]
    assert "the last 170 students wait" in plan_.alerts[0]


def test_at_the_limit_of_spend_growth_ends_too() -> None:
    # A core of two nodes for an hour is 1; 3 are left, which six nodes cost.
    plan_ = plan(_seats.Now(at(0), [], spent=96.0), limits=_seats.Limits(nodes=30, spend=100.0, core=2))
    assert plan_.placeholders == 6
    assert plan_.alerts


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (_seats.Limits(10, 100.0, 0), "the core pool has 0 nodes"),
        (_seats.Limits(2, 100.0, 2), "no student could ever start"),
        (_seats.Limits(10, 24.0, 2), "does not pay for the core pool, which costs 24.00"),
    ],
)
def test_limits_that_leave_nothing_to_grow(limits: _seats.Limits, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _seats.check_limits(limits, 0.5)


def test_a_limit_of_spend_that_does_not_hold_is_told() -> None:
    (sentence,) = _seats.of_spend(_seats.Limits(10, 100.0, 2), 0.5, ends_growth=False)
    assert "10 nodes for a whole day cost 120.00, more than the limit of 100" in sentence
    (other,) = _seats.of_spend(_seats.Limits(10, 100.0, 2), 0.5, ends_growth=True)
    assert "no node is added, and students wait" in other
    assert _seats.of_spend(_seats.Limits(10, 120.0, 2), 0.5, ends_growth=True) == []


def test_limits_and_policies_that_are_well() -> None:
    _seats.check_limits(LIMITS, 0.5)
    _seats.check_policy(POLICY)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (_seats.Policy(boot_s=-1.0), "boot_s is -1"),
        (_seats.Policy(boot_s=1.0, share=0.0), "share is 0"),
        (_seats.Policy(boot_s=1.0, share=1.5), "share is 1.5"),
    ],
)
def test_a_policy_that_is_none(policy: _seats.Policy, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _seats.check_policy(policy)


moments = st.integers(-120, 240).map(at)
nows = st.builds(
    _seats.Now, moments, st.lists(moments, max_size=60), st.integers(0, 600), st.integers(0, 60), st.floats(0, 2000)
)
limits_ = st.builds(_seats.Limits, st.integers(1, 60), st.floats(1, 2000), st.integers(1, 5))
sizes = st.integers(1, 120)


@given(nows, limits_, sizes, st.floats(0.01, 5))
def test_never_beyond_a_limit(now: _seats.Now, limits: _seats.Limits, size: int, price: float) -> None:
    one = _seats.plan([CLASS], POLICY, now, size, limits, price)
    assert one.placeholders == 0 or limits.core + now.nodes + one.placeholders <= limits.nodes
    bought = price * (limits.core + now.nodes + one.placeholders)
    assert one.placeholders == 0 or now.spent + bought <= limits.spend + 1e-6
    assert one.seats <= now.free + one.placeholders * size


@given(nows, sizes)
def test_far_from_limits_all_that_is_wanted_is_there_and_no_node_too_many(now: _seats.Now, size: int) -> None:
    one = _seats.plan([CLASS], POLICY, now, size, _seats.Limits(10**6, 1e9, 1), 0.5)
    assert one.seats >= _seats.of_classes([CLASS], POLICY, now)
    by_chance = _seats.unexpected([CLASS], POLICY, now)
    assert one.seats >= _seats.base(_seats.rate(by_chance, now.at), POLICY.boot_s)
    assert (one.placeholders - 1) * size < max(0, one.seats - now.free) or one.placeholders == 0
    assert not one.alerts


@given(nows, moments)
def test_one_more_student_never_asks_a_class_for_more(now: _seats.Now, more: datetime) -> None:
    after = _seats.Now(now.at, [*now.started, more], now.free, now.nodes, now.spent)
    assert _seats.of_classes([CLASS], POLICY, after) <= _seats.of_classes([CLASS], POLICY, now)


@given(nows, st.lists(st.tuples(moments, st.integers(0, 40)), max_size=4))
def test_each_who_came_is_a_classs_or_nobodys(now: _seats.Now, begins: list[tuple[datetime, int]]) -> None:
    classes = [Meeting(begin, begin + timedelta(minutes=60), "Lab", seats) for begin, seats in begins]
    left = _seats.unexpected(classes, POLICY, now)
    came = [one for one in now.started if one <= now.at]
    assert len(came) - sum(seats for _begin, seats in begins) <= len(left) <= len(came)
    assert 0 <= _seats.of_classes(classes, POLICY, now) <= sum(seats for _begin, seats in begins)


@given(st.floats(0, 10), st.floats(0, 10), st.floats(0, 600))
def test_more_arrivals_never_want_fewer_seats(one: float, other: float, boot_s: float) -> None:
    assert _seats.base(min(one, other), boot_s) <= _seats.base(max(one, other), boot_s)


rooms = st.lists(st.tuples(st.integers(-300, 60), st.sets(st.sampled_from(("lab1", "lab2", "data")))), max_size=60)


@given(
    # A class of so many, when each of them comes, how long those have been there who are, and who else is there.
    st.lists(st.one_of(st.integers(-6, 14), st.integers(-300, -8)), max_size=40),
    st.lists(st.tuples(st.integers(-300, -8), st.sets(st.sampled_from(("data", "staff")))), max_size=40),
    st.integers(-7, 14),
)
def test_who_has_no_server_yet_finds_a_seat_however_many_others_are_there(
    class_: list[int], others: list[tuple[int, set[str]]], minute: int
) -> None:
    lab = Meeting(TEN, at(90), "Lab", len(class_), ("lab1",))
    there = [one for one in class_ if one <= minute]
    running = [_seats.Server(at(one), frozenset({"lab1", "data"})) for one in there]
    running += [_seats.Server(at(one), frozenset(groups)) for one, groups in others]
    now = _seats.Now(at(minute), [one.started for one in running], running=running)
    # Neither fewer than those who are still to come, nor more.
    assert _seats.of_classes([lab], POLICY, now) == len(class_) - len(there)


@given(nows, rooms, st.floats(0.1, 1.0))
def test_what_is_known_of_a_class_only_ever_takes_seats_off_it(
    now: _seats.Now, others: list[tuple[int, set[str]]], share: float
) -> None:
    policy = _seats.Policy(boot_s=120.0, share=share)
    known = replace(now, running=[_seats.Server(at(one), frozenset(groups)) for one, groups in others])
    named, unnamed = replace(CLASS, groups=("lab1",)), CLASS
    members = sum("lab1" in one.groups for one in known.running)
    with_, without = (_seats.of_classes([one], policy, known) for one in (named, unnamed))
    assert without - members <= with_ <= without == _seats.of_classes([unnamed], policy, now)
