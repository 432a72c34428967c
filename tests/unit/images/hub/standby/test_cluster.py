"""What the API server's refusals mean."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from coursehub_hub.standby import election


class ApiError(Exception):
    """Stands in for the client's own, which is in the hub's image only."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status
        self.reason = "why"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    package = ModuleType("kubernetes_asyncio")
    vars(package).update(client=SimpleNamespace(ApiException=ApiError), config=SimpleNamespace())
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", package)
    monkeypatch.delitem(sys.modules, "coursehub_hub.standby.cluster", raising=False)
    yield importlib.import_module("coursehub_hub.standby.cluster")
    sys.modules.pop("coursehub_hub.standby.cluster", None)


def answering(cluster: Any, status: int) -> Any:
    async def read(*_words: Any, **_more: Any) -> None:
        raise ApiError(status)

    one = object.__new__(cluster.Cluster)
    one._namespace, one._leases = "coursehub", SimpleNamespace(read_namespaced_lease=read)
    return one


def test_a_token_that_is_not_known_any_more_is_a_refusal_and_nothing_else_is(cluster: Any) -> None:
    with pytest.raises(election.RefusedError):
        asyncio.run(answering(cluster, 401).read())
    for status in (403, 429, 500):
        with pytest.raises(ApiError):
            asyncio.run(answering(cluster, status).read())
    assert asyncio.run(answering(cluster, 404).read()) is None
