"""From the mounted values to the whole configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import login, proxy, server, services
from .culler import notice, rules

# By this name another hub finds in the database what is left of this one.
APPLICATION = "coursehub-hub"
SQLITE_FILE = Path("/srv/hub/jupyterhub.sqlite")
# A database whose node is gone is noticed in seconds.
PATIENCE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


@dataclass(frozen=True)
class Settings:
    """What the role wrote: ``values`` may be read by anyone, ``secrets`` by the hub alone.

    ``database`` is the address of a PostgreSQL database, empty for a file on the hub's own disk.
    """

    values: dict[str, Any]
    secrets: dict[str, str]
    database: str = ""


def read(values: Path, secrets: Path, database: str = "") -> Settings:
    """Read the values file and the folder of secrets, one file each.

    Raises OSError or ValueError for a file that is missing or no JSON.
    """
    return Settings(
        values=json.loads(values.read_text(encoding="utf-8")),
        secrets={path.name: path.read_text(encoding="utf-8").strip() for path in secrets.iterdir() if path.is_file()},
        database=database,
    )


def _database(c: Any, url: str) -> None:
    # A hub of a newer version brings the tables up to date when it starts.
    c.JupyterHub.upgrade_db = True
    if not url:
        c.JupyterHub.db_url = f"sqlite:///{SQLITE_FILE}"
        return
    c.JupyterHub.db_url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    c.JupyterHub.db_kwargs = {"connect_args": {"application_name": APPLICATION, **PATIENCE}}


def apply(c: Any, settings: Settings) -> None:
    """Configure the hub and all its parts."""
    values = settings.values
    c.JupyterHub.hub_bind_url = "http://:8081"
    c.JupyterHub.hub_connect_url = values["hub_url"]
    _database(c, settings.database)
    c.JupyterHub.cookie_secret = bytes.fromhex(settings.secrets["cookie-secret"])
    c.JupyterHub.allow_named_servers = False
    # A hub that ends must leave students' servers and routes alone: that is what it is apart for.
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.cleanup_proxy = False
    # The start of the hub does not wait until it has looked at every server.
    c.JupyterHub.init_spawners_timeout = 1
    # The default of 64 answers a class of 1000 with 429. Here they wait in line instead.
    c.JupyterHub.concurrent_spawn_limit = 0
    c.CourseSpawner.concurrent_starts = values["concurrent_spawns"]
    # On every page but the login's: each student sees how long a server lasts, and how to have it longer.
    told = notice.for_all(rules.parse(values["cull"]))
    if told:
        c.JupyterHub.template_vars = {"announcement": told, "announcement_login": ""}
    c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates")]
    c.CourseSpawner.cull = values["cull"]
    c.CourseSpawner.courses = values["courses"]
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    if values["public_url"]:
        c.JupyterHub.public_url = values["public_url"]
    if values["subdomains"]:
        c.JupyterHub.subdomain_host = values["public_url"]
    login.apply(c, values, settings.secrets)
    services.apply(c, values, settings.secrets)
    proxy.apply(c, values, settings.secrets)
    server.apply(c, values)
