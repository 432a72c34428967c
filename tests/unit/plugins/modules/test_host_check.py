from __future__ import annotations

import json
import socket
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _engine
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError
from ansible_collections.coursehub.jupyterhub.plugins.modules import host_check

from tests.ports import free_port

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders that were asked for their free space, of which each has 10 GiB."""
    asked: list[str] = []

    def usage(folder: str) -> Usage:
        asked.append(folder)
        return Usage(0, 0, 10 * 2**30)

    monkeypatch.setattr(host_check.shutil, "disk_usage", usage)
    return asked


def test_enough_disk(free: list[str], tmp_path: Path) -> None:
    host_check.check_disk(str(tmp_path), "10Gi")


def test_too_little_disk(free: list[str], tmp_path: Path) -> None:
    with pytest.raises(CoursehubError) as refused:
        host_check.check_disk(str(tmp_path / "cache"), "11Gi")
    assert str(refused.value) == (
        f"{tmp_path}/cache has 10.0 GiB free and the lab needs 11Gi:"
        " make room, or set coursehub_cache_dir to a larger disk"
    )


def test_a_folder_that_does_not_exist_yet_is_measured_where_it_will_be(free: list[str], tmp_path: Path) -> None:
    host_check.check_disk(str(tmp_path / "a/b/c"), "1Gi")
    assert free == [str(tmp_path)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_that_is_taken(family: int, address: str) -> None:
    with socket.socket(family) as server:
        port = free_port()
        server.bind((address, port))
        server.listen()
        with pytest.raises(CoursehubError, match=rf"port {port} of {address} can't be used \(Address already in use\)"):
            host_check.check_port(address, port)
    host_check.check_port(address, port)


def test_an_address_that_is_none_of_this_machine() -> None:
    # 192.0.2.0/24 is kept for documentation (RFC 5737).
    with pytest.raises(CoursehubError, match=r"port 8000 of 192\.0\.2\.1 can't be used"):
        host_check.check_port("192.0.2.1", 8000)


def parameters(folder: Path, **more: Any) -> dict[str, Any]:
    values = {
        "name": "test",
        "engine": "auto",
        "image_source": "auto",
        "cache_dir": str(folder),
        "disk": None,
        "port": None,
    }
    return {**values, "address": "127.0.0.1", "record": str(folder / "cluster.json"), **more}


@pytest.fixture
def decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_engine, "choose_engine", lambda _wanted: "podman")
    monkeypatch.setattr(_engine, "cluster_containers", lambda *_arguments: [])
    monkeypatch.setattr(_engine, "choose_source", lambda wanted: "lab" if wanted == "auto" else wanted)


@pytest.mark.usefixtures("decisions")
def test_what_is_decided(tmp_path: Path) -> None:
    result = host_check.run(parameters(tmp_path))
    assert (result["engine"], result["image_source"], result["changed"]) == ("podman", "lab", False)
    assert result["environment"]["CONTAINERS_CONF"].startswith(str(tmp_path))


@pytest.mark.usefixtures("decisions", "free")
def test_a_cluster_that_is_there_keeps_its_port_its_disk_and_its_source(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = parameters(tmp_path, port=server.getsockname()[1], disk="1Ti")
        with pytest.raises(CoursehubError):
            host_check.run(taken)
        (tmp_path / "cluster.json").write_text(json.dumps({"image_source": "registry"}), encoding="utf-8")
        assert host_check.run(taken)["image_source"] == "registry"


@pytest.mark.usefixtures("decisions")
def test_a_port_that_a_half_made_cluster_of_the_same_name_holds_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def containers(engine: str, name: str, _variables: object) -> list[str]:
        asked.append((engine, name))
        return ["id"]

    monkeypatch.setattr(_engine, "cluster_containers", containers)
    with socket.create_server(("127.0.0.1", 0)) as server:
        host_check.run(parameters(tmp_path, port=server.getsockname()[1]))
    assert asked == [("podman", "test")]
