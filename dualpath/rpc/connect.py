"""Addresses that a client may connect to: beyond this host only with mutual TLS."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc


class ConnectError(Exception):
    """The connection failed; the text is one line for the user."""


class BadAddress(ConnectError):
    """The address, or its TLS files, cannot be used."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files: our certificate, its key, and the CA of the server's certificate."""

    certificate: Path
    key: Path
    ca: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Raises ConnectError when a file cannot be read."""
        try:
            ca, key = self.ca.read_bytes(), self.key.read_bytes()
            certificate = self.certificate.read_bytes()
        except OSError as error:
            raise ConnectError(f"cannot read {error.filename}: {error.strerror}") from None
        import grpc  # here, because it is slow and most connections have no TLS

        return grpc.ssl_channel_credentials(ca, private_key=key, certificate_chain=certificate)


@dataclass(frozen=True, slots=True)
class Target:
    """Address and credentials for a gRPC channel; without credentials it has no TLS."""

    address: str
    credentials: grpc.ChannelCredentials | None = None


def target_of(connect: str, tls: ClientTls | None) -> Target:
    """Parse unix:/PATH, /PATH or ADDRESS:PORT. Raises ConnectError."""
    path = check(connect, secured=tls is not None)
    if path:
        return Target(f"unix:{path}")
    return Target(connect, tls.credentials() if tls else None)


def check(connect: str, *, secured: bool) -> str | None:
    """Return the path of a UNIX socket, None for TCP. Raises BadAddress if it is not allowed."""
    path = unix_path(connect)
    if path is None and not _is_loopback(connect) and not secured:
        raise BadAddress(f"{connect} is not on this host: give certificate, key and CA")
    return path


def unix_path(connect: str) -> str | None:
    """Return the path of a UNIX socket, None for ADDRESS:PORT. Raises BadAddress."""
    if connect.startswith("/"):
        return connect
    if not connect.startswith("unix:"):
        return None
    path = connect.removeprefix("unix:").removeprefix("//")
    if not path.startswith("/"):
        raise BadAddress(f"{connect}: the path of a UNIX socket must be absolute")
    return path


def probe(path: str) -> None:
    """Connect to a UNIX socket and close it. Raises OSError with the reason; gRPC hides it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        tried.connect(path)


def _is_loopback(connect: str) -> bool:
    host, colon, port = connect.rpartition(":")
    whole = host.startswith("[") == host.endswith("]") == (":" in host)
    number = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
    if not (host and colon and whole and number):
        raise BadAddress(f"{connect!r} is neither unix:/PATH nor ADDRESS:PORT")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host == "localhost"
    return address.is_loopback
