"""The emulator over TLS, and its proxy for clients that have no option for Drive's address."""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.drive import Emulator, emulator

ASKED = b"GET /drive/v3/about?fields=user HTTP/1.1\r\nHost: www.googleapis.com\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulator(tmp_path_factory.mktemp("drive"), "--proxy-port=0") as process:
        yield process


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def through_proxy(drive: Emulator, head: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", int(drive.ports["proxy-port"])), timeout=120)
    connection.sendall(head)
    return connection


@pytest.mark.parametrize("host", ["www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com"])
def test_googles_names_lead_to_the_emulator(drive: Emulator, host: str) -> None:
    with through_proxy(drive, f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode()) as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(cafile=drive.ports["ca"])
        with context.wrap_socket(connection, server_hostname=host) as secure:
            secure.sendall(ASKED)
            assert read_all(secure).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
        b"CONNECT www.googleapis.com:22 HTTP/1.1\r\n\r\n",
        b"GET http://www.googleapis.com/ HTTP/1.1\r\n\r\n",
        b"hello\r\n\r\n",
    ],
)
def test_nothing_else_does(drive: Emulator, head: bytes) -> None:
    with through_proxy(drive, head) as connection:
        assert read_all(connection).startswith(b"HTTP/1.1 403")


def test_no_other_authority_is_trusted_for_it(drive: Emulator) -> None:
    with through_proxy(drive, b"CONNECT www.googleapis.com:443 HTTP/1.1\r\n\r\n") as connection:
        connection.recv(1024)
        with pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(connection, server_hostname="www.googleapis.com")


def test_the_key_is_not_for_everybody(drive: Emulator) -> None:
    server = Path(drive.ports["ca"]).with_name("server.pem")
    assert stat.S_IMODE(server.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in Path(drive.ports["ca"]).read_text(encoding="utf-8")


def test_the_api_can_be_served_over_tls(drive: Emulator, tmp_path: Path) -> None:
    server = Path(drive.ports["ca"]).with_name("server.pem")
    with emulator(tmp_path, f"--tls-cert={server}", f"--tls-key={server}") as process:
        context = ssl.create_default_context(cafile=drive.ports["ca"])
        with (
            socket.create_connection(("127.0.0.1", int(process.ports["port"])), timeout=120) as connection,
            context.wrap_socket(connection, server_hostname="www.googleapis.com") as secure,
        ):
            secure.sendall(ASKED)
            assert read_all(secure).startswith(b"HTTP/1.1 401")
