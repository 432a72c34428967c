"""The proxy, which runs apart and is told its routes through Redis."""

from __future__ import annotations

from typing import Any


def apply(c: Any, values: dict[str, Any], secrets: dict[str, str]) -> None:
    """Point the hub at the proxy."""
    c.JupyterHub.proxy_class = "coursehub_hub.routes.CourseProxy"
    # Where the proxy listens; the address that students type is another.
    c.JupyterHub.bind_url = "http://:8000"
    c.TraefikProxy.should_start = False
    # The proxy's role has set up the way to its API: the hub must not write it into Redis again.
    c.TraefikProxy.enable_setup_dynamic_config = False
    c.TraefikProxy.traefik_api_url = values["proxy_api_url"]
    c.TraefikProxy.traefik_api_username = "hub"
    c.TraefikProxy.traefik_api_password = secrets["api-password"]
    c.TraefikProxy.traefik_entrypoint = "http"
    # On a first start the proxy's image may still be on its way to the nodes.
    c.TraefikProxy.check_route_timeout = 120
    # As many as start side by side: each waits until its route is served, and by the default of 10 for nine others too.
    c.TraefikProxy.concurrency = values["concurrent_spawns"]
    c.TraefikRedisProxy.redis_url = values["redis_url"]
    c.TraefikRedisProxy.redis_password = secrets["redis-password"]
