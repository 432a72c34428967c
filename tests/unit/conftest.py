"""Property tests that do the same on every run; a client, and the small API server that it speaks to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._kube import Kube
from hypothesis import settings

from tests.unit.plugins.api import Api, serving

settings.register_profile("coursehub", deadline=None, derandomize=True, database=None)
settings.load_profile("coursehub")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Api, Path]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(tmp_path) as pair:
        yield pair


@pytest.fixture
def api(server: tuple[Api, Path]) -> Api:
    return server[0]


@pytest.fixture
def kubeconfig(server: tuple[Api, Path]) -> Path:
    return server[1]


@pytest.fixture
def kube(kubeconfig: Path) -> Kube:
    return Kube(str(kubeconfig), "kind-test")
