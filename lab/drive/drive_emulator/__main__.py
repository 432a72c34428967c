"""The emulator's command."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from pathlib import Path

from aiohttp import web

from . import certificates
from .admin import Admin
from .api import Api
from .discovery import Discovery
from .limits import Limits
from .service import Service
from .tunnel import Tunnel

LOG = logging.getLogger("drive_emulator")


def _limit(text: str) -> tuple[str, float]:
    name, _equals, value = text.partition("=")
    try:
        number = float(value)
        Limits().changed({name: number})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, int(number) if number.is_integer() else number


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="drive_emulator", description=__doc__)
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, required=True, help="the port of the API and of the tokens; 0 takes any")
    parser.add_argument("--admin-port", type=int, required=True, help="the port for tests; 0 takes any")
    parser.add_argument("--admin-address", default="127.0.0.1", help="where that listens (%(default)s)")
    parser.add_argument("--proxy-port", type=int, help="the port of a CONNECT proxy for Google's names")
    parser.add_argument("--data", type=Path, required=True, help="a folder for contents and certificates")
    parser.add_argument("--tls-cert", type=Path, help="serve the API over TLS with this certificate")
    parser.add_argument("--tls-key", type=Path, help="and this key")
    parser.add_argument("--limit", type=_limit, action="append", default=[], metavar="NAME=NUMBER", help="a limit")
    parser.add_argument("--strict", action="store_true", help="check answers against Google's description too")
    parser.add_argument("--verbose", action="store_true", help="log refused calls, and where the emulator fails")
    arguments = parser.parse_args()
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together")
    return arguments


async def _listen(application: web.Application, address: str, port: int, tls: ssl.SSLContext | None) -> int:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls).start()
    bound: int = runner.addresses[0][1]
    return bound


async def _serve(arguments: argparse.Namespace) -> None:
    service = Service(arguments.data / "contents", Limits().changed(dict(arguments.limit)))
    api = Api(service, Discovery.load(), strict=arguments.strict)
    tls = None
    if arguments.tls_cert is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    port = await _listen(api.application(), arguments.address, arguments.port, tls)
    admin = await _listen(Admin(api).application(), arguments.admin_address, arguments.admin_port, None)
    said = f"port={port} admin-port={admin}"
    if arguments.proxy_port is not None:
        ca, context = certificates.make(arguments.data)
        inner = await _listen(api.application(), "127.0.0.1", 0, context)
        tunnel = await Tunnel(inner).serve(arguments.address, arguments.proxy_port)
        said += f" proxy-port={tunnel.sockets[0].getsockname()[1]} ca={ca}"
    print(f"drive_emulator: serving {said}", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def main() -> None:
    """Serve until told to end."""
    arguments = _arguments()
    logging.basicConfig(
        format="drive_emulator: %(message)s", level=logging.DEBUG if arguments.verbose else logging.WARNING
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(arguments))
    except (OSError, ssl.SSLError) as error:
        sys.exit(f"drive_emulator: {error}")


if __name__ == "__main__":
    main()
