from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import requests
from coursehub_hub.standby import health


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_one_that_stands_by_is_well_and_one_that_works_is_what_its_hub_is(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(health, "TIMEOUT_S", 120)
    state = health.State()
    server = health.serve(state, 0, ("127.0.0.1", hub.server_port))

    def answer() -> int:
        return requests.get(f"http://127.0.0.1:{server.server_port}/health", timeout=120).status_code

    hub.status = 500  # type: ignore[attr-defined]
    assert answer() == 200
    state.active = True
    assert answer() == 503
    # Whoever asks whether the node is there does not wait for the hub.
    assert requests.get(f"http://127.0.0.1:{server.server_port}/", timeout=120).status_code == 404
    hub.status = 200  # type: ignore[attr-defined]
    assert answer() == 200
    hub.shutdown()
    hub.server_close()
    assert answer() == 503
    server.shutdown()
    server.server_close()
