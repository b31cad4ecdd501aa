"""The options of the operator: frozen, validated once."""

from __future__ import annotations

import argparse
import os
import re
import socket
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.kubernetes.cluster import SERVICE_ACCOUNT
from controller.operator import LEASE_S, LONGEST_LEASE_S
from dualpath.process import logs, options

PROG = "dualpath-operator"
LEAST_S = 6  # of a Lease, so that a slow request is no lost leader

_EXAMPLES = f"""examples:
  {PROG}                                     in a pod, without the webhook
  {PROG} --webhook '[::]:9443'               in a pod, as in deploy/operator
  {PROG} --kubeconfig ~/.kube/config --namespace dualpath-system
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The command line, and where the pod is."""

    kubeconfig: Path | None  # None: we are in a pod
    namespace: str  # of the Lease, of the Secret and of the Service
    identity: str  # of this replica
    webhook: tuple[str, int] | None  # None: no webhook
    service: str
    secret: str
    configuration: str
    lease: str
    lease_s: int
    log_level: str
    log_format: str


def parse(
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    account: Path = SERVICE_ACCOUNT,
) -> Settings:
    """Read a command line. Exits with 2 and one sentence when it makes no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    namespace = given.namespace or _namespace(account)
    if not namespace:
        parser.error("argument --namespace: give one, as this is no pod")
    return Settings(
        kubeconfig=given.kubeconfig,
        namespace=namespace,
        identity=given.identity or environment.get("POD_NAME") or socket.gethostname(),
        webhook=options.split(given.webhook) if given.webhook else None,
        service=given.service,
        secret=given.secret,
        configuration=given.webhook_configuration,
        lease=given.lease,
        lease_s=given.lease_seconds,
        log_level=given.log_level,
        log_format=given.log_format,
    )


def _namespace(account: Path) -> str:
    try:
        return (account / "namespace").read_text().strip()
    except OSError:
        return ""


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", text):
        raise ArgumentTypeError(f"{text!r}: give a name of small letters, digits and `-`")
    return text


def _duration(text: str) -> int:
    if not (text.isascii() and text.isdigit() and LEAST_S <= int(text) <= LONGEST_LEASE_S):
        raise ArgumentTypeError(f"{text!r}: give seconds from {LEAST_S} to {LONGEST_LEASE_S}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog=PROG,
        description="Numbers Nodes, validates objects, summarizes their status, and runs rollouts.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    options.add_version(parser)
    add(
        "--kubeconfig",
        type=options.file,
        metavar="FILE",
        help="kubeconfig for the API server (default: the pod's service account)",
    )
    add(
        "--namespace",
        type=_name,
        metavar="NAME",
        help="namespace of the Lease, the Secret and the Service (default: the pod's)",
    )
    add(
        "--identity",
        type=options.node_name,
        metavar="NAME",
        help="name of this replica in the Lease (default: $POD_NAME, else the hostname)",
    )
    add(
        "--webhook",
        type=options.address_and_port,
        metavar="ADDR:PORT",
        help="serve the admission webhook here, over HTTPS (default: no webhook)",
    )
    add(
        "--service",
        type=_name,
        metavar="NAME",
        default=PROG,
        help="Service through which API servers reach --webhook (%(default)s)",
    )
    add(
        "--secret",
        type=_name,
        metavar="NAME",
        default=f"{PROG}-webhook",
        help="Secret with the certificate of --webhook (%(default)s)",
    )
    add(
        "--webhook-configuration",
        type=_name,
        metavar="NAME",
        default=PROG,
        help="ValidatingWebhookConfiguration that gets the CA (%(default)s)",
    )
    add(
        "--lease",
        type=_name,
        metavar="NAME",
        default=PROG,
        help="Lease for leader election (%(default)s)",
    )
    add(
        "--lease-seconds",
        type=_duration,
        metavar="SECONDS",
        default=LEASE_S,
        help="time after which another replica replaces a dead leader (%(default)s)",
    )
    logs.add_options(add)
    return parser
