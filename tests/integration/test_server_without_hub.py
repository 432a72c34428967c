"""A student's server, a real one, while a hub is there, away, back, or not well."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT
from tests.integration.hub_stand_in import Hub, answering
from tests.ports import free_port

ALICE = {"name": "alice", "kind": "user", "admin": False, "groups": [], "scopes": ["access:servers!server=alice/"]}
MALLORY = {**ALICE, "name": "mallory", "scopes": []}
# How long an answer of the hub counts, and stands; the product's are 300 s and 12 h. Where one is to be old, the test
# waits for that; where it must not be yet, it is so long that no machine is too slow.
FRESH_S, STALE_S = 1, 1200
# For whatever a server does, and well below the time that an answer stands.
PATIENCE_S = 180


class Server:
    """The server's process."""

    def __init__(self, hub: Hub, folder: Path, *, fresh_s: float = FRESH_S, stale_s: float = STALE_S) -> None:
        self.log = folder / "server.log"
        # A container that is started anew keeps the pod's files, not its own.
        runtime = Path(tempfile.mkdtemp(dir=folder))
        prefix, api = "/user/alice/", f"http://127.0.0.1:{hub.port}/hub/api"
        self._url = f"http://127.0.0.1:{free_port()}{prefix}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "JUPYTERHUB_SERVICE_URL": self._url,
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_API_URL": api,
            "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/alice/activity",
            "JUPYTERHUB_API_TOKEN": "the-servers-own",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-alice",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=alice/"]',
            "JUPYTERHUB_DEFAULT_URL": "/tree",
            "COURSEHUB_STALE_IF_ERROR_S": str(stale_s),
            "COURSEHUB_ANSWERS": str(folder / "answers.json"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
        }
        command = [sys.executable, str(ROOT / "roles/hub/files/server"), f"--HubOAuth.cache_max_age={fresh_s}"]
        # As who logs in by a browser, which a test would need a whole hub for.
        command.append("--HubOAuth.allow_token_in_url=True")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--allow-root"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )

    def started(self) -> Server:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self.process.poll() is None, self.said()
            try:
                requests.get(f"{self._url}api", timeout=5)
                return self
            except (requests.ConnectionError, requests.Timeout):
                assert time.monotonic() < deadline, self.said()
                time.sleep(0.1)

    def ask(self, token: str = "alices") -> int:
        """Return the status of a request for the student's files."""
        headers = {"Authorization": f"token {token}"}
        return requests.get(f"{self._url}api/contents", headers=headers, timeout=PATIENCE_S).status_code

    def ask_by_cookie(self, browser: requests.Session, **query: str) -> int:
        """Return the status of a request of a browser, which is logged in where it has the query ``token``."""
        return browser.get(
            f"{self._url}api/contents", params=query, timeout=PATIENCE_S, allow_redirects=False
        ).status_code

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return Hub(users={"alices": ALICE, "mallorys": MALLORY})


@pytest.fixture
def server(hub: Hub, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    one = Server(hub, tmp_path, **getattr(request, "param", {}))
    yield one
    one.stop()


@pytest.mark.parametrize("server", [{"fresh_s": 300}], indirect=True)
def test_with_the_hub_there(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert [server.ask(), server.ask("mallorys"), server.ask("nobodys")] == [200, 403, 403]
        asked = len(hub.asked)
        assert server.ask() == 200
        assert len(hub.asked) == asked, "asked again before the answer was old"


def test_who_is_refused_is_out_as_soon_as_the_answer_is_old(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
        del hub.users["alices"]
        time.sleep(FRESH_S + 0.1)
        assert server.ask() == 403


def test_who_is_at_work_stays_so_while_the_hub_is_away(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
    time.sleep(FRESH_S + 0.1)
    assert [server.ask() for _time in range(50)] == [200] * 50
    # Strangers stay out, and are told why.
    assert [server.ask("nobodys"), server.ask("mallorys")] == [503, 503]
    assert server.said().count("does not answer (") == 1


@pytest.mark.parametrize("server", [{"stale_s": 5}], indirect=True)
def test_who_is_at_work_does_not_stay_so_for_ever(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
    time.sleep(5)
    assert server.ask() == 503


def test_a_hub_that_is_back_has_the_last_word(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
    time.sleep(FRESH_S + 0.1)
    assert server.ask() == 200
    del hub.users["alices"]
    with answering(hub):
        deadline = time.monotonic() + PATIENCE_S
        while server.ask() == 200:
            assert time.monotonic() < deadline, "an answer of before stood though the hub was back"
            time.sleep(0.2)
    assert "The hub answers again" in server.said()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_hub_that_is_not_well_is_as_good_as_away(hub: Hub, server: Server, status: int) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
        hub.status = status
        time.sleep(FRESH_S + 0.1)
        assert server.ask() == 200
        assert server.ask("nobodys") == 503


def test_a_hub_that_neither_answers_nor_refuses(hub: Hub, server: Server) -> None:
    with answering(hub):
        server.started()
        assert server.ask() == 200
    time.sleep(FRESH_S + 0.1)
    # As a node that was switched off: who connects waits.
    with socket.create_server(("127.0.0.1", hub.port)):
        begun = time.monotonic()
        assert server.ask() == 200
        first = time.monotonic() - begun
        assert [server.ask() for _time in range(20)] == [200] * 20
        others = time.monotonic() - begun - first
    # The first one waits for a time-out (8 s) that is well below what a browser takes, the others for nothing: that
    # would be 160 s. The rest is for the machine.
    assert 7 < first < 60
    assert others < 80


def test_a_server_starts_without_the_hub_and_reports_when_it_is_back(hub: Hub, server: Server) -> None:
    server.started()
    assert server.ask() == 503
    with answering(hub):
        assert server.ask() == 200
    assert server.process.poll() is None
    assert server.said().count("\n[E") <= 2, server.said()


def test_a_container_that_is_started_anew_while_the_hub_is_away(hub: Hub, server: Server, tmp_path: Path) -> None:
    browser = requests.Session()
    with answering(hub):
        server.started()
        assert server.ask_by_cookie(browser, token="alices") == 200
        assert [server.ask(), server.ask("mallorys"), server.ask("nobodys")] == [200, 403, 403]
    server.stop()
    file = tmp_path / "answers.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "alices" not in file.read_text(encoding="utf-8")
    again = Server(hub, tmp_path)
    try:
        again.started()
        # Who was let in still is, by browser too; who was not, is not.
        assert [again.ask(), again.ask_by_cookie(browser)] == [200, 200], again.said()
        assert [again.ask("mallorys") != 200, again.ask("nobodys")] == [True, 503]
        # And what was kept is nothing beside the hub's own word.
        del hub.users["alices"]
        with answering(hub):
            deadline = time.monotonic() + PATIENCE_S
            while again.ask() == 200:
                assert time.monotonic() < deadline, "an answer of before stood though the hub was back"
                time.sleep(0.2)
    finally:
        again.stop()


def test_a_file_of_answers_that_is_damaged_is_none(hub: Hub, server: Server, tmp_path: Path) -> None:
    server.stop()
    (tmp_path / "answers.json").write_bytes(b'[{"key": ')
    again = Server(hub, tmp_path)
    try:
        again.started()
        assert again.ask() == 503
        with answering(hub):
            assert again.ask() == 200
    finally:
        again.stop()
