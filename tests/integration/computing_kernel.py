"""A kernel as small as can be, which computes for as many seconds as the code says.

It answers its control channel meanwhile, as ipykernel does. After code that ends with ``quiet`` it does not say that
it is idle, as if that message was lost.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

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
    telling = threading.Lock()

    def tell(state: str, request: dict[str, Any]) -> None:
        with telling:
            session.send(told, "status", {"execution_state": state}, parent=request, ident=b"status")

    def answer(socket: zmq.Socket[bytes]) -> None:
        while True:
            identities, message = session.feed_identities(socket.recv_multipart())
            request = session.deserialize(message)
            kind = request["header"]["msg_type"]
            tell("busy", request)
            if kind == "shutdown_request":
                os._exit(0)
            seconds, _space, quiet = str(request["content"].get("code", "0")).partition(" ")
            time.sleep(float(seconds))
            content = INFO if kind == "kernel_info_request" else {"status": "ok", "execution_count": 1}
            session.send(socket, kind.replace("_request", "_reply"), content, parent=request, ident=identities)
            if not quiet:
                tell("idle", request)

    threading.Thread(target=answer, args=(control,), daemon=True).start()
    answer(shell)


if __name__ == "__main__":
    main(sys.argv[1])
