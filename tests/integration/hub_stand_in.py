"""As much of a hub as a student's server asks: whose a token is, and reports of activity."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.ports import free_port


@dataclass
class Hub:
    """What it says, and what it was asked."""

    port: int = field(default_factory=free_port)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def answering(hub: Hub) -> Iterator[Hub]:
    """Answer on the hub's port; when the block ends, nobody listens there."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.asked.append(f"{self.command} {self.path}")
            user = hub.users.get(self.headers.get("Authorization", "").removeprefix("token "))
            if hub.status:
                status, body = hub.status, {"message": "not well"}
            elif self.path == "/hub/api/user" and user is None:
                status, body = 403, {"message": "Forbidden"}
            else:
                status, body = 200, user if self.path == "/hub/api/user" and user else {"version": "6"}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            # So that none of its connections outlives it.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = _answer  # noqa: N815 - http.server finds them by these names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", hub.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
