"""A class of 1000 begins at once; and a hub begins while 1000 servers run.

The hub runs as it does in its image, against a real API server. No machine has 1000 servers to spare: in the place
of kubelets something says 3 s later that a pod runs, and one server answers for all. Beside it the same with JupyterHub
and KubeSpawner as they come.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from . import api_server, environment, kubelets, report
from .report import ROOT, fail, say

STUDENTS = 1000
# As many are asked for at once where the hub is killed meanwhile; the line has 64 places.
KILLED_AMONG = 200
VENV = ROOT / "build/bench/hub"
REQUIREMENTS = ROOT / "images/hub/requirements.txt"
CONFIGS = ROOT / "bench/hub_configs"
START_TIMEOUT_S = 120
CLASS_TIMEOUT_S = 900
WATCHED = 20
# Users a page: the most that JupyterHub gives.
PAGE = 200
POLL_S = 0.5
QUIET_S = 30
# What the figures must not exceed.
LIMITS = {"refused": 0, "lost": 0, "not_told": 0, "lost_when_killed": 0, "hub_start_s": 15}


@dataclass
class Course:
    """What became of a class: statuses of the requests, and times in seconds."""

    statuses: dict[str, int] = field(default_factory=dict)
    ready: int = 0
    ready_s: float = 0.0
    told: int = 0
    first_start_s: float = 0.0
    hub_start_s: float = 0.0
    all_known_s: float = 0.0
    # Of a smaller class, in the middle of whose start the hub was killed.
    lost_when_killed: int = 0


class Hub:
    """One hub, in a folder of its own."""

    def __init__(self, config: str, api: api_server.ApiServer, servers: int, folder: Path) -> None:
        self.port = api_server.free_port()
        self.token = secrets.token_hex(16)
        self._folder = folder
        self._command = [str(VENV / "bin/jupyterhub"), "--config", str(CONFIGS / f"{config}.py")]
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(api.kubeconfig),
            "PYTHONPATH": f"{ROOT / 'images/hub'}:{CONFIGS}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "JUPYTERHUB_CRYPT_KEY": "cd" * 32,
            "BENCH_HUB_PORT": str(self.port),
            "BENCH_SERVER_PORT": str(servers),
            "BENCH_TOKEN": self.token,
            "BENCH_DATABASE": str(folder / "hub.sqlite"),
            "BENCH_VALUES": str(folder / "values.json"),
            "BENCH_SECRETS": str(folder / "secrets"),
        }
        _settings(folder)

    @contextmanager
    def running(self) -> Iterator[float]:
        """Run it until the block ends, then kill it; give the seconds that it took to answer."""
        with (self._folder / "hub.log").open("ab") as log:
            begun = time.monotonic()
            process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
            try:
                asyncio.run(self._until_well(process))
                yield time.monotonic() - begun
            finally:
                # As one that dies: it takes no server with it.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    async def _until_well(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        async with self.session() as session:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    async with session.get("/hub/health") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        log = (self._folder / "hub.log").read_text(encoding="utf-8", errors="replace")
        fail(f"the hub did not come up: {log[-2000:]}")

    def session(self) -> aiohttp.ClientSession:
        """Return a session with the rights of the benchmark. One connection a student."""
        return aiohttp.ClientSession(
            f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"token {self.token}"},
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=CLASS_TIMEOUT_S),
        )


def _settings(folder: Path) -> None:
    """Write what the role would: the values, and one file a secret."""
    values = {
        "authenticator": "dummy",
        "auth": {},
        "allow_all": True,
        "allowed_users": [],
        "allow_existing_users": False,
        "admin_users": [],
        "roles": {},
        "public_url": "",
        "subdomains": False,
        "students_namespace": kubelets.NAMESPACE,
        "hub_url": "http://127.0.0.1:1",
        "proxy_api_url": "http://127.0.0.1:1",
        "redis_url": "redis://127.0.0.1:1",
        "image": "localhost/coursehub/singleuser:1",
        "storage_class": "coursehub-disk",
        "disk_size": "1Gi",
        "memory": "256Mi",
        "memory_limit": "1Gi",
        "cpu": "50m",
        "cpu_limit": "2",
        "pool": "",
        "scheduler": "",
        "start_timeout": 300,
        "away_limit": 43200,
        "concurrent_spawns": 64,
        "cull": {"idle": 0, "max_age": 0, "every": 600, "groups": {}, "night": {}},
        "courses": {},
    }
    (folder / "values.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "secrets").mkdir(exist_ok=True)
    given = {"auth.json": "{}", "api-password": "none", "redis-password": "none"}
    for name in ("cookie-secret", "crypt-key", "disks-token", "people-token"):
        given[name] = secrets.token_hex(32)
    for name, value in given.items():
        (folder / "secrets" / name).write_text(value, encoding="utf-8")


async def _class(hub: Hub, students: int) -> Course:
    """Let all students start at once; wait until each has a server or was refused."""
    course = Course()
    async with hub.session() as session:
        names = await _enrol(session, students)
        begun = time.monotonic()

        async def listen(name: str) -> bool:
            """Tell whether the page says how long the line is, right after JupyterHub's own "Server requested"."""
            while time.monotonic() < begun + START_TIMEOUT_S:
                async with session.get(f"/hub/api/users/{name}/server/progress") as answer:
                    # Refused until the hub has come to this one's request for a server: of 1000 the last one's takes it
                    # more than two seconds.
                    if answer.status == 200:
                        async for line in answer.content:
                            if line.startswith(b"data:") and b"Server requested" not in line:
                                return b" in line" in line
                await asyncio.sleep(POLL_S)
            return False

        asked = [asyncio.ensure_future(_start(session, name)) for name in names]
        # The last ones wait longest.
        course.told = sum(await asyncio.gather(*(listen(name) for name in names[-WATCHED:])))
        statuses = await asyncio.gather(*asked)
        course.statuses = {str(status): count for status, count in sorted(Counter(statuses).items())}
        taken = sum(status in (201, 202) for status in statuses)
        course.ready = await _until_ready(session, taken, begun + CLASS_TIMEOUT_S)
        course.ready_s = round(time.monotonic() - begun, 1)
    return course


async def _enrol(session: aiohttp.ClientSession, students: int) -> list[str]:
    names = [f"student-{number:04}" for number in range(students)]
    async with session.post("/hub/api/users", json={"usernames": names}) as answer:
        if answer.status != 201:
            fail(f"the hub made no users: {answer.status} {await answer.text()}")
    return names


async def _start(session: aiohttp.ClientSession, name: str) -> int:
    async with session.post(f"/hub/api/users/{name}/server") as answer:
        return answer.status


async def _begin(hub: Hub) -> None:
    """Let a class start, until some servers run, some are on their way, and the rest waits in line."""
    async with hub.session() as session:
        names = await _enrol(session, KILLED_AMONG)
        asked = [asyncio.ensure_future(_start(session, name)) for name in names]
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (await _servers(session))[0] and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _go_on(hub: Hub) -> int:
    """Return how many servers run once nothing has been on its way for a while."""
    async with hub.session() as session:
        ready, quiet = 0, time.monotonic()
        while ready < KILLED_AMONG and time.monotonic() < quiet + QUIET_S:
            ready, pending = await _servers(session)
            if pending:
                quiet = time.monotonic()
            await asyncio.sleep(POLL_S)
        return ready


async def _until_ready(session: aiohttp.ClientSession, wanted: int, deadline: float) -> int:
    """Wait until so many servers are ready, or none starts any more; return how many are."""
    while True:
        ready, pending = await _servers(session)
        if ready >= wanted or not pending or time.monotonic() > deadline:
            return ready
        await asyncio.sleep(POLL_S)


async def _servers(session: aiohttp.ClientSession) -> tuple[int, int]:
    """Count the servers that are ready, and those on their way.

    Each server is asked for its own word: the users API's `state=ready` counts one that is still being started as
    soon as it has a port, and the benchmark killed the hub before there were pods.
    """
    headers = {"Accept": "application/jupyterhub-pagination+json"}
    ready = pending = offset = 0
    while True:
        query = f"state=active&limit={PAGE}&offset={offset}"
        async with session.get(f"/hub/api/users?{query}", headers=headers) as answer:
            told: dict[str, Any] = await answer.json()
        for server in (server for user in told["items"] for server in user["servers"].values()):
            ready += server["ready"]
            pending += bool(server["pending"])
        if not told["_pagination"]["next"]:
            return ready, pending
        offset = told["_pagination"]["next"]["offset"]


def _measure(config: str, students: int) -> Course:
    say(f"{config}: a class of {students}")
    with _cluster(config) as hub:
        with hub.running() as first:
            course = asyncio.run(_class(hub, students))
        course.first_start_s = round(first, 2)
        begun = time.monotonic()
        with hub.running() as again:
            asyncio.run(_known(hub, course.ready))
            course.all_known_s = round(time.monotonic() - begun, 2)
        course.hub_start_s = round(again, 2)
    say(f"{config}: a class of {KILLED_AMONG}, and the hub is killed meanwhile")
    with _cluster(config) as hub:
        with hub.running():
            asyncio.run(_begin(hub))
        with hub.running():
            course.lost_when_killed = KILLED_AMONG - asyncio.run(_go_on(hub))
    say(f"{config}: {json.dumps(vars(course))}")
    return course


@contextmanager
def _cluster(config: str) -> Iterator[Hub]:
    """Give a hub that may be started, with an empty cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name:
        folder = Path(name)
        with api_server.running(folder) as api:
            kube = kubelets.Kube(str(api.kubeconfig), api_server.CONTEXT)
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": kubelets.NAMESPACE}})
            with kubelets.running(kube) as servers:
                yield Hub(config, api, servers, folder)


async def _known(hub: Hub, servers: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    async with hub.session() as session:
        while (found := (await _servers(session))[0]) != servers:
            if time.monotonic() > deadline:
                fail(f"the hub that began again knows {found} of {servers} servers")
            await asyncio.sleep(POLL_S)


def main() -> None:
    """Measure, and write. Ends with 1 where a figure is above its limit."""
    students = int(os.environ.get("COURSEHUB_BENCH_STUDENTS", STUDENTS))
    environment.install(VENV, REQUIREMENTS, "what the hub's image has")
    ours, default = _measure("ours", students), _measure("default", students)
    figures = {
        "refused": ours.statuses.get("429", 0),
        "refused_default": default.statuses.get("429", 0),
        "lost": students - ours.ready,
        "not_told": WATCHED - ours.told,
        "lost_when_killed": ours.lost_when_killed,
        "lost_when_killed_default": default.lost_when_killed,
        "class_ready_s": ours.ready_s,
        "hub_start_s": ours.hub_start_s,
        "hub_start_default_s": default.hub_start_s,
        "hub_start_empty_s": ours.first_start_s,
    }
    report.write("class_start", figures, students=students, ours=vars(ours), default=vars(default))
    quick = f"{students} students" if students != STUDENTS else ""
    report.end(figures, report.beyond(figures, LIMITS), {"class_start": _rows(ours, default)}, quick)


def _rows(ours: Course, default: Course) -> list[list[str]]:
    def row(what: str, tell: Any, limit: str = "") -> list[str]:
        return [what, tell(ours), tell(default), limit]

    return [
        ["what", "this hub", "JupyterHub as it comes", "at most"],
        row(f"students refused (429), of {STUDENTS} at once", lambda one: f"{one.statuses.get('429', 0)}", "0"),
        row("servers that run in the end", lambda one: f"{one.ready}"),
        row(f"of the last {WATCHED}, told their place in line", lambda one: f"{one.told}"),
        row(
            f"of {KILLED_AMONG} at once, lost where the hub is killed meanwhile",
            lambda one: f"{one.lost_when_killed}",
            "0",
        ),
        row("until the last server runs", lambda one: f"{one.ready_s} s"),
        row("start of a hub with no server", lambda one: f"{one.first_start_s} s"),
        row(
            "start of a hub with the servers above, until it answers",
            lambda one: f"{one.hub_start_s} s",
            f"{LIMITS['hub_start_s']} s",
        ),
        row("until it knows of every server that it runs", lambda one: f"{one.all_known_s} s"),
    ]


if __name__ == "__main__":
    main()
