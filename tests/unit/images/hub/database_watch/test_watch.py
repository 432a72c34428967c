"""What one that watches over the hub's database does with what it sees."""

from __future__ import annotations

import logging
import sys
import threading
from types import ModuleType
from typing import Any

import jinja2
import pytest
import yaml
from coursehub_hub.database_watch import watch
from coursehub_hub.database_watch.verdict import IN_A_ROW, Kind, Pod, Problem, UnknownError

from tests.unit.paths import ROOT

POD = Pod("hub-5f", "coursehub", "u-1")
FULL = Problem(Kind.FULL, "database or disk is full")


class Hub:
    """A database, and a cluster that takes Events."""

    def __init__(self) -> None:
        self.problem: Problem | None = None
        self.busy = False
        self.refuses = False
        self.events: list[tuple[str, str]] = []
        self.now = 0.0
        self.watch = watch.Watch(self.write, self.tell, "", POD)

    def write(self) -> Problem | None:
        if self.busy:
            raise UnknownError
        return self.problem

    def tell(self, body: dict[str, Any]) -> None:
        if self.refuses:
            raise OSError("the API server is away")
        self.events.append((body["type"], body["reason"]))

    def look(self, times: int = IN_A_ROW) -> None:
        for _time in range(times):
            self.now += 10
            self.watch.look(self.now)


@pytest.fixture
def hub() -> Hub:
    one = Hub()
    one.look()
    one.events.clear()
    return one


def test_staff_are_told_and_told_again_when_it_is_well(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.problem = FULL
    hub.look()
    assert hub.events == [("Warning", "DatabaseNotWritable")]
    assert "set coursehub_hub_database_size to more" in caplog.text
    hub.problem = None
    hub.look()
    assert hub.events[1:] == [("Normal", "DatabaseWritable")]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_while_somebody_else_writes_nothing_is_known(hub: Hub) -> None:
    hub.problem = FULL
    hub.look(IN_A_ROW - 1)
    hub.busy = True
    hub.look(10)
    assert hub.events == []
    hub.busy = False
    hub.look(1)
    assert hub.events == [("Warning", "DatabaseNotWritable")]


def test_where_the_cluster_does_not_take_the_event_the_next_try_makes_it(hub: Hub) -> None:
    hub.problem, hub.refuses = FULL, True
    hub.look(IN_A_ROW - 1)
    with pytest.raises(OSError, match="API server"):
        hub.look(1)
    hub.refuses = False
    hub.look(2)
    assert hub.events == [("Warning", "DatabaseNotWritable")]


def test_it_watches_in_a_pod_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    # Needs a client that only the image has.
    cluster = ModuleType("cluster")
    cluster.post = print  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coursehub_hub.database_watch.cluster", cluster)
    monkeypatch.setattr(watch, "_run", lambda _watch: begun.set())
    monkeypatch.delenv("POD_NAME", raising=False)
    watch.start("")
    assert not begun.is_set()
    for name in ("POD_NAME", "POD_NAMESPACE", "POD_UID"):
        monkeypatch.setenv(name, "x")
    watch.start("")
    assert begun.wait(120)


def test_one_that_fails_goes_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class EndError(BaseException):
        pass

    pauses = iter([None, None, None])

    def pause(_seconds: float) -> None:
        if next(pauses, "over") == "over":
            raise EndError

    class Failing:
        looks = 0

        def look(self, _now: float) -> None:
            self.looks += 1
            error = OSError(f"Forbidden\nat {self.looks}")
            error.reason = "Forbidden"  # type: ignore[attr-defined]
            raise error

    failing = Failing()
    monkeypatch.setattr("coursehub_hub.database_watch.watch.time.sleep", pause)
    with pytest.raises(EndError):
        watch._run(failing)  # type: ignore[arg-type]
    assert failing.looks == 3
    # Not a line each time.
    assert caplog.text.count("Forbidden") == 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_may_make_events_where_the_hub_is_and_nothing_else(database: str) -> None:
    source = (ROOT / "roles/hub/templates/rights.yaml.j2").read_text(encoding="utf-8")
    template = jinja2.Template(source, trim_blocks=True, undefined=jinja2.StrictUndefined)
    text = template.render(
        coursehub_namespace="coursehub", coursehub_students_namespace="students", coursehub_database=database
    )
    found = [one for one in yaml.safe_load_all(text) if one["kind"] == "Role"]
    (own,) = [one for one in found if one["metadata"]["name"] == "hub-events"]
    assert own["metadata"]["namespace"] == "coursehub"
    assert own["rules"] == [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]


def test_the_pod_tells_the_process_which_it_is_with_any_database() -> None:
    source = (ROOT / "roles/hub/templates/hub.yaml.j2").read_text(encoding="utf-8")
    # Not within a condition: between the last one's end and the ports.
    unconditional = source[: source.index("          ports:\n            - {name: http")].rpartition("{% endif %}")[2]
    for name in ("POD_NAME", "POD_NAMESPACE", "POD_UID"):
        assert f"- name: {name}\n" in unconditional
