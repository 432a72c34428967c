"""What both hubs of the benchmark have in common: where they are, who asks, and no proxy to speak of."""

from __future__ import annotations

import os
from typing import Any

from jupyterhub.proxy import Proxy


class Routes(Proxy):
    """A proxy that only remembers its routes: what is measured is the hub."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._known: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self._known[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self._known.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return dict(self._known)


def apply(c: Any) -> None:
    """Let the hub run on loopback beside others."""
    port = int(os.environ["BENCH_HUB_PORT"])
    c.JupyterHub.proxy_class = Routes
    Routes.should_start = False
    c.JupyterHub.bind_url = "http://127.0.0.1:1"
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port}"
    c.JupyterHub.hub_connect_url = f"http://127.0.0.1:{port}"
    c.JupyterHub.db_url = f"sqlite:///{os.environ['BENCH_DATABASE']}"
    c.JupyterHub.cookie_secret = bytes(32)
    c.JupyterHub.cleanup_servers = False
    c.CourseSpawner.hub_api = f"http://127.0.0.1:{port}/hub/api"
    c.KubeSpawner.port = int(os.environ["BENCH_SERVER_PORT"])
    services = list(c.JupyterHub.get("services", []))
    c.JupyterHub.services = [*services, {"name": "bench", "api_token": os.environ["BENCH_TOKEN"]}]
    roles = list(c.JupyterHub.get("load_roles", []))
    scopes = ["admin:users", "admin:servers", "list:users"]
    c.JupyterHub.load_roles = [*roles, {"name": "bench", "services": ["bench"], "scopes": scopes}]
