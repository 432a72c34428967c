"""What the kubelet asks: whether this hub may be sent requests, or waits as it should."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8082
PATH = "/health"
# Asked directly: a proxy of the institution is for what lies outside.
HUB = ("127.0.0.1", 8081)
TIMEOUT_S = 4


@dataclass
class State:
    """How far this hub is. It stands by, or works."""

    active: bool = False


def serve(state: State, port: int = PORT, hub: tuple[str, int] = HUB) -> ThreadingHTTPServer:
    """Answer on a port, in the background: 200 for a hub that stands by, and for one that works and is well."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Others only want to know whether anything is here, sooner than a busy hub would answer.
            if self.path != PATH:
                self.send_response(404)
            else:
                self.send_response(200 if not state.active or _is_well(hub) else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing: the kubelet asks every second."""

    server = ThreadingHTTPServer(("", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _is_well(hub: tuple[str, int]) -> bool:
    connection = HTTPConnection(*hub, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/hub/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
