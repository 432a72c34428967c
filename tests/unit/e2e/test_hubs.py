"""What counts as a second hub at work, where the cluster's tests watch the database."""

from __future__ import annotations

import pytest

from tests.e2e.faults.hubs import Look, look, never_two

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
