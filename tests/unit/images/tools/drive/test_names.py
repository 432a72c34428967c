from __future__ import annotations

import json
import os

import pytest
from coursehub_tools.drive import names
from hypothesis import given
from hypothesis import strategies as st

BYTES = st.binary(min_size=1, max_size=255).map(lambda data: data.replace(b"\0", b"%").replace(b"/", b"%"))


@given(BYTES)
def test_every_name_comes_back(name: bytes) -> None:
    text = names.encode(os.fsdecode(name))
    assert json.loads(json.dumps(text, ensure_ascii=False).encode()) == text
    assert os.fsencode(names.decode(text)) == name
    assert text.isprintable() or all(letter.isprintable() or ord(letter) > 0x9F for letter in text)


@given(st.text(st.sampled_from("%0AF\n\udcffé"), min_size=1), st.text(st.sampled_from("%0AF\n\udcffé"), min_size=1))
def test_no_two_names_become_one(one: str, other: str) -> None:
    assert (names.encode(one) == names.encode(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("100%", "100%"),
        ("%41", "%2541"),
        ("%4g", "%4g"),
        ("two\nlines", "two%0Alines"),
        ("\udcff", "%FF"),
        ("\x85", "%C2%85"),
        (" leading and trailing ", " leading and trailing "),
        ('it\'s "quoted" \\', 'it\'s "quoted" \\'),
        ("e\u0301", "e\u0301"),
        ("\u00e9", "\u00e9"),
    ],
)
def test_names_that_drive_takes_are_left_alone(name: str, text: str) -> None:
    assert names.encode(name) == text
    assert names.decode(text) == name


def test_paths() -> None:
    assert names.lineage("a/b/c") == ["a", "a/b"]
    assert (names.parent("a"), names.parent("a/b"), names.base("a/b"), names.join("", "a")) == ("", "a", "b", "a")
    assert names.below("a/b", "a")
    assert names.below("a", "")
    assert not names.below("ab", "a")
