"""Addresses that a service may listen on: a public one only with mutual TLS."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from dualpath.rpc.socketname import DIRECTORY_MODE, SocketName

SOCKET_MODE = 0o660  # mode of a socket that only answers questions
PRIVATE_MODE = 0o600  # mode of a socket that accepts changes
MAX_PATH = 107  # sizeof(sockaddr_un.sun_path) - 1, linux/un.h


class ListenError(Exception):
    """The service cannot listen there; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files: our certificate, its key, and the CA that clients' certificates must be from."""

    certificate: Path
    key: Path
    ca: Path

    def credentials(self) -> grpc.ServerCredentials:
        """Raises ListenError if a file cannot be read, or has the wrong content."""
        try:
            pair = self.key.read_bytes(), self.certificate.read_bytes()
            ca = self.ca.read_bytes()
        except OSError as error:
            raise ListenError(f"cannot read {error.filename}: {error.strerror}") from None
        self._check()
        return grpc.ssl_server_credentials([pair], ca, require_client_auth=True)

    def _check(self) -> None:
        """Read the files as gRPC will, for a useful error: gRPC reports none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # do not check the strength of keys here
        try:
            context.load_cert_chain(self.certificate, self.key, password="")
        except ssl.SSLError:
            text = "not a PEM certificate and its key without a password"
            raise ListenError(f"{self.certificate} and {self.key}: {text}") from None
        try:
            context.load_verify_locations(self.ca)
        except ssl.SSLError:
            raise ListenError(f"{self.ca}: not a PEM certificate of a CA") from None


def bind(
    server: grpc.aio.Server, listen: str, tls: Tls | None = None, name: SocketName | None = None
) -> None:
    """Let a server listen on unix:/PATH, whose name is `name`, or on ADDRESS:PORT.

    Raises ListenError.
    """
    if name:
        with naming(name) as path:
            server.add_insecure_port(f"unix:{path}")
    else:
        _bind_tcp(server, listen, tls)


@contextmanager
def naming(name: SocketName) -> Iterator[Path]:
    """Yield a path to bind a socket to, then rename the socket to `name`. Raises ListenError."""
    try:
        name.make_directory()
        prepare(name.path)
        with name.binding() as path:
            yield path
    except (RuntimeError, OSError) as error:
        raise ListenError(f"cannot listen on {name.path}: {_reason(error)}") from None


def _reason(error: RuntimeError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def probe(listen: str, tls: Tls | None = None) -> None:
    """Check that `bind` would succeed, and release the address. Raises ListenError."""
    path = check(listen, tls)
    if path:
        prepare(path)
    else:
        probe_tcp(listen)
    if tls:
        tls.credentials()


def probe_tcp(listen: str) -> None:
    """Check that ADDRESS:PORT can be bound, for a listener that is not gRPC's."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, int(port)), family=family).close()
    except OSError:
        raise _not_to_be_had(listen) from None


def _bind_tcp(server: grpc.aio.Server, listen: str, tls: Tls | None) -> None:
    try:
        if tls:
            server.add_secure_port(listen, tls.credentials())
        else:
            server.add_insecure_port(listen)
    except RuntimeError:
        raise _not_to_be_had(listen) from None


def _not_to_be_had(listen: str) -> ListenError:
    return ListenError(
        f"cannot listen on {listen}: the port is in use, or the address is not this host's"
    )


def check(listen: str, tls: Tls | None) -> Path | None:
    """Return the path of a UNIX listener, None for TCP. Raises ListenError if it is not allowed."""
    path = unix_path(listen)
    if path is None:
        _check_tcp(listen, tls)
    return path


def unix_path(listen: str) -> Path | None:
    """Return the path of a UNIX listener, None for another address. Raises ListenError."""
    if not listen.startswith("unix:"):
        return None
    text = listen.removeprefix("unix:")
    text = text.removeprefix("//")  # unix:///run/x has an empty authority
    if not text.startswith("/"):
        raise ListenError(f"{listen}: the path of a UNIX socket must be absolute")
    if len(os.fsencode(text)) > MAX_PATH:
        raise ListenError(f"{listen}: the path of a UNIX socket has {MAX_PATH} bytes at most")
    return Path(text)


def _check_tcp(listen: str, tls: Tls | None) -> None:
    host, colon, port = listen.rpartition(":")
    whole = host.startswith("[") == host.endswith("]") == (":" in host)
    number = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536
    if not (colon and host and whole and number):
        raise ListenError(f"{listen!r} is neither unix:/PATH nor ADDRESS:PORT")
    if not _is_loopback(listen, host) and tls is None:
        raise ListenError(
            f"{listen} is not a loopback address: give certificate, key and CA for mutual TLS,"
            " or listen on unix:/PATH"
        )


def _is_loopback(listen: str, host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        raise ListenError(f"{listen}: {host} is not an IP address") from None


def prepare(path: Path) -> None:
    """Create a socket's directory, and remove a stale socket. Raises ListenError."""
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        mode = path.lstat().st_mode if os.path.lexists(path) else None
    except OSError as error:
        raise ListenError(f"cannot use {path}: {error.strerror}") from None
    if mode is None:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} exists and is not a socket: remove it, or listen elsewhere")
    if _answers(path):
        raise ListenError(f"{path} is in use: another process listens there; stop it first")
    path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    """Return whether a process listens. Only ECONNREFUSED shows that none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
