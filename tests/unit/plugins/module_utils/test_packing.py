"""How many students a machine holds, and what a running server is to ask for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _packing
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from hypothesis import given
from hypothesis import strategies as st

GIB, MIB = _packing.GIB, _packing.MIB
MACHINE = _packing.Machine("n2-highmem-4", 3.92, 28 * GIB, 127, 0.27)
ENTRY = {"type": "n2-highmem-4", "cpu": "3920m", "memory": "28Gi", "disks": 127}


@pytest.mark.parametrize(
    ("cpu", "memory", "disks", "seats"),
    [
        (0.05, GIB, 127, 28),
        (0.05, 256 * MIB, 15, 15),
        (0.05, 256 * MIB, 127, 78),
        (0.05, 128 * MIB, 24, 24),
        # 0.28 times 14 is a little more than 3.92 in floating point.
        (0.28, GIB, 127, 14),
        (0, GIB, 127, 28),
        (0.01, 128 * MIB, 127, 100),
    ],
)
def test_seats_are_what_runs_out_first(cpu: float, memory: int, disks: int, seats: int) -> None:
    machine = _packing.Machine("m", 3.92, 28 * GIB, disks, 1.0)
    assert _packing.seats_of(machine, _packing.Guarantee(cpu, memory)) == seats


@pytest.mark.parametrize(("cpu", "memory", "word"), [(4, GIB, "cpu"), (1, 29 * GIB, "memory")])
def test_a_machine_that_cant_hold_one_student(cpu: float, memory: int, word: str) -> None:
    with pytest.raises(CoursehubError, match=rf"n2-highmem-4 can't hold one student: .*more {word}"):
        _packing.seats_of(MACHINE, _packing.Guarantee(cpu, memory))


def test_what_google_keeps_of_a_machine() -> None:
    cpu, memory = _packing.gke_allocatable(4, 32 * GIB)
    # 60 + 10 + 2 * 5 millicores, and 1 + 0.8 + 0.8 + 0.96 GiB with 100 MiB below which it evicts.
    assert cpu == pytest.approx(3.92)
    assert memory / GIB == pytest.approx(32 - 3.56 - 100 / 1024)


def test_a_machine_is_read() -> None:
    assert _packing.parse_machine(ENTRY, {"n2-highmem-4": "0.27"}) == MACHINE


def test_what_the_clusters_own_pods_take_is_no_students() -> None:
    machine = {"type": "r7i.large", "cpu": "1930m", "memory": "14Gi", "disks": 24}
    system = {"system_cpu": "180m", "system_memory": "512Mi"}
    seats, fewer = (
        _packing.seats_of(_packing.parse_machine({**machine, **more}, {"r7i.large": 0.13}), promised)
        for promised in [_packing.Guarantee(0.1, 256 * MIB)]
        for more in ({}, system)
    )
    # 19 seats are 1900m, of which a node with 180m of its own has no room left.
    assert (seats, fewer) == (19, 17)
    assert _packing.parse_machine({**ENTRY, "pods": 29}, {"n2-highmem-4": 0.27}).pods == 29
    # One of them keeps a part free.
    assert _packing.parse_machine({**ENTRY, "pods": 29, "unpacked": 0.1}, {"n2-highmem-4": 0.27}).pods == 28


@given(st.integers(1, 256), st.floats(0, 0.5), st.integers(0, 1000))
def test_what_is_kept_free_fits_beside_all_seats(gib: int, part: float, system_mib: int) -> None:
    entry = {**ENTRY, "memory": f"{gib}Gi", "unpacked": part, "system_memory": f"{system_mib}Mi", "cpu": "1000"}
    kept = _packing.unpacked_of(entry)
    assert 0 <= part * gib * GIB - kept < MIB
    try:
        seats = _packing.seats_of(
            _packing.parse_machine(entry, {"n2-highmem-4": 0.27}), _packing.Guarantee(0.1, GIB // 4)
        )
    except CoursehubError:
        seats = 0
    assert seats == 0 or seats * GIB // 4 + kept + system_mib * MIB <= gib * GIB


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"type": "e2-small"}, r"the price list lacks the type e2-small, which a pool uses \(it has n2-highmem-4\)"),
        ({"type": ""}, "no type"),
        ({"disks": None}, "it needs disks"),
        ({"disks": 0}, "above zero"),
        ({"cpu": "-1"}, "above zero"),
        ({"system_cpu": "4"}, "above zero"),
        ({"pods": "many"}, "pods is a number"),
        ({"unpacked": 0.6}, "unpacked is '0.6': write the part of a node's memory that is kept free, from 0 to 0.5"),
        ({"unpacked": "some"}, "unpacked is 'some'"),
        ({"unpacked": -0.1}, "unpacked is '-0.1'"),
        ({"memory": "much"}, "'much' is no Kubernetes quantity"),
    ],
)
def test_a_machine_that_is_none(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _packing.parse_machine({**ENTRY, **changed}, {"n2-highmem-4": 0.27})


BOUNDS = _packing.Bounds(256 * MIB, 2 * GIB)


@pytest.mark.parametrize(
    ("used", "request_", "idle", "wanted"),
    [
        # It computes: a quarter more than it uses.
        (800 * MIB, 256 * MIB, False, 1024 * MIB),
        # Busy, it keeps what it once asked for.
        (100 * MIB, 1024 * MIB, False, 1024 * MIB),
        # Idle, it lets go of the rest, and keeps room for the next cell.
        (300 * MIB, 1024 * MIB, True, 384 * MIB),
        (100 * MIB, 1024 * MIB, True, 256 * MIB),
        # Never below what is in use, also above the ceiling.
        (3 * GIB, 2 * GIB, True, 3 * GIB),
        (3 * GIB, 2 * GIB, False, 3 * GIB),
        # Less than a step is not worth a call.
        (300 * MIB, 330 * MIB, True, 330 * MIB),
        (300 * MIB, 300 * MIB, True, 384 * MIB),
    ],
)
def test_requests_grow_with_work_and_shrink_when_idle(used: int, request_: int, idle: bool, wanted: int) -> None:
    assert _packing.memory_request(used, request_, BOUNDS, idle=idle) == wanted


sizes = st.integers(0, 16 * GIB)
bounds = st.tuples(st.integers(1, 8 * GIB), st.integers(1, 8 * GIB)).map(
    lambda two: _packing.Bounds(min(two), max(two))
)


@given(sizes, sizes, bounds, st.booleans())
def test_memory_never_falls_below_what_is_in_use(used: int, request: int, bound: _packing.Bounds, idle: bool) -> None:
    assert _packing.memory_request(used, request, bound, idle=idle) >= used


@given(sizes, sizes, bounds, st.booleans())
def test_a_second_look_changes_nothing(used: int, request: int, bound: _packing.Bounds, idle: bool) -> None:
    once = _packing.memory_request(used, request, bound, idle=idle)
    assert _packing.memory_request(used, once, bound, idle=idle) == once


@given(sizes, sizes, bounds)
def test_a_busy_server_is_never_shrunk_within_the_bounds(used: int, request: int, bound: _packing.Bounds) -> None:
    wanted = _packing.memory_request(used, request, bound, idle=False)
    assert wanted >= min(request, bound.ceiling)


@pytest.mark.parametrize(
    ("floor", "ceiling", "sentence"),
    [("1Gi", "512Mi", "exchange them"), ("0", "1Gi", "exchange them"), ("1Gi", "4Gi", "above a server's limit 2Gi")],
)
def test_bounds_that_are_none(floor: str, ceiling: str, sentence: str) -> None:
    with pytest.raises(CoursehubError, match=sentence):
        _packing.parse_bounds(floor, ceiling, "2Gi")
