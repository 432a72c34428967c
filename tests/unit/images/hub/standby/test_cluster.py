"""What the API server's refusals mean."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import aiohttp
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
    standing = ("coursehub_hub.standby.cluster", "coursehub_hub.standby.__main__")
    for name in standing:
        sys.modules.pop(name, None)
    yield importlib.import_module("coursehub_hub.standby.cluster")
    for name in standing:
        sys.modules.pop(name, None)


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


def test_an_api_server_that_breaks_off_ends_no_hub(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it no other hub could take over."""
    monkeypatch.setattr(cluster, "Cluster", lambda *_words: None)
    for name in ("POD_NAME", "POD_NAMESPACE"):
        monkeypatch.setenv(name, "one")
    problems = importlib.import_module("coursehub_hub.standby.__main__").take_part(None)._problems
    for error in (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionRefusedError, TimeoutError):
        assert issubclass(error, problems), error
