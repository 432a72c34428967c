"""A student who uses the hub by HTTP, as the browser does."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import urlparse

import requests
import websocket

TIMEOUT_S = 30


class Student:
    """One student with one browser session."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.session = requests.Session()

    def _page(self, path: str) -> str:
        return f"{self.url}{path}"

    def _token(self, path: str) -> str:
        return next(
            (cookie.value or "" for cookie in self.session.cookies if cookie.name == "_xsrf" and cookie.path == path),
            "",
        )

    def login(self) -> Student:
        self.session.get(self._page("/hub/login"), timeout=TIMEOUT_S).raise_for_status()
        answer = self.session.post(
            self._page("/hub/login"),
            data={"username": self.name, "password": "any", "_xsrf": self._token("/hub/")},
            allow_redirects=False,
            timeout=TIMEOUT_S,
        )
        assert answer.status_code == 302, answer.text
        return self

    def start(self, seconds: float = 120) -> Student:
        """Start the server, and wait until its page opens, as the browser's progress page does."""
        deadline = time.monotonic() + seconds
        self.session.get(self._page("/hub/spawn"), timeout=TIMEOUT_S).raise_for_status()
        progress = self.session.get(
            self._page(f"/hub/api/users/{self.name}/server/progress"), stream=True, timeout=seconds
        )
        last = ""
        for line in progress.iter_lines(decode_unicode=True):
            if line.startswith("data:"):
                event = json.loads(line.removeprefix("data:"))
                last = event.get("message", "")
                if event.get("ready"):
                    break
                assert not event.get("failed"), last
            assert time.monotonic() < deadline, f"{self.name}'s server did not start: {last}"
        # Opens the page: only then has the server its own login cookie.
        page = self.session.get(self._page(f"/user/{self.name}/lab"), timeout=TIMEOUT_S)
        assert page.status_code == 200, f"{page.status_code} for {page.url}"
        assert f"/user/{self.name}/lab" in page.url, page.url
        return self

    def stop(self) -> None:
        answer = self.ask_hub("DELETE", f"users/{self.name}/server")
        assert answer.status_code in (202, 204), f"{answer.status_code} {answer.text}"

    def ask_hub(self, method: str, path: str) -> requests.Response:
        """Ask the hub's API, as its pages do."""
        return self.session.request(
            method,
            self._page(f"/hub/api/{path}"),
            headers={"X-XSRFToken": self._token("/hub/"), "Referer": self._page("/hub/home")},
            timeout=TIMEOUT_S,
        )

    def get(self, path: str) -> requests.Response:
        """Ask a student's server, one's own or another's."""
        return self.session.get(self._page(path), timeout=TIMEOUT_S, allow_redirects=False)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask one's own server's API."""
        prefix = f"/user/{self.name}/"
        answer = self.session.request(
            method,
            self._page(f"{prefix}api/{path}"),
            json=body,
            headers={"X-XSRFToken": self._token(prefix)},
            timeout=TIMEOUT_S,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def kernel(self) -> Kernel:
        """Start a kernel and open its websocket."""
        return self.connect(self.ask("POST", "kernels", {"name": "python3"})["id"])

    def connect(self, kernel: str) -> Kernel:
        """Open a websocket to a kernel that runs."""
        host = urlparse(self.url).netloc
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}"
            for cookie in self.session.cookies
            if f"/user/{self.name}/".startswith(cookie.path)
        )
        socket = websocket.create_connection(
            f"ws://{host}/user/{self.name}/api/kernels/{kernel}/channels",
            cookie=cookies,
            origin=self.url,
            timeout=TIMEOUT_S,
        )
        return Kernel(kernel, socket)


class Kernel:
    """An open websocket to a kernel."""

    def __init__(self, identifier: str, socket: websocket.WebSocket) -> None:
        self.id = identifier
        self._socket = socket

    def send(self, code: str) -> str:
        """Send code; return the request's id."""
        request = uuid.uuid4().hex
        self._socket.send(
            json.dumps(
                {
                    "channel": "shell",
                    "header": {
                        "msg_id": request,
                        "msg_type": "execute_request",
                        "username": "",
                        "session": uuid.uuid4().hex,
                        "version": "5.3",
                    },
                    "parent_header": {},
                    "metadata": {},
                    "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
                    "buffers": [],
                }
            )
        )
        return request

    def printed(self, request: str, seconds: float) -> str:
        """Return what the code printed, once it is done."""
        deadline = time.monotonic() + seconds
        text = ""
        while True:
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            message = json.loads(self._socket.recv())
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "stream":
                text += message["content"]["text"]
            if message["msg_type"] == "error":
                raise AssertionError("\n".join(message["content"]["traceback"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return text

    def close(self) -> None:
        self._socket.close()
