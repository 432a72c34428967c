"""The events of pods, gone through once for all who ask."""

from __future__ import annotations

from typing import Any

from coursehub_hub.events import ByPod
from hypothesis import given
from hypothesis import strategies as st


class Watch:
    """Stands in for KubeSpawner's, which sorts all events each time."""

    def __init__(self, pods: list[str]) -> None:
        self.looks = 0
        self.all = [{"involvedObject": {"name": pod}, "number": number} for number, pod in enumerate(pods)]

    @property
    def events(self) -> list[dict[str, Any]]:
        self.looks += 1
        return self.all


def test_a_thousand_pages_look_once_a_second() -> None:
    now = [0.0]
    watch, by_pod = Watch(["a", "b", "a"]), ByPod(lambda: now[0])
    for _page in range(1000):
        assert [event["number"] for event in by_pod.of("a", watch)] == [0, 2]
    assert watch.looks == 1
    watch.all.append({"involvedObject": {"name": "a"}, "number": 3})
    now[0] = 1.0
    assert [event["number"] for event in by_pod.of("a", watch)] == [0, 2, 3]
    assert watch.looks == 2


@given(st.lists(st.sampled_from("abc")))
def test_each_pod_has_its_own_in_their_order_and_none_is_lost(pods: list[str]) -> None:
    watch, by_pod = Watch(pods), ByPod()
    for pod in "abcd":
        assert by_pod.of(pod, watch) == [event for event in watch.all if event["involvedObject"]["name"] == pod]
