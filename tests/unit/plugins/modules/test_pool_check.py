from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import pool_check

PARAMETERS: dict[str, Any] = {
    "machine": {"type": "small", "cpu": "1900m", "memory": "13Gi", "disks": 127},
    "prices": {"small": 0.5},
    "memory": "256Mi",
    "cpu": "100m",
    "core_nodes": 2,
    "limit_nodes": 20,
    "limit_spend": 240.0,
    "spend_ends_growth": True,
    "packed": True,
    "calendar": "",
    "classes": [],
    "time_zone": "UTC",
    "class_seats": 0,
    "boot_s": 90,
    "schedule": "* * * * *",
    "early_s": 300,
    "peak_s": 900,
    "share": 1.0,
    "floor": "",
    "ceiling": "",
    "server_limit": "",
    "zones": ["a"],
    "regional_disks": False,
}
NOW = datetime(2026, 9, 1, tzinfo=UTC)
CLASS = {"name": "Data", "start": "2026-09-02T10:00", "end": "2026-09-02T11:30", "seats": 450}


def test_a_pool_that_is_well() -> None:
    well = {"changed": False, "seats_per_node": 19, "unpacked_memory": 0, "warned": []}
    assert pool_check.run(PARAMETERS, NOW) == well
    tenth = {"machine": {**PARAMETERS["machine"], "unpacked": "0.1"}}
    assert pool_check.run({**PARAMETERS, **tenth}, NOW)["unpacked_memory"] == (13 << 10) // 10 << 20
    (warned,) = pool_check.run({**PARAMETERS, "limit_spend": 239.0}, NOW)["warned"]
    assert warned.startswith("20 nodes for a whole day cost 240.00")
    more = {"classes": [CLASS], "floor": "256Mi", "ceiling": "1Gi", "server_limit": "1Gi"}
    assert pool_check.run({**PARAMETERS, **more}, NOW)["seats_per_node"] == 19


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"machine": {}}, "a pool's machine has no type"),
        ({"prices": {}}, r"the price list lacks the type small, which a pool uses \(it has none\)"),
        ({"cpu": "2"}, "can't hold one student: .*choose one with more cpu"),
        ({"limit_nodes": 2}, "the core pool alone has 2"),
        ({"limit_spend": 24.0}, "does not pay for the core pool"),
        ({"core_nodes": 0}, "every hub is down"),
        ({"time_zone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
        ({"share": 1.5}, "share is 1.5"),
        ({"early_s": -1}, "early_s is -1"),
        ({"boot_s": -1}, "boot_s is -1"),
        ({"schedule": "0 * * * *"}, r"the schedule '0 \* \* \* \*' does not come every 5 minutes"),
        ({"floor": "2Gi", "ceiling": "1Gi"}, "exchange them"),
        ({"floor": "256Mi", "ceiling": "2Gi", "server_limit": "1Gi"}, "the ceiling 2Gi is above a server's limit 1Gi"),
        ({"floor": "256Mi", "ceiling": "14Gi"}, "can't hold one student"),
        ({"classes": [{**CLASS, "seats": 0}]}, "Data: seats is '0'"),
        ({"classes": [{**CLASS, "start": "2026-08-01T10:00", "end": "2026-08-01T11:00"}]}, "are past"),
        ({"calendar": "/no/such.ics"}, "the calendar can't be had: .*No such file"),
        ({"calendar": "/no/such.ics", "classes": [CLASS]}, "leave one of them out"),
        ({"calendar": "https://calendar.example.org/a secret"}, "its address is none"),
    ],
)
def test_a_pool_that_is_not(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        pool_check.run({**PARAMETERS, **changed}, NOW)


@pytest.mark.parametrize("zones", [[], ["a", "b"]])
def test_a_disk_in_one_of_several_zones_is_warned_of(zones: list[str]) -> None:
    (warned,) = pool_check.run({**PARAMETERS, "zones": zones}, NOW)["warned"]
    assert "seats are not counted by zone" in warned
    assert pool_check.run({**PARAMETERS, "zones": zones, "regional_disks": True}, NOW)["warned"] == []


def test_nodes_that_nothing_fills_are_warned_of() -> None:
    assert pool_check.run({**PARAMETERS, "packed": False}, NOW)["warned"] == [pool_check.SPREAD]


def test_a_calendar_that_says_nothing_here_may_do_so_in_the_cluster() -> None:
    # A port of loopback that nobody listens at.
    (warned,) = pool_check.run({**PARAMETERS, "calendar": "http://127.0.0.1:1/secret.ics"}, NOW)["warned"]
    assert warned.startswith("the calendar can't be had")
    assert "secret" not in warned
