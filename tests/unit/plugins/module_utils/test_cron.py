"""How often a schedule comes."""

from __future__ import annotations

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _cron
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("schedule", ["* * * * *", "*/5 * * * *", "0-59 * * * *", "3/5 * * * *", "0-29/2,30/5 * * * *"])
def test_a_schedule_that_comes_often(schedule: str) -> None:
    _cron.check_frequent(schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "0 * * * *",
        "*/6 * * * *",
        # Within an hour, but not from one to the next.
        "0-50/5 * * * *",
        "* 6-22 * * *",
        "* * * * 1-5",
        "0 0 29 2 *",
        "@hourly",
        "* * * *",
        "* * * * * *",
        "*/0 * * * *",
        "60 * * * *",
        "9-1 * * * *",
        "a * * * *",
        ",* * * * *",
    ],
)
def test_a_schedule_that_comes_rarely_or_is_none_is_refused(schedule: str) -> None:
    with pytest.raises(CoursehubError, match="does not come every 5 minutes of every day"):
        _cron.check_frequent(schedule)


@given(st.sets(st.integers(0, 59), min_size=1))
def test_a_list_of_minutes_is_often_where_no_five_follow_each_other_without_one(minutes: set[int]) -> None:
    often = all(any((at + more) % 60 in minutes for more in range(5)) for at in range(60))
    try:
        _cron.check_frequent(f"{','.join(map(str, minutes))} * * * *")
    except CoursehubError:
        assert not often
    else:
        assert often
