from __future__ import annotations

import io
import json
import os
import threading
import time
from typing import Any

import pytest
from coursehub_tools import result
from hypothesis import given
from hypothesis import strategies as st

from .trees import ODD_NAMES


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_can_be_shown(name: bytes) -> None:
    text = result.shown(os.fsdecode(name))
    assert text.isprintable()
    assert len(text) <= 80


def test_what_odd_names_look_like() -> None:
    assert result.shown("two\nlines") == "two\\nlines"
    assert result.shown(os.fsdecode(b"\xff!")) == "\\xff!"
    assert result.shown("späße 🐍") == "späße 🐍"
    assert result.shown("x" * 81) == "x" * 79 + "…"
    assert result.shown("\ud800") == "\\ud800"


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.one_of(
            st.integers(),
            st.booleans(),
            st.text(max_size=3000),
            st.lists(st.text(max_size=80).map(result.shown), max_size=5),
        ),
    )
)
def test_a_result_is_always_json_that_kubernetes_keeps_whole(values: dict[str, Any]) -> None:
    data = result.encoded(values)
    assert len(data) <= result.MOST_BYTES
    assert set(json.loads(data.decode("utf-8"))) == set(values)


def test_where_the_names_are_too_long_the_counts_stay() -> None:
    names = result.Names()
    for _time in range(7):
        names.add("🐍" * 100)
    lists = {name: list(names.first) for name in ("differing", "missing", "unreadable")}
    counts = {f"{name}_count": names.count for name in lists}
    data = result.encoded({**lists, **counts, "failed": "x" * 900})
    assert len(data) <= result.MOST_BYTES
    told = json.loads(data)
    assert all(told[name] == 7 for name in counts)
    assert all(len(told[name]) >= 2 for name in lists)
    assert told["failed"] == "x" * 900


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    monkeypatch.setattr(result.time, "monotonic", lambda: now[0])
    progress = result.Progress("read")
    progress.add(1)
    now[0] = result.PROGRESS_S
    progress.add(2)
    progress.add(3)
    assert capsys.readouterr().out == "read: 2 files, 3 bytes so far\n"


def test_lines_of_several_threads_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            # Whoever else has something to say has the time to.
            time.sleep(0.001)
            written.append(text)
            return len(text)

    monkeypatch.setattr("sys.stdout", Slow())
    threads = [threading.Thread(target=result.say, args=(f"line {number}",)) for number in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted("".join(written).splitlines()) == sorted(f"line {number}" for number in range(20))
