"""A kernel as small as can be, which computes for as many seconds as the code says."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import zmq
from jupyter_client.session import Session

INFO = {
    "status": "ok",
    "protocol_version": "5.3",
    "implementation": "computing",
    "implementation_version": "1",
    "language_info": {"name": "seconds", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"},
    "banner": "",
    "help_links": [],
}


def main(file: str) -> None:
    """Answer on the sockets that the file names, until the end of the process."""
    settings = json.loads(Path(file).read_text(encoding="utf-8"))
    context = zmq.Context()
    session = Session(key=settings["key"].encode(), signature_scheme=settings["signature_scheme"])

    def bound(kind: int, port: str) -> zmq.Socket[bytes]:
        socket = context.socket(kind)
        between = "-" if settings["transport"] == "ipc" else ":"
        socket.bind(f"{settings['transport']}://{settings['ip']}{between}{settings[port]}")
        return socket

    shell, control = bound(zmq.ROUTER, "shell_port"), bound(zmq.ROUTER, "control_port")
    bound(zmq.ROUTER, "stdin_port")
    beat, told = bound(zmq.REP, "hb_port"), bound(zmq.PUB, "iopub_port")
    threading.Thread(target=zmq.proxy, args=(beat, beat), daemon=True).start()
    poller = zmq.Poller()
    poller.register(shell, zmq.POLLIN)
    poller.register(control, zmq.POLLIN)
    while True:
        for socket, _event in poller.poll():
            identities, message = session.feed_identities(socket.recv_multipart())
            request = session.deserialize(message)
            kind = request["header"]["msg_type"]
            session.send(told, "status", {"execution_state": "busy"}, parent=request, ident=b"status")
            if kind == "shutdown_request":
                return
            if kind == "execute_request":
                time.sleep(float(request["content"]["code"]))
            content = INFO if kind == "kernel_info_request" else {"status": "ok", "execution_count": 1}
            session.send(socket, kind.replace("_request", "_reply"), content, parent=request, ident=identities)
            session.send(told, "status", {"execution_state": "idle"}, parent=request, ident=b"status")


if __name__ == "__main__":
    main(sys.argv[1])
