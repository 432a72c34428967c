"""The driver's command. One image, two roles: the controller beside the sidecars, a node plugin on each node."""

from __future__ import annotations

import argparse
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from . import DRIVER
from .controller import Controller
from .identity import Identity, Registration
from .node import Node
from .pool import Pool, PoolError
from .protos import csi_services, registration_services

# How often the controller looks whether the quotas still count: a look takes 2 ms.
COUNT_S = 5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="btrfs_csi", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where to serve CSI")
    parser.add_argument("--pool", type=Path, required=True, help="where the btrfs pool is mounted")
    parser.add_argument("--controller", action="store_true", help="serve the controller service")
    parser.add_argument("--node", help="serve the node service, under this node's name")
    parser.add_argument("--own", type=Path, help="a folder on the node's own file system, needed with --node")
    parser.add_argument("--registration-socket", type=Path, help="where the kubelet looks for plugins")
    parser.add_argument("--kubelet-endpoint", help="the CSI socket as the kubelet sees it")
    arguments = parser.parse_args()
    if arguments.node and not arguments.own:
        parser.error("--node needs --own")
    return arguments


def _serve(socket: Path) -> grpc.Server:
    socket.unlink(missing_ok=True)
    server = grpc.server(ThreadPoolExecutor(max_workers=16))
    server.add_insecure_port(f"unix://{socket}")
    return server


def _count(pool: Pool) -> None:
    try:
        if pool.count_anew():
            print(f"{DRIVER}: the quotas were inconsistent, the kernel counts anew", flush=True)
    except PoolError as error:
        print(f"{DRIVER}: {error}", flush=True)


def main() -> None:
    """Serve until told to end."""
    # Before anybody can know that it serves: who tells it to end then would kill it, or be ignored by it, as process 1.
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    arguments = _arguments()
    pool = Pool(arguments.pool)
    pool.check()
    servers = [_serve(arguments.socket)]
    csi_services.add_IdentityServicer_to_server(Identity(pool, arguments.controller), servers[0])
    if arguments.controller:
        csi_services.add_ControllerServicer_to_server(Controller(pool), servers[0])
    if arguments.node:
        node = Node(pool, arguments.node, arguments.own)
        node.announce()
        csi_services.add_NodeServicer_to_server(node, servers[0])
    if arguments.registration_socket:
        servers.append(_serve(arguments.registration_socket))
        registration_services.add_RegistrationServicer_to_server(Registration(arguments.kubelet_endpoint), servers[1])
    for server in servers:
        server.start()
    print(f"{DRIVER}: serving {arguments.socket}", flush=True)
    while not ended.wait(COUNT_S):
        if arguments.controller:
            _count(pool)
    for server in servers:
        server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
