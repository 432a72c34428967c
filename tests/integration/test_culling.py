"""Who is idle is culled, who only seems so is not: a real hub, real servers and the real culler.

An hour is a few seconds here, by configuration alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.conftest import ROOT
from tests.integration.real_hub import Browser, RealHub

# The limit. Servers look and report every second here, so one at work is never idle for so long, unless the machine
# takes twenty times as long as it should.
IDLE_S = 20
NIGHT: dict[str, Any] = {}
CULL = {"idle": IDLE_S, "max_age": 0, "every": 1, "groups": {}, "night": NIGHT}
# More than the buffers between two ends of a line take.
BIG = 256 << 20


class Student:
    """A student with a server, who does nothing yet."""

    def __init__(self, hub: RealHub, name: str) -> None:
        self.name = name
        self._hub = hub
        hub.ask("POST", f"users/{name}")
        answer = hub.ask("POST", f"users/{name}/server")
        assert answer.status_code in (201, 202), answer.text

    def running(self) -> bool:
        return bool(self._hub.user(self.name)["servers"].get("", {}).get("ready"))

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {self._hub.token}"}

    @property
    def address(self) -> str:
        routes = self._hub.ask("GET", "proxy").json()
        return f"{routes[f'/user/{self.name}/']['target']}/user/{self.name}/"

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(f"{self.address}{path}", json=body, headers=self.headers, timeout=180)
        assert answer.ok, answer.text
        return dict(answer.json())

    def say(self, path: str, message: Any) -> None:
        """Say one thing and go: nothing of the student's is open after that."""
        url = f"{self.address}{path}".replace("http://", "ws://")
        headers = [f"{name}: {value}" for name, value in self.headers.items()]
        line = websocket.create_connection(url, header=headers, timeout=180)
        line.send(json.dumps(message))
        # Heard, at the other end.
        line.recv()
        line.close()

    def compute(self, code: str, name: str = "computing") -> str:
        kernel = str(self.post("api/kernels", {"name": name})["id"])
        self.request(kernel, "shell", "execute_request", {"code": code, "silent": False})
        return kernel

    def request(self, kernel: str, channel: str, kind: str, content: dict[str, Any]) -> None:
        header = {"msg_id": kind, "msg_type": kind, "username": "", "session": "1", "version": "5.3"}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": channel}
        self.say(f"api/kernels/{kernel}/channels", message)

    def computes(self, kernel: str) -> bool:
        answer = requests.get(f"{self.address}api/kernels/{kernel}", headers=self.headers, timeout=180)
        return bool(answer.json()["execution_state"] == "busy")

    def type(self, command: str) -> str:
        terminal = str(self.post("api/terminals", {})["name"])
        self.say(f"terminals/websocket/{terminal}", ["stdin", f"{command}\n"])
        return terminal

    def terminals(self) -> list[Any]:
        return list(requests.get(f"{self.address}api/terminals", headers=self.headers, timeout=180).json())

    def download(self, file: str) -> requests.Response:
        """Begin a download, and read no further."""
        url = f"{self.address}files/{file}?download=1"
        return requests.get(url, headers=self.headers, stream=True, timeout=180)


def until(what: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def culling(hub: RealHub, **more: Any) -> Iterator[None]:
    """Run the culler until the block ends, as the hub does, but from now on."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'images/hub'}:{os.environ.get('PYTHONPATH', '')}",
        "COURSEHUB_CULL": json.dumps({**CULL, "settle": 0, **more}),
        "COURSEHUB_HUB_API": f"{hub.url}/hub/api",
        "JUPYTERHUB_API_TOKEN": hub.token,
    }
    with (hub.folder / "culler.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "coursehub_hub.culler"], env=environment, stdout=log, stderr=log
        )
        try:
            yield
            assert process.poll() is None, (hub.folder / "culler.log").read_text(encoding="utf-8")
        finally:
            process.terminate()
            process.wait(120)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[RealHub]:
    # Sockets of kernels are in it, whose addresses have 107 bytes.
    for name, command in {
        "computing": [str(ROOT / "tests/integration/computing_kernel.py"), "{connection_file}"],
        "ipykernel": ["-m", "ipykernel_launcher", "-f", "{connection_file}"],
    }.items():
        kernel = tmp_path / "share/kernels" / name
        kernel.mkdir(parents=True)
        spec = {"argv": [sys.executable, *command], "display_name": name, "language": "any"}
        (kernel / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    settings = "--JupyterHubSingleUser.hub_activity_interval=1 --CourseServer.look_s=1 --CourseServer.ask_s=2"
    settings += " --CourseServer.jobs_s=1"
    values = {"cull": {**CULL, "idle": 0}, "admin_users": []}
    with RealHub(tmp_path, values, "server", {"TEST_SERVER_ARGS": settings}).running() as hub:
        yield hub


def test_who_only_seems_idle_is_not_culled(hub: RealHub) -> None:
    idle, busy, typing, loading = (Student(hub, name) for name in ("idle", "busy", "typing", "loading"))
    for one in (idle, busy, typing, loading):
        until(one.running)
    home = hub.folder / "home/loading"
    with (home / "big.bin").open("wb") as file:
        file.truncate(BIG)
    kernel = busy.compute("600")
    until(lambda: busy.computes(kernel))
    busy.request(kernel, "control", "usage_request", {})
    # The server of Jupyter takes the cell for ended then.
    until(lambda: not busy.computes(kernel))
    terminal = typing.type("sleep 600")
    download = loading.download("big.bin")
    assert next(download.iter_content(1024))
    begun = time.monotonic()
    with culling(hub):
        until(lambda: not idle.running())
        # Twice as long as anyone may be idle.
        while time.monotonic() - begun < 2 * IDLE_S:
            assert all(one.running() for one in (busy, typing, loading)), hub.said()[-4000:]
            time.sleep(1)
        # When the work is over, the time begins.
        ended = time.monotonic()
        requests.delete(f"{busy.address}api/kernels/{kernel}", headers=busy.headers, timeout=180)
        requests.delete(f"{typing.address}api/terminals/{terminal}", headers=typing.headers, timeout=180)
        download.close()
        for one in (busy, typing, loading):
            until(lambda one=one: not one.running())  # type: ignore[misc]
        assert time.monotonic() - ended > IDLE_S / 2
    assert (home / "big.bin").stat().st_size == BIG


@pytest.mark.skipif(find_spec("ipykernel") is None, reason="there is no ipykernel")
def test_a_cell_is_not_hidden_by_what_a_kernel_answers_meanwhile(hub: RealHub) -> None:
    one = Student(hub, "one")
    until(one.running)
    kernel = one.compute("import time; time.sleep(600)", "ipykernel")
    until(lambda: one.computes(kernel))
    one.request(kernel, "control", "create_subshell_request", {})
    until(lambda: not one.computes(kernel))
    with culling(hub):
        begun = time.monotonic()
        while time.monotonic() - begun < 2 * IDLE_S:
            assert one.running(), hub.said()[-4000:]
            time.sleep(1)
        requests.post(f"{one.address}api/kernels/{kernel}/restart", headers=one.headers, timeout=180)
        until(lambda: not one.running())


def test_a_kernel_whose_end_of_a_cell_is_lost_is_not_busy_for_ever(hub: RealHub) -> None:
    one = Student(hub, "one")
    until(one.running)
    kernel = one.compute("1 quiet")
    until(lambda: one.computes(kernel))
    with culling(hub):
        until(lambda: not one.running())


def test_at_night_a_kernel_that_computes_is_ended_where_everything_is(hub: RealHub) -> None:
    busy = Student(hub, "busy")
    until(busy.running)
    kernel = busy.compute("600")
    until(lambda: busy.computes(kernel))
    # It begins now, when the server has run for a while.
    now = datetime.now(UTC)
    night = {
        "from": f"{now:%H:%M:%S}",
        "until": f"{now + timedelta(hours=6):%H:%M:%S}",
        "time_zone": "UTC",
        "idle": IDLE_S,
        "everything": False,
    }
    with culling(hub, idle=0, night=night):
        begun = time.monotonic()
        while time.monotonic() - begun < 2 * IDLE_S:
            assert busy.running(), hub.said()[-4000:]
            time.sleep(1)
    assert busy.computes(kernel)
    late = Student(hub, "late")
    until(late.running)
    late_kernel = late.compute("600")
    with culling(hub, idle=0, night={**night, "everything": True}):
        until(lambda: not busy.running())
        # Who came to work in the night is at work.
        assert late.running()
        assert late.computes(late_kernel)


def test_a_detached_job_keeps_a_server_while_it_computes(hub: RealHub) -> None:
    left, computing = Student(hub, "left"), Student(hub, "computing")
    for one in (left, computing):
        until(one.running)
    home = hub.folder / "home/computing"
    # A fifth of a core or so.
    (home / "job").write_text(
        "echo $$ >pid; while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2; done", encoding="utf-8"
    )
    left.type("setsid sleep 600 </dev/null >/dev/null 2>&1 & exit")
    computing.type("nohup sh job </dev/null >/dev/null 2>&1 & exit")
    until(lambda: (home / "pid").exists() and not computing.terminals() and not left.terminals())
    with culling(hub):
        begun = time.monotonic()
        while time.monotonic() - begun < 2 * IDLE_S:
            assert computing.running(), hub.said()[-4000:]
            time.sleep(1)
        until(lambda: not left.running())
        os.kill(int((home / "pid").read_text(encoding="utf-8")), signal.SIGKILL)
        until(lambda: not computing.running())


def test_an_idle_server_costs_the_hub_nothing(hub: RealHub) -> None:
    one = Student(hub, "idle")
    until(one.running)

    def silent() -> bool:
        """Tell whether nothing is reported for five times as long as it takes until a report."""
        before = hub.said().count("/activity")
        time.sleep(5)
        return hub.said().count("/activity") == before

    # What there was at the start is told before.
    until(silent)
    # What begins then is told, too.
    was = hub.user("idle")["servers"][""]["last_activity"]
    one.type("sleep 600")
    until(lambda: hub.user("idle")["servers"][""]["last_activity"] > was)


def test_the_hub_runs_the_culler_with_the_rights_for_it(tmp_path: Path) -> None:
    cull = {
        "idle": 1,
        "max_age": 0,
        "every": 1,
        "groups": {"staff": {"idle": 0}, "nobody": {"idle": 5}},
        "night": NIGHT,
    }
    with RealHub(tmp_path, {"cull": cull, "admin_users": []}).running() as hub:
        for name in ("ann", "tom"):
            hub.ask("POST", f"users/{name}")
        hub.ask("POST", "groups/staff/users", json={"users": ["tom"]})
        for name in ("ann", "tom"):
            hub.ask("POST", f"users/{name}/server")
        until(lambda: bool(hub.user("tom")["servers"].get("", {}).get("ready")))
        until(lambda: not hub.user("ann")["servers"])
        assert hub.user("tom")["servers"][""]["ready"]
        (service,) = (one for one in hub.ask("GET", "services").json().values() if one["name"] == "culler")
        assert service["pid"]
        # On the page of everyone who is logged in.
        told = "Your server is stopped after 1 seconds"
        assert told not in requests.get(f"{hub.url}/hub/login", timeout=180).text
        assert told in Browser(hub, "ann").page("hub/home").text
    assert "could not be looked at" not in hub.said()
    assert "Traceback" not in hub.said()
