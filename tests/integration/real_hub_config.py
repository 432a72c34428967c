"""The configuration of the tests' hub: the product's own, with nothing of a cluster in it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from coursehub_hub import settings
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner, Spawner
from tornado.web import Application, RequestHandler

FOLDER = Path(os.environ["TEST_HUB_FOLDER"])
PORT, STUB_PORT = int(os.environ["TEST_HUB_PORT"]), int(os.environ["TEST_HUB_STUB_PORT"])


class Routes(Proxy):
    """A proxy that only remembers its routes."""

    should_start = False

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._known: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: dict[str, Any]) -> None:
        self._known[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self._known.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return dict(self._known)


class Ok(RequestHandler):
    """Answers everything, as far as the hub asks."""

    def get(self) -> None:
        self.write("well")


class Stub(Spawner):
    """Starts nothing but what answers; by the student's name it is slow, or fails."""

    _answering = False

    async def start(self) -> Any:
        if not Stub._answering:
            Stub._answering = True
            Application([(".*", Ok)]).listen(STUB_PORT, "127.0.0.1")
        await asyncio.sleep(0.5)
        if self.user.name.startswith("unlucky"):
            raise RuntimeError("there is no room for it")
        self._running = True
        return f"http://127.0.0.1:{STUB_PORT}"

    async def stop(self, now: bool = False) -> None:
        if self.user.name.startswith("slow"):
            await asyncio.sleep(1.5)
        self._running = False

    async def poll(self) -> int | None:
        return None if getattr(self, "_running", False) else 0


c = globals()["get_config"]()
settings.apply(c, settings.read(FOLDER / "values.json", FOLDER / "secrets"))
c.JupyterHub.proxy_class = Routes
c.JupyterHub.bind_url = "http://127.0.0.1:1"
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = f"http://127.0.0.1:{PORT}"
c.JupyterHub.db_url = f"sqlite:///{FOLDER}/hub.sqlite"
c.JupyterHub.services.append({"name": "test", "api_token": os.environ["TEST_HUB_TOKEN"]})
scopes = ["admin:users", "admin:servers", "admin:groups", "access:servers", "proxy", "list:services", "read:services"]
c.JupyterHub.load_roles.append({"name": "test", "services": ["test"], "scopes": scopes})
for service in c.JupyterHub.services:
    if service["name"] == "culler":
        # Without the ten minutes in which a hub that is back hears who was at work.
        cull = {**json.loads(service["environment"]["COURSEHUB_CULL"]), "settle": 1}
        service["environment"] = {
            "COURSEHUB_CULL": json.dumps(cull),
            "COURSEHUB_HUB_API": f"http://127.0.0.1:{PORT}/hub/api",
        }
c.Spawner.pre_spawn_hook = None
# For a server that a busy machine starts; the product has 60 s.
c.Spawner.http_timeout = 300
if os.environ["TEST_HUB_SPAWNER"] == "stub":
    c.JupyterHub.spawner_class = Stub
else:
    c.JupyterHub.spawner_class = SimpleLocalProcessSpawner
    c.SimpleLocalProcessSpawner.home_dir_template = f"{FOLDER}/home/{{username}}"
    c.Spawner.cmd = [sys.executable, str(Path(__file__).parents[2] / "roles/hub/files/server")]
    c.Spawner.args = ["--allow-root", *os.environ.get("TEST_SERVER_ARGS", "").split()]
    c.Spawner.default_url = "/tree"
    c.Spawner.environment = {
        **c.Spawner.environment,
        "JUPYTER_RUNTIME_DIR": f"{FOLDER}/runtime",
        "JUPYTER_CONFIG_DIR": f"{FOLDER}/config",
        "JUPYTER_PATH": f"{FOLDER}/share",
    }
