from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _lock
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._lock import Lock

from tests.unit.plugins.api import Api, refused

PATH = "/apis/coordination.k8s.io/v1/namespaces/students/leases/coursehub-disks"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long a Lease lasts is the product's own: a holder of this machine, which may be busy, is not taken for dead.
    monkeypatch.setattr(_lock, "RENEWAL_S", 0.05)


def holder(api: Api) -> str:
    return str(api.objects[PATH]["spec"]["holderIdentity"])


def version(api: Api) -> str:
    return str(api.objects[PATH]["metadata"]["resourceVersion"])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lock_is_held_and_given_back(kube: Kube, api: Api) -> None:
    with Lock(kube, "students", 5) as lock:
        assert holder(api)
        lock.check()
    assert holder(api) == ""
    with Lock(kube, "students", 0):
        assert holder(api)


def test_a_lock_is_given_back_after_a_failure(kube: Kube, api: Api) -> None:
    with pytest.raises(ZeroDivisionError), Lock(kube, "students", 5):
        raise ZeroDivisionError
    assert holder(api) == ""


def test_a_holder_that_lives_is_not_pushed_aside_and_is_named(
    kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def wait(_lock: Lock, until_: float) -> None:
        """Let the time pass, in which the holder renews the Lease."""
        before = version(api)
        until(lambda: version(api) != before)
        now[0] = until_

    with Lock(kube, "students", 5):
        first = holder(api)
        monkeypatch.setattr(_lock, "time", SimpleNamespace(monotonic=lambda: now[0], time_ns=time.time_ns))
        monkeypatch.setattr(Lock, "_await_change", wait)
        with pytest.raises(CoursehubError) as refusal, Lock(kube, "students", 3 * _lock.DURATION_S):
            pass
        assert now[0] == 3 * _lock.DURATION_S
        assert first in str(refusal.value)
        assert "another run works on the disks of students" in str(refusal.value)
        assert holder(api) == first


def test_a_holder_that_died_is_followed(kube: Kube, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lock, "DURATION_S", 1)
    dead = Lock(kube, "students", 5)
    dead._write("POST", kube.path(_lock.API_VERSION, "Lease", "students"), dead._fresh())
    with Lock(kube, "students", 5):
        assert holder(api) not in ("", dead._holder)


def test_a_run_waits_for_the_end_of_another(kube: Kube, api: Api) -> None:
    order: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with Lock(kube, "students", 5):
            entered.set()
            leave.wait(120)
            order.append("first")

    other = threading.Thread(target=first)
    other.start()
    assert entered.wait(120)
    threading.Timer(0.3, leave.set).start()
    with Lock(kube, "students", 120):
        order.append("second")
    other.join()
    assert order == ["first", "second"]


def test_of_many_at_once_one_is_in(kube: Kube) -> None:
    inside: list[int] = []
    most: list[int] = []

    def one(number: int) -> None:
        with Lock(kube, "students", 120):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_a_lock_that_was_taken_away_is_known_to_be_lost(kube: Kube, api: Api) -> None:
    with Lock(kube, "students", 5) as lock:
        api.answer_next("PUT", PATH, refused(409, "the object has been modified"))
        lock._renewal.join(120)
        with pytest.raises(CoursehubError, match=r"was lost .*: run this again"):
            lock.check()


def test_an_api_server_that_stumbles_does_not_take_the_lock_away(kube: Kube, api: Api) -> None:
    with Lock(kube, "students", 5) as lock:
        before = version(api)
        api.answer_next("PUT", PATH, refused(500, "etcd"), refused(500, "etcd"))
        until(lambda: version(api) != before)
        lock.check()


def test_exports_and_snapshots_do_not_wait_for_one_another(kube: Kube, api: Api) -> None:
    with Lock(kube, "students", 0), Lock(kube, "students", 0, _lock.DRIVE_NAME):
        assert holder(api)
        assert api.objects[PATH.replace("coursehub-disks", "coursehub-drive")]["spec"]["holderIdentity"]
        with pytest.raises(CoursehubError) as refusal, Lock(kube, "students", 0, _lock.DRIVE_NAME):
            pass
        assert "another run works on the exports of students" in str(refusal.value)
