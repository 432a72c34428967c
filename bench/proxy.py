"""Requests, websocket messages and new routes: this collection's proxy beside configurable-http-proxy.

Both run as processes on loopback, by turns, on one core; the client and what stands behind the proxies have another.
traefik has the role's own settings, and its routes from a Redis with the role's. The client without a proxy is the
floor. ``COURSEHUB_BENCH_SECONDS=1`` is for a quick look: it writes no table.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from . import chp, class_start, engine, environment, hub, report
from .api_server import artefacts, free_port, images
from .report import ROOT, fail, say

SECONDS, ROUNDS, SERVERS = 5.0, 3, 50
CONNECTIONS = (1, 100, 1000)
KINDS = ("requests", "websocket")
PROXY_CORE, CLIENT_CORE = "0", "1"
READY_S = 20
# What the figures must reach. Of websockets nothing: on one core the peer passes small messages on faster.
LEAST = {"requests_vs_chp": 1.0}
PROXIES = ("ours", "chp")


@dataclass(frozen=True)
class Running:
    """A proxy that runs: its port, its process, and how a hub speaks to it."""

    port: int
    process: int
    settings: dict[str, Any]


def main() -> None:
    """Measure, and write. Ends with 1 where the peer is better."""
    if (os.cpu_count() or 1) < 2:
        fail("this needs two cores: one for the proxy, one for its client")
    hub.refuse_beside_others()
    seconds = float(os.environ.get("COURSEHUB_BENCH_SECONDS", SECONDS))
    (image,), (traefik,) = images("proxy"), artefacts("go-traefik")
    program = chp.install()
    environment.install(class_start.VENV, class_start.REQUIREMENTS, "what the hub's image has")
    with tempfile.TemporaryDirectory(prefix="coursehub-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        targets = stack.enter_context(echo(200, SERVERS))
        (nobody,) = stack.enter_context(echo(404, 1))
        running = {
            "ours": stack.enter_context(ours(folder, traefik / "traefik", image, nobody)),
            "chp": stack.enter_context(peer(program, nobody)),
        }
        routes = {kind: added(kind, one, targets) for kind, one in running.items()}
        ports = {**{kind: [one.port] for kind, one in running.items()}, "floor": targets}
        seen = [
            {"proxy": proxy, "kind": kind, "connections": count, **load(kind, ports[proxy], count, seconds)}
            for kind in KINDS
            for count in CONNECTIONS
            for _round in range(ROUNDS)
            for proxy in ports
        ]
        memory = {kind: peak_mb(one.process) for kind, one in running.items()}
    figures = figures_of(seen, routes, memory)
    report.write("proxy", figures, seconds=seconds, rounds=ROUNDS, seen=seen, routes_s=routes, memory_mb=memory)
    quick = f"{seconds} s" if seconds < SECONDS else ""
    report.end(figures, report.beyond(figures, least=LEAST), {"proxy": rows(seen, routes, memory)}, quick)


def load(kind: str, ports: Sequence[int], connections: int, seconds: float) -> dict[str, float]:
    """Let the client work; return what it saw."""
    command = [sys.executable, "bench/proxy_load.py", kind, str(SERVERS), str(connections), str(seconds)]
    command += map(str, ports)
    done = subprocess.run(pinned(CLIENT_CORE, command), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fail(f"the client with {connections} connections ended with {done.returncode}: {done.stderr[-1000:]}")
    told = dict(json.loads(done.stdout))
    say(f"{kind} at {ports[0]}, {connections} connections: {done.stdout.strip()}")
    return told


def added(kind: str, proxy: Running, targets: Sequence[int]) -> list[float]:
    """Return the seconds from ``add_route`` until a route is served, of each route."""
    command = [
        *(str(class_start.VENV / "bin/python"), "bench/proxy_routes.py", kind, json.dumps(proxy.settings)),
        *(str(proxy.port), *map(str, targets)),
    ]
    told = {**os.environ, "PYTHONPATH": f"{ROOT / 'images/hub'}:{ROOT / 'bench'}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        pinned(CLIENT_CORE, command), cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        fail(f"the routes of {kind} were not added; see above")
    return list(json.loads(done.stdout))


def pinned(core: str, command: Sequence[str]) -> list[str]:
    """Return the command that keeps to one core."""
    return ["taskset", "--cpu-list", core, *command]


@contextmanager
def process(core: str, command: Sequence[str], port: int, **more: Any) -> Iterator[int]:
    """Run a process until the block ends; it has its port when the block begins. Gives its id."""
    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(pinned(core, command), stdout=log, stderr=log, **more)
        try:
            deadline = time.monotonic() + READY_S
            while not listens(port):
                if started.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    fail(f"{Path(command[0]).name} does not listen at {port}: {log.read().decode()[-2000:]}")
                time.sleep(0.05)
            # taskset has become the command.
            yield started.pid
        finally:
            started.terminate()
            started.wait(READY_S)


def listens(port: int) -> bool:
    """Tell whether someone listens at a port of loopback."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def echo(status: int, count: int) -> Iterator[list[int]]:
    """Run what stands behind the proxies; give the ports of so many servers."""
    ports = [free_port() for _server in range(count)]
    with process(CLIENT_CORE, [sys.executable, str(ROOT / "bench/echo.py"), *map(str, (status, *ports))], ports[-1]):
        yield ports


@contextmanager
def peer(program: Path, nobody: int) -> Iterator[Running]:
    """Run configurable-http-proxy as Zero to JupyterHub does."""
    port, api, token = free_port(), free_port(), secrets.token_hex(16)
    command = [
        *(str(program / "node"), str(program / chp.PROGRAM), "--ip=127.0.0.1", f"--port={port}"),
        *("--api-ip=127.0.0.1", f"--api-port={api}", f"--default-target=http://127.0.0.1:{nobody}"),
        f"--error-target=http://127.0.0.1:{nobody}/hub/error",
    ]
    with process(PROXY_CORE, command, port, env={**os.environ, "CONFIGPROXY_AUTH_TOKEN": token}) as number:
        yield Running(port, number, {"api_url": f"http://127.0.0.1:{api}", "auth_token": token})


@contextmanager
def ours(folder: Path, traefik: Path, image: str, nobody: int) -> Iterator[Running]:
    """Run traefik and Redis with the role's settings, on other ports."""
    hub.play("proxy", folder="bench/playbooks", target=str(folder))
    port, api, ready, store = (free_port() for _port in range(4))
    password, api_password = secrets.token_hex(16), secrets.token_hex(16)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", api_password], check=True, capture_output=True, text=True
    ).stdout
    (folder / "api-users").write_text(f"hub:{hashed}", encoding="utf-8")
    objects = list(yaml.safe_load_all((folder / "traefik.yaml").read_text(encoding="utf-8")))
    routes = config_map(objects)["traefik.yaml"]
    for there, here in (
        ("http://hub.bench:8081", f"http://127.0.0.1:{nobody}"),
        ("http://127.0.0.1:8083", f"http://127.0.0.1:{nobody}"),
        ("/secret/api-users", str(folder / "api-users")),
    ):
        if there not in routes:
            fail(f"the role's settings have no {there}: bench/proxy.py has to follow them")
        routes = routes.replace(there, here)
    (folder / "routes.yaml").write_text(routes, encoding="utf-8")
    settings = {
        **traefik_settings(objects),
        "TRAEFIK_PROVIDERS_REDIS_PASSWORD": password,
        "TRAEFIK_PROVIDERS_REDIS_ENDPOINTS": f"127.0.0.1:{store}",
        "TRAEFIK_PROVIDERS_FILE_FILENAME": str(folder / "routes.yaml"),
        "TRAEFIK_ENTRYPOINTS_API_ADDRESS": f"127.0.0.1:{api}",
        "TRAEFIK_ENTRYPOINTS_READY_ADDRESS": f"127.0.0.1:{ready}",
        "TRAEFIK_ENTRYPOINTS_HTTP_ADDRESS": f"127.0.0.1:{port}",
    }
    told = {
        "traefik": {
            "should_start": False,
            "enable_setup_dynamic_config": False,
            "traefik_api_url": f"http://127.0.0.1:{api}",
            "traefik_api_username": "hub",
            "traefik_api_password": api_password,
            "traefik_entrypoint": "http",
            # As the role's default of servers that start side by side.
            "concurrency": 64,
        },
        "redis": {"redis_url": f"redis://127.0.0.1:{store}", "redis_password": password},
    }
    with (
        redis(folder, image, store, password),
        process(PROXY_CORE, [str(traefik)], port, env={"PATH": os.environ["PATH"], **settings}) as number,
    ):
        yield Running(port, number, told)


def config_map(objects: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the files of the one ConfigMap among the objects."""
    (found,) = [one for one in objects if one["kind"] == "ConfigMap"]
    return dict(found["data"])


def traefik_settings(objects: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Return the variables that the role sets for traefik, but for secrets."""
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    containers = deployment["spec"]["template"]["spec"]["containers"]
    variables = next(one for one in containers if one["name"] == "traefik")["env"]
    return {one["name"]: str(one["value"]) for one in variables if "value" in one}


@contextmanager
def redis(folder: Path, image: str, port: int, password: str) -> Iterator[None]:
    """Run the Redis of the proxy's image with the role's settings."""
    objects = list(yaml.safe_load_all((folder / "redis.yaml").read_text(encoding="utf-8")))
    settings = config_map(objects)["redis.conf"]
    data = folder / "redis"
    data.mkdir()
    (data / "redis.conf").write_text(
        settings.replace("dir /data", f"dir {data}")
        + f"bind 127.0.0.1\nport {port}\nrequirepass {password}\n"
        + f"user traefik on >{password} ~* &* -@all +@read +@connection +@pubsub\n",
        encoding="utf-8",
    )
    name = f"coursehub-bench-redis-{port}"
    given = ["--network=host", "--user=0", f"--volume={data}:{data}", image]
    engine.podman("run", "--rm", "--detach", f"--name={name}", *given, "redis-server", str(data / "redis.conf"))
    try:
        deadline = time.monotonic() + READY_S
        while not listens(port):
            if time.monotonic() > deadline:
                fail(f"Redis does not listen at {port}: {engine.podman('logs', name)[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        engine.podman("rm", "--force", "--time=1", name)


def peak_mb(number: int) -> float:
    """Return the most memory that a process had, in MB."""
    for line in Path(f"/proc/{number}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise ValueError(f"process {number} has no VmHWM")


def best(seen: Sequence[dict[str, Any]], proxy: str, kind: str, connections: int, name: str) -> float:
    """Return the median of the rounds of one measurement."""
    return median(
        one[name] for one in seen if (one["proxy"], one["kind"], one["connections"]) == (proxy, kind, connections)
    )


def figures_of(
    seen: Sequence[dict[str, Any]], routes: dict[str, list[float]], memory: dict[str, float]
) -> dict[str, float]:
    """Return the figures. The ratios are the least of those at each number of connections."""

    def ratio(kind: str) -> float:
        return min(
            best(seen, "ours", kind, count, "per_second") / best(seen, "chp", kind, count, "per_second")
            for count in CONNECTIONS
        )

    return {
        **{f"{kind}_vs_chp": round(ratio(kind), 2) for kind in KINDS},
        "failed": sum(one["failed"] for one in seen if one["proxy"] == "ours"),
        "failed_chp": sum(one["failed"] for one in seen if one["proxy"] == "chp"),
        "add_route_ms": round(median(routes["ours"]) * 1000, 1),
        "add_route_chp_ms": round(median(routes["chp"]) * 1000, 1),
        "memory_mb": memory["ours"],
        "memory_chp_mb": memory["chp"],
    }


def rows(seen: Sequence[dict[str, Any]], routes: dict[str, list[float]], memory: dict[str, float]) -> list[list[str]]:
    """Return the table for people."""

    def cell(proxy: str, kind: str, count: int) -> str:
        rate, slow = (best(seen, proxy, kind, count, name) for name in ("per_second", "p99_ms"))
        return f"{rate:.0f} a second, p99 {slow:.1f} ms"

    def one(kind: str, count: int) -> list[str]:
        ratio = best(seen, "ours", kind, count, "per_second") / best(seen, "chp", kind, count, "per_second")
        many = f"{count} connection{'s' if count > 1 else ''}"
        return [f"{kind}, {many}", *(cell(proxy, kind, count) for proxy in (*PROXIES, "floor")), f"{ratio:.1f}"]

    def failed(proxy: str) -> str:
        return str(sum(each["failed"] for each in seen if each["proxy"] == proxy))

    def slowest(proxy: str) -> str:
        return f"{median(routes[proxy]) * 1000:.0f} ms, slowest {max(routes[proxy]) * 1000:.0f} ms"

    return [
        ["what", "this proxy", "configurable-http-proxy", "no proxy", "times the peer's"],
        *(one(kind, count) for kind in KINDS for count in CONNECTIONS),
        ["connections that failed", *(failed(proxy) for proxy in (*PROXIES, "floor")), ""],
        [f"from `add_route` to served, median of {SERVERS}", slowest("ours"), slowest("chp"), "", ""],
        ["memory at the most", *(f"{memory[proxy]} MB" for proxy in PROXIES), "", ""],
    ]


if __name__ == "__main__":
    main()
