from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.coursehub.jupyterhub.plugins.module_utils import _engine
from ansible_collections.coursehub.jupyterhub.plugins.module_utils._errors import CoursehubError


def only(*names: str) -> Callable[[Sequence[str]], bool]:
    return lambda command: command[0] in names


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"),
    [
        ("auto", ("docker", "podman"), "docker"),
        ("auto", ("podman",), "podman"),
        ("podman", ("docker", "podman"), "podman"),
        ("docker", ("docker",), "docker"),
    ],
)
def test_docker_is_taken_where_its_daemon_answers_else_podman(wanted: str, there: tuple[str, ...], chosen: str) -> None:
    assert _engine.choose_engine(wanted, only(*there)) == chosen


def test_no_engine_at_all() -> None:
    with pytest.raises(CoursehubError, match=r"^there is no container engine: install podman, or install docker"):
        _engine.choose_engine("auto", only())


def test_the_engine_that_is_asked_for_does_not_work_and_no_other_is_taken() -> None:
    with pytest.raises(CoursehubError) as refused:
        _engine.choose_engine("docker", only("podman"))
    assert str(refused.value) == (
        "coursehub_container_engine is 'docker', but `docker info` does not work: install docker, or set it to auto"
    )


@pytest.mark.parametrize(("script", "chosen"), [("exit 0", "docker"), ("exit 1", "podman")])
def test_a_docker_command_without_a_daemon_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, chosen: str
) -> None:
    for name, body in (("docker", script), ("podman", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _engine.choose_engine("auto") == chosen


def test_podman_has_a_store_of_its_own_and_docker_needs_nothing() -> None:
    assert _engine.environment("docker", "/cache") == {}
    assert _engine.environment("podman", "/cache") == {
        "CONTAINERS_CONF": "/cache/engine/containers.conf",
        "CONTAINERS_STORAGE_CONF": "/cache/engine/storage.conf",
        "KIND_EXPERIMENTAL_PROVIDER": "podman",
    }


@pytest.mark.parametrize("wanted", ["lab", "registry"])
def test_a_source_that_is_named_is_taken_without_asking(wanted: str) -> None:
    def never(_address: str) -> bool:
        raise AssertionError("asked")

    assert _engine.choose_source(wanted, never) == wanted


def test_auto_takes_published_images_only_where_every_registry_answers() -> None:
    assert _engine.choose_source("auto", lambda _address: True) == "registry"
    assert _engine.choose_source("auto", lambda _address: False) == "lab"
    assert _engine.choose_source("auto", lambda address: address == _engine.REGISTRIES[0]) == "lab"


@contextmanager
def answering(code: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v2/"
        server.shutdown()


@pytest.mark.parametrize(("code", "registry"), [(200, True), (401, True), (403, False), (404, False), (503, False)])
def test_a_registry_is_known_by_its_answer(monkeypatch: pytest.MonkeyPatch, code: int, registry: bool) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering(code) as address:
        monkeypatch.setattr(_engine, "REGISTRIES", (address,))
        assert _engine.choose_source("auto") == ("registry" if registry else "lab")


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering(200) as address:
        pass
    monkeypatch.setattr(_engine, "REGISTRIES", (address,))
    assert _engine.choose_source("auto") == "lab"
