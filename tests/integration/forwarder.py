"""Leads TCP connections on to another port, until it passes nothing any more, as a network that drops packets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Forwarder:
    """Passes bytes both ways while ``passing`` is set; connections stay open all the same."""

    def __init__(self, target: int) -> None:
        self.passing = threading.Event()
        self.passing.set()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []

    @contextmanager
    def running(self) -> Iterator[Forwarder]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self.passing.set()
            for one in (self._listener, *self._sockets):
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.passing.wait()
                sink.sendall(data)
            self.passing.wait()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
