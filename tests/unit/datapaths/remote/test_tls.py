"""Over TCP, client and server authenticate each other."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from datapaths.base import Unavailable
from datapaths.memory import MemoryDatapath
from datapaths.remote.driver import RemoteDatapath
from datapaths.remote.server import serve
from dualpath.rpc.connect import ClientTls, ConnectError
from dualpath.rpc.listen import ListenError, Tls

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl makes certificates")

EXTENSIONS = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n"


class Authority:
    """A CA in a directory, which signs certificates for this host."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = directory, name
        self.certificate = directory / f"{name}.pem"
        self._openssl(
            "req", "-x509", *self._key(name), "-days=2", f"-subj=/CN={name}", f"-out={name}.pem"
        )

    def sign(self, name: str) -> tuple[Path, Path, Path]:
        """Return the paths of certificate, key and CA, as the options take them."""
        (self.directory / "extensions").write_text(EXTENSIONS)
        self._openssl("req", *self._key(name), f"-subj=/CN={name}", f"-out={name}.csr")
        self._openssl(
            *("x509", "-req", f"-in={name}.csr", f"-CA={self.name}.pem"),
            *(f"-CAkey={self.name}.key", "-CAcreateserial", "-days=2", "-extfile=extensions"),
            f"-out={name}.pem",
        )
        return self.directory / f"{name}.pem", self.directory / f"{name}.key", self.certificate

    @staticmethod
    def _key(name: str) -> tuple[str, ...]:
        curve = "-pkeyopt=ec_paramgen_curve:prime256v1"
        return "-newkey=ec", curve, "-nodes", f"-keyout={name}.key"

    def _openssl(self, *arguments: str) -> None:
        words = [word for argument in arguments for word in _split(argument)]
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)


def _split(argument: str) -> list[str]:
    """openssl takes `-a b`, not `-a=b`."""
    option, equals, value = argument.partition("=")
    return [option, value] if equals and option.startswith("-") else [argument]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_client_without_a_certificate_of_the_ca_is_refused(tmp_path: Path, port: int) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    address = f"127.0.0.1:{port}"
    server = await serve(MemoryDatapath(), listen=address, tls=Tls(*ours.sign("server")))
    friend = RemoteDatapath(address, ClientTls(*ours.sign("friend")))
    assert (await friend.capabilities()).name == "memory"
    certificate, key, _ = theirs.sign("stranger")
    stranger = RemoteDatapath(address, ClientTls(certificate, key, ours.certificate))
    plain = RemoteDatapath(address)
    for client in (stranger, plain):
        with pytest.raises(Unavailable):
            await client.capabilities()
    for client in (friend, stranger, plain):
        await client.close()
    await server.stop()


async def test_server_with_a_certificate_of_another_ca_is_refused(
    tmp_path: Path, port: int
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    address = f"127.0.0.1:{port}"
    server = await serve(MemoryDatapath(), listen=address, tls=Tls(*theirs.sign("server")))
    client = RemoteDatapath(address, ClientTls(*ours.sign("friend")))
    with pytest.raises(Unavailable):
        await client.capabilities()
    await client.close()
    await server.stop()


async def test_missing_files_are_named(tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    with pytest.raises(ConnectError, match=r"cannot read .*none\.pem"):
        RemoteDatapath("127.0.0.1:1", ClientTls(none, none, none))


def test_files_that_are_not_pem_are_named(tmp_path: Path) -> None:
    """gRPC reports every TLS error as a failure to listen, like a port in use."""
    authority, bad = Authority(tmp_path, "ours"), tmp_path / "bad"
    (certificate, key, ca), (_, other, _) = authority.sign("server"), authority.sign("other")
    bad.write_text("no PEM\n")
    Tls(certificate, key, ca).credentials()
    for tls in (Tls(bad, key, ca), Tls(certificate, bad, ca), Tls(certificate, other, ca)):
        with pytest.raises(ListenError, match="not a PEM certificate and its key"):
            tls.credentials()
    with pytest.raises(ListenError, match="bad: not a PEM certificate of a CA"):
        Tls(certificate, key, bad).credentials()
