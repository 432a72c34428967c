"""A real JupyterHub on loopback, configured as in the cluster but for proxy, spawner and where it keeps things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.conftest import ROOT
from tests.ports import free_port
from tests.unit.images.hub.test_settings import SECRETS, VALUES

# For whatever a hub does. It takes 3 s to start on an idle machine, and 15 on a busy one.
PATIENCE_S = 180


@dataclass
class RealHub:
    """A hub's process; ``token`` may do everything."""

    folder: Path
    values: dict[str, Any] = field(default_factory=dict)
    # stub: servers that only seem to be; server: the program that students' servers run.
    spawner: str = "stub"
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    token: str = "of-the-test"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def people_token(self) -> str:
        return SECRETS["people-token"]

    def ask(self, method: str, path: str, token: str = "", **more: Any) -> requests.Response:
        headers = {"Authorization": f"token {token or self.token}"}
        return requests.request(method, f"{self.url}/hub/api/{path}", headers=headers, timeout=PATIENCE_S, **more)

    def user(self, name: str) -> dict[str, Any]:
        answer = self.ask("GET", f"users/{name}")
        return dict(answer.json()) if answer.ok else {}

    def said(self) -> str:
        return (self.folder / "hub.log").read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def running(self) -> Iterator[RealHub]:
        """Run it until the block ends, with all that it has started."""
        (self.folder / "secrets").mkdir(exist_ok=True)
        for name, value in SECRETS.items():
            (self.folder / "secrets" / name).write_text(value, encoding="utf-8")
        (self.folder / "values.json").write_text(json.dumps({**VALUES, **self.values}), encoding="utf-8")
        environment = {
            **os.environ,
            **self.environment,
            "PYTHONPATH": f"{ROOT / 'images/hub'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "JUPYTERHUB_CRYPT_KEY": "cd" * 32,
            "TEST_HUB_FOLDER": str(self.folder),
            "TEST_HUB_PORT": str(self.port),
            "TEST_HUB_TOKEN": self.token,
            "TEST_HUB_SPAWNER": self.spawner,
            "TEST_HUB_STUB_PORT": str(free_port()),
        }
        command = [sys.executable, "-m", "jupyterhub", "--config", str(ROOT / "tests/integration/real_hub_config.py")]
        with (self.folder / "hub.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                self._await(process)
                yield self
            finally:
                process.terminate()
                try:
                    process.wait(PATIENCE_S)
                finally:
                    # Students' servers outlive their hub.
                    for pid in self._servers():
                        os.kill(pid, signal.SIGKILL)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            try:
                if requests.get(f"{self.url}/hub/health", timeout=5).ok:
                    return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.1)

    def _servers(self) -> list[int]:
        """Return the processes that work in a folder of this hub."""
        found = []
        for link in Path("/proc").glob("[0-9]*/cwd"):
            try:
                here = link.readlink()
            except OSError:
                continue
            if here.is_relative_to(self.folder):
                found.append(int(link.parent.name))
        return found


class Browser:
    """A person at the hub's pages, by the lab's login."""

    def __init__(self, real: RealHub, name: str) -> None:
        self._url = real.url
        self._session = requests.Session()
        self._session.get(f"{real.url}/hub/login", timeout=PATIENCE_S)
        form = {"username": name, "password": "any", "_xsrf": self._session.cookies["_xsrf"]}
        answer = self._session.post(f"{real.url}/hub/login", data=form, timeout=PATIENCE_S, allow_redirects=False)
        assert answer.status_code == 302, answer.text

    def page(self, path: str) -> requests.Response:
        headers = {"Referer": f"{self._url}/hub/home"}
        return self._session.get(f"{self._url}/{path}", headers=headers, timeout=PATIENCE_S, allow_redirects=False)
