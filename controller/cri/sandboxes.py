"""Which pod sandbox is FRR's, and which network namespace it has. Pure.

A runtime's replies are not trusted: root opens a path from one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dualpath.pb import cri_pb2 as pb

NAMESPACE_LABEL = "io.kubernetes.pod.namespace"  # kubelet gives it to every sandbox
DIRECTORIES = ("/run/netns/", "/var/run/netns/")
"""Where runtimes pin namespaces of pods; the second leads to the first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_VALUE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_KEY = rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_VALUE}"
_POD = re.compile(rf"({_DNS_LABEL})/({_KEY})=({_VALUE})")


class BadReply(Exception):
    """The runtime's reply names no network namespace that may be used; the text says why."""


@dataclass(frozen=True, slots=True)
class PodSelector:
    """Pods of one namespace with one label. Without the namespace, any tenant could be FRR."""

    namespace: str
    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> PodSelector:
        """Parse NAMESPACE/LABEL=VALUE. Raises ValueError."""
        found = _POD.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r}: give NAMESPACE/LABEL=VALUE")
        return cls(*found.groups())

    def __str__(self) -> str:
        return f"{self.namespace}/{self.key}={self.value}"

    @property
    def request(self) -> pb.ListPodSandboxRequest:
        ready = pb.PodSandboxStateValue(state=pb.SANDBOX_READY)
        labels = {NAMESPACE_LABEL: self.namespace, self.key: self.value}
        return pb.ListPodSandboxRequest(
            filter=pb.PodSandboxFilter(state=ready, label_selector=labels)
        )


@dataclass(frozen=True, slots=True, order=True)
class Sandbox:
    """A running pod. The order is that of creation."""

    created_ns: int
    id: str
    name: str


def newest(selector: PodSelector, items: Iterable[pb.PodSandbox]) -> Sandbox | None:
    """Return the newest sandbox; None if none runs.

    Two run for a moment while a DaemonSet replaces its pod with `maxSurge`.
    """
    return max(_ours(selector, items), default=None)


def _ours(selector: PodSelector, items: Iterable[pb.PodSandbox]) -> Iterator[Sandbox]:
    for item in items:
        of_it = item.metadata.namespace == selector.namespace
        if of_it and item.state == pb.SANDBOX_READY and _ID.fullmatch(item.id):
            yield Sandbox(item.created_at, item.id, _printable(item.metadata.name))


def namespace_path(info: str) -> str:
    """Return the network namespace's file, from the key "info" of a verbose status.

    A pod with `hostNetwork` has none in its OCI configuration. Raises BadReply.
    """
    try:
        found = json.loads(info)["runtimeSpec"]["linux"]["namespaces"]
        paths = [each.get("path") for each in found if each["type"] == "network"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise BadReply("the runtime's reply has no OCI configuration") from None
    if len(paths) != 1:
        raise BadReply("it has no network namespace of its own: leave `hostNetwork` out")
    (path,) = paths
    for directory in DIRECTORIES:
        if isinstance(path, str) and path.startswith(directory):
            name = path.removeprefix(directory)
            if _NAME.fullmatch(name):
                return DIRECTORIES[0] + name
    raise BadReply(f"its network namespace is not below {DIRECTORIES[0]}")


def _printable(name: str) -> str:
    return name if _NAME.fullmatch(name) else "(without a valid name)"
