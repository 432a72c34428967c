from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
from coursehub_tools import request
from coursehub_tools.result import FailedError

COPY = {"paths": ["a"], "into": "restored"}
ARCHIVE = {"student": "ann", "name": "ann", "target": "/t", "snapshot": "s", "taken": "2026-11-24T02:00:00+01:00"}


def copied(*paths: Any) -> tuple[tuple[str, ...], ...]:
    return request.copy(json.dumps({"paths": list(paths), "into": "r"})).paths


def test_paths_are_brought_to_one_form() -> None:
    assert copied("a/./b//c/", "./a", "d", "d/") == (("a", "b", "c"), ("a",), ("d",))


def test_a_path_that_is_no_utf8() -> None:
    assert copied("\udcff") == (("\udcff",),)
    assert os.fsencode(copied("\udcff")[0][0]) == b"\xff"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/etc/passwd", "no path relative to the home"),
        ("../other", "leads upwards"),
        ("a/../../b", "leads upwards"),
        ("", "an empty path"),
        (".", "an empty path"),
        ("./", "an empty path"),
        (7, "no path relative to the home"),
        ("a\0b", "can't be the name of a file"),
        ("\ud800", "can't be the name of a file"),
    ],
)
def test_paths_that_are_refused(path: Any, why: str) -> None:
    with pytest.raises(FailedError, match=why):
        copied("good", path)


@pytest.mark.parametrize(
    ("read", "values", "why"),
    [
        (request.copy, {**COPY, "paths": []}, "'paths' is missing"),
        (request.copy, {**COPY, "paths": "a"}, "'paths' is missing"),
        (request.copy, {"paths": ["a"]}, "'into' is missing"),
        (request.copy, {**COPY, "into": "../x"}, "can't name a file"),
        (request.copy, {**COPY, "into": ".hidden"}, "can't name a file"),
        (request.copy, {**COPY, "into": "a\n"}, "can't name a file"),
        (request.copy, {**COPY, "intoo": "x"}, "doesn't know"),
        (request.compare, {"taken": "2026-11-24T02:00:00", "untouched": True}, "no time with its zone"),
        (request.compare, {"taken": "yesterday", "untouched": True}, "no time with its zone"),
        (request.compare, {"taken": "2026-11-24T02:00:00Z", "untouched": "no"}, "neither true nor false"),
        (request.archive, {**ARCHIVE, "name": "a/b"}, "can't name a file"),
        (request.archive, {**ARCHIVE, "student": ""}, "'student' is missing"),
        (request.check, {"name": "ann", "target": "/t"}, "'sha256' is missing"),
        (request.extract, {"name": "-rf", "target": "/t"}, "can't name a file"),
    ],
)
def test_requests_that_are_refused(read: Any, values: dict[str, Any], why: str) -> None:
    with pytest.raises(FailedError, match=why):
        read(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(FailedError, match="is no JSON"):
        request.copy(text)


def test_a_time_is_brought_to_utc() -> None:
    assert request.archive(json.dumps(ARCHIVE)).taken == datetime(2026, 11, 24, 1, tzinfo=UTC)
