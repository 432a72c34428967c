from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _bulk, _progress
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError

MENDED = "; when that is mended, run this again for them"


def halve(number: int) -> int:
    if number % 2:
        raise CoursehubError(f"{number} is odd")
    return number // 2


def test_every_item_is_tried_and_has_a_result_or_an_error() -> None:
    results, errors = _bulk.each(range(5), halve)
    assert results == {0: 0, 2: 1, 4: 2}
    assert {item: str(error) for item, error in errors.items()} == {1: "1 is odd", 3: "3 is odd"}


def test_a_defect_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        _bulk.each([1, 0], lambda number: 1 // number, workers=1)


def test_a_phase_is_told_what_is_done_and_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "progress"
    file.touch()
    with _progress.Progress(str(file)).phase("halving", 5) as phase:
        _bulk.each(range(5), halve, progress=phase)
    last = _progress.read(file.read_text(encoding="utf-8").splitlines()[-1])
    assert last is not None
    assert (last.done, last.running, last.failed) == (3, 0, 2)


# The sentence at the end.


@pytest.mark.parametrize(
    ("failed", "sentence"),
    [
        ({"ann": "no room"}, f"1 of 400 students failed: ann: no room{MENDED}"),
        (
            {"bob": "no room", "ann": "no room", "cat": "it is gone"},
            f"3 of 400 students failed: ann, bob: no room; cat: it is gone{MENDED}",
        ),
        # The most first.
        (
            {"ann": "it is gone", "bob": "no room", "cat": "no room"},
            f"3 of 400 students failed: bob, cat: no room; ann: it is gone{MENDED}",
        ),
        # Reasons that differ only in the student's own name, as it is or as it is in names of objects.
        (
            {"ann": "the snapshot disk-ann-1 failed", "bob": "the snapshot disk-bob-1 failed"},
            f"2 of 400 students failed: ann, bob: the snapshot disk-...-1 failed{MENDED}",
        ),
        (
            {"A.B@x.org": "disk-a-b-x-org---0123abcd is lost", "c": "disk-c is lost"},
            f"2 of 400 students failed: A.B@x.org, c: disk-... is lost{MENDED}",
        ),
        # A name that is a word of the sentence.
        (
            {"room": "no room", "ann": "no room", "roo": "no roomy"},
            f"3 of 400 students failed: ann: no room; roo: no roomy; room: no room{MENDED}",
        ),
        # A name with nothing in it that Kubernetes takes.
        ({"\N{GREEK SMALL LETTER ALPHA}": "no room"}, "1 of 400 students failed: \u03b1: no room" + MENDED),
        # What the reason says itself isn't said twice.
        (
            {"ann": "stop the server and run this again"},
            "1 of 400 students failed: ann: stop the server and run this again",
        ),
    ],
)
def test_each_failed_student_is_named_with_the_reason_and_what_to_do(failed: dict[str, str], sentence: str) -> None:
    assert _bulk.summary(failed, 400) == sentence


def test_of_300_with_one_reason_20_are_named() -> None:
    said = _bulk.summary({f"s{number:03}": f"disk-s{number:03} is lost" for number in range(300)}, 400)
    named = ", ".join(f"s{number:03}" for number in range(20))
    assert said == (
        f"300 of 400 students failed: {named}, ...: disk-... is lost; and 280 more, see students in the result{MENDED}"
    )


def test_of_300_with_a_reason_each_20_are_named() -> None:
    said = _bulk.summary({f"s{number:03}": f"reason {number}" for number in range(300)}, 400)
    assert "s019: reason 19; and 280 more, see students in the result;" in said
    assert "s020" not in said


def test_a_rare_reason_is_told_beside_a_common_one() -> None:
    failed = {f"s{number:03}": "no room" for number in range(299)} | {"zoe": "it is gone"}
    said = _bulk.summary(failed, 400)
    assert "s018, ...: no room; zoe: it is gone; and 280 more, see students in the result;" in said
    assert len(said) < 400


def test_20_are_all_named() -> None:
    said = _bulk.summary({f"s{number:03}": "no room" for number in range(20)}, 400)
    assert "..." not in said
    assert "more" not in said
