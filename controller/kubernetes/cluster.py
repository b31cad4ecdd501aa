"""How to reach an API server: as a pod, or by a kubeconfig. Reads files, opens no connection."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ClusterError(Exception):
    """There is no usable description of a cluster; one sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """One API server and who we are there.

    `token_file` is read for each request: kubelet replaces a pod's token before it expires.
    """

    server: str  # https://HOST:PORT
    context: ssl.SSLContext
    token: str = ""
    token_file: Path | None = None
    namespace: str = ""  # where what belongs to this program is; "" if nobody says

    def authorization(self) -> dict[str, str]:
        """Return the header that says who we are. Raises OSError."""
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_cluster(
    environment: Mapping[str, str] = os.environ, directory: Path = SERVICE_ACCOUNT
) -> Cluster:
    """Return the cluster in which this process is a pod. Raises ClusterError."""
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    token = directory / "token"
    if not host or not token.exists():
        raise ClusterError(
            "not in a pod with a service account: give --kubeconfig FILE, or run without "
            "--kubernetes"
        )
    try:
        context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    except (OSError, ssl.SSLError) as error:
        raise ClusterError(f"{directory / 'ca.crt'}: {error}") from None
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Cluster(server, context, token_file=token, namespace=_namespace(directory / "namespace"))


def from_kubeconfig(path: Path) -> Cluster:
    """Return the cluster of a kubeconfig's current context. Raises ClusterError.

    Tokens and client certificates are taken; programs that fetch credentials (`exec`) are not run.
    """
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"{path}: cannot be read: {error}") from None
    current = config.get("current-context") if isinstance(config, dict) else None
    context = _named(path, config, "contexts", "context", current)
    cluster = _named(path, config, "clusters", "cluster", context.get("cluster"))
    user = _named(path, config, "users", "user", context.get("user"))
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith("https://"):
        raise ClusterError(f"{path}: the cluster's server must be https://HOST:PORT")
    if "exec" in user or "auth-provider" in user:
        raise ClusterError(f"{path}: the user needs a program for its credentials; give a token")
    token_file = user.get("tokenFile")
    return Cluster(
        server.rstrip("/"),
        _context(path, cluster, user),
        str(user.get("token", "")),
        path.parent / token_file if isinstance(token_file, str) else None,
        str(context.get("namespace") or ""),
    )


def _namespace(path: Path) -> str:
    """Return the namespace of the pod, which kubelet writes beside the token."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _named(path: Path, config: Any, plural: str, kind: str, name: object) -> dict[str, Any]:  # noqa: ANN401
    for entry in config.get(plural) or () if isinstance(config, dict) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(kind)
            if isinstance(found, dict):
                return found
    raise ClusterError(f"{path}: no {kind} is called {name!r}; is current-context set?")


def _context(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    try:
        data = _pem(path, cluster, "certificate-authority")
        context = ssl.create_default_context(cadata=data.decode() if data else None)
        certificate, key = _pem(path, user, "client-certificate"), _pem(path, user, "client-key")
        if certificate and key:
            load_pair(context, certificate, key)
    except (OSError, ValueError, binascii.Error) as error:  # ssl.SSLError is an OSError
        raise ClusterError(f"{path}: {error}") from None
    return context


def _pem(path: Path, part: dict[str, Any], name: str) -> bytes:
    """Return a PEM that is inline, or in a file beside the kubeconfig; empty without either."""
    if inline := part.get(f"{name}-data"):
        return base64.b64decode(inline, validate=True)
    file = part.get(name)
    return (path.parent / file).read_bytes() if isinstance(file, str) else b""


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Give a context its certificate and key, both PEM. Raises ssl.SSLError, which is an OSError.

    OpenSSL reads them from a file only: from one in memory. Connections that are open keep theirs.
    """
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
