"""What the controller was told on its command line: frozen, validated once."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from controller.kubernetes import MANIFESTS
from dualpath.process import logs, options
from dualpath.rpc import connect, listen

DATAPATHS = ("kernel", "dpdk")
MIRROR = Path("/var/lib/dualpath")  # not /run, which a reboot empties

_EXAMPLES = """examples:
  controller --datapath=kernel --config /etc/dualpath          all from manifests
  controller --datapath=kernel --config node.yaml --config /etc/dualpath/shared
  controller --datapath=dpdk --config /etc/dualpath --start-grout
  controller --datapath=dpdk --grout-sock /run/grout.sock --netns fwd --frr-netns frr
  controller --datapath=kernel --frr-netns frr --netns fwd     FRR and its devices are yours
  controller --datapath=kernel --config pe1.yaml --frr-name pe1 --listen 127.0.0.1:50051
  controller --datapath=kernel --kubernetes                    in a pod of a DaemonSet
  controller --datapath=kernel --kubernetes --kubeconfig /etc/dualpath/kubeconfig
  controller --datapath=kernel --config /etc/dualpath --confirm-within 120
  controller --datapath=kernel --config /etc/dualpath --dry-run    what would it change?
  controller --datapath=kernel --config /etc/dualpath --dry-run -o json | jq .warnings
"""


Files = tuple[Path, Path, Path]
"""Of mutual TLS: certificate, key, CA."""


@dataclass(frozen=True, slots=True)
class GroutSettings:
    """What only --datapath=dpdk asks for."""

    agent: str = ""  # "": we run grout-agent
    agent_tls: Files | None = None
    sock: Path = Path("/run/grout.sock")
    start: bool = False  # we run grout too
    netns: str = ""  # in which we start it; "" is the forwarding one
    cpus: str = ""  # as taskset has them
    max_mtu: int = 1800  # grout's own default
    hugepages: bool | None = None  # None: if there are free ones


@dataclass(frozen=True, slots=True)
class Settings:
    """The command line, with nothing resolved yet."""

    datapath: str
    frr_netns: str | None  # None: what the manifest names, else where we are
    netns: str | None  # None: what the manifest names, else options.DEFAULT_NETNS
    fpm: str
    listen: str
    tls: Files | None
    metrics: str  # "" is off
    config: tuple[Path, ...]  # none: no intent
    secrets: Path
    state_dir: Path
    frr_name: str
    bridge: str  # "child", or "external": somebody else runs frr-bridge
    hold_s: float
    node_name: str | None
    node_index: int | None
    log_level: str
    log_format: str
    host_limit: int = 0  # local MACs, IPv4 and IPv6 addresses each that one VNI may have; 0 is any
    neighbor_limit: int = 0  # rows that the machine's neighbor tables take at least
    grout: GroutSettings = GroutSettings()
    confirm_s: float = 0.0  # 0: what changes needs no confirmation
    dry_run: bool = False
    as_json: bool = False  # of a dry run
    kubernetes: bool = False  # manifests are the API server's objects too
    kubeconfig: Path | None = None  # None: we are in a pod
    mirror: Path = MIRROR / "kubernetes"  # where the API server's objects are kept

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifests of --config, without the mirror of the API server's objects."""
        return self.config[:-1] if self.kubernetes else self.config

    @property
    def fpm_address(self) -> tuple[str, int]:
        return options.split(self.fpm)

    @property
    def bus(self) -> Path:
        return self.state_dir / options.BUS


def parse(arguments: Sequence[str]) -> Settings:
    """Read a command line. Exits with 2 and one sentence when it makes no sense."""
    parser = _parser()
    told = parser.parse_args(arguments)
    tls = _files(parser, told, "tls")
    mirror = told.mirror / "kubernetes"
    if told.confirm_within is not None and not (told.config or told.kubernetes):
        parser.error("argument --confirm-within: goes with --config or --kubernetes")
    if told.kubeconfig and not told.kubernetes:
        parser.error("argument --kubeconfig: goes with --kubernetes")
    if told.output and not told.dry_run:
        parser.error("argument -o/--output: goes with --dry-run")
    try:
        listen.check(told.listen, listen.Tls(*tls) if tls else None)
    except listen.ListenError as error:
        parser.error(f"argument --listen: {error}")
    return Settings(
        datapath=told.datapath,
        frr_netns=told.frr_netns,
        netns=told.netns,
        fpm=told.fpm,
        listen=told.listen,
        tls=tls,
        metrics=told.metrics or "",
        config=(*told.config, *([mirror / MANIFESTS] if told.kubernetes else ())),
        secrets=told.secrets,
        state_dir=told.state_dir,
        frr_name=told.frr_name,
        bridge=told.bridge,
        hold_s=told.hold,
        node_name=told.node_name,
        node_index=told.node_index,
        log_level=told.log_level,
        log_format=told.log_format,
        host_limit=told.host_limit,
        neighbor_limit=told.neighbor_limit,
        grout=_grout(parser, told),
        confirm_s=told.confirm_within or 0.0,
        dry_run=told.dry_run,
        as_json=told.output == "json",
        kubernetes=told.kubernetes,
        kubeconfig=told.kubeconfig,
        mirror=mirror,
    )


def _metrics(text: str) -> str:
    try:
        unix = listen.unix_path(text)
    except listen.ListenError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text if unix else options.address_and_port(text)


def _files(parser: argparse.ArgumentParser, told: argparse.Namespace, prefix: str) -> Files | None:
    certificate, key, ca = (getattr(told, f"{prefix}_{name}") for name in ("cert", "key", "ca"))
    if certificate and key and ca:
        return certificate, key, ca
    if certificate or key or ca:
        parser.error(f"--{prefix}-cert, --{prefix}-key and --{prefix}-ca go together")
    return None


def _grout(parser: argparse.ArgumentParser, told: argparse.Namespace) -> GroutSettings:
    settings = GroutSettings(
        agent=told.agent,
        agent_tls=_files(parser, told, "agent"),
        sock=told.grout_sock,
        start=told.start_grout,
        netns=told.grout_netns,
        cpus=told.grout_cpus,
        max_mtu=told.grout_max_mtu,
        hugepages={"auto": None, "hugepages": True, "test": False}[told.grout_memory],
    )
    if told.datapath != "dpdk" and settings != GroutSettings():
        parser.error(f"--datapath={told.datapath} has no grout: leave --agent* and --grout-* out")
    elsewhere = GroutSettings(settings.agent, settings.agent_tls, settings.sock)
    if not settings.start and settings != elsewhere:
        parser.error("--grout-netns, -cpus, -memory and -max-mtu go with --start-grout")
    try:
        if settings.agent:
            connect.check(settings.agent, secured=settings.agent_tls is not None)
    except connect.BadAddress as error:
        parser.error(f"argument --agent: {error}")
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="controller",
        description="Makes a datapath true to what FRR wants.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"dualpath {version('dualpath')}")
    add("--datapath", choices=DATAPATHS, required=True, help="what forwards")
    add(
        "--frr-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        help="control namespace (default: the manifest's, else the one it is started in)",
    )
    add(
        "--netns",
        type=options.namespace,
        metavar="NAME|PATH",
        help=f"forwarding namespace (default: the manifest's, or {options.DEFAULT_NETNS}; made)",
    )
    add(
        "--fpm",
        type=options.address_and_port,
        metavar="ADDR:PORT",
        default="127.0.0.1:2620",
        help="where zebra connects, inside the control namespace (%(default)s)",
    )
    add(
        "--listen",
        metavar="ADDR",
        default="unix:/run/dualpath/inspect.sock",
        help="Inspect API; TCP only on loopback or with --tls-* (%(default)s)",
    )
    add("--tls-cert", type=options.file, metavar="FILE", help="Inspect API: our certificate, PEM")
    add("--tls-key", type=options.file, metavar="FILE", help="Inspect API: its key, PEM")
    add("--tls-ca", type=options.file, metavar="FILE", help="Inspect API: CA of the clients, PEM")
    add(
        "--metrics",
        type=_metrics,
        metavar="ADDR",
        help="Prometheus endpoint: unix:/PATH, or ADDR:PORT, best on loopback (default: off)",
    )
    add(
        "--config",
        type=options.path,
        metavar="PATH",
        action="append",
        default=[],
        help="manifests: a file or a directory; watched; several are merged",
    )
    add(
        "--kubernetes",
        action="store_true",
        help="follow the API server's objects too; manifests of --config come first",
    )
    add(
        "--kubeconfig",
        type=options.file,
        metavar="FILE",
        help="how to reach the API server (default: as a pod, by its service account)",
    )
    add(
        "--mirror",
        type=options.directory,
        metavar="DIR",
        default=MIRROR,
        help="where the API server's objects are kept for a boot without it (%(default)s)",
    )
    add(
        "--secrets",
        type=options.directory,
        metavar="DIR",
        default=Path("/etc/dualpath/secrets"),
        help="where the Secrets are that manifests name (%(default)s)",
    )
    add(
        "--state-dir",
        type=options.state_dir,
        metavar="PATH",
        default=Path(options.STATE_DIR),
        help="sockets (%(default)s)",
    )
    add(
        "--frr-name",
        type=options.frr_name,
        default="",
        metavar="NAME",
        help="FRR's `-N` name (default: none)",
    )
    add(
        "--bridge",
        choices=("child", "external"),
        default="child",
        help="who runs frr-bridge: we, or somebody else with the same --state-dir (%(default)s)",
    )
    add(
        "--hold",
        type=options.seconds,
        default=150.0,
        metavar="SECONDS",
        help="keep what a dead bgpd withdrew for so long; 0 obeys at once (%(default)s)",
    )
    add(
        "--neighbor-limit",
        type=options.rows,
        default=65536,
        metavar="N",
        help="raise the kernel's neighbor tables (gc_thresh3, for the whole machine) to N rows; "
        "0 leaves them alone (%(default)s)",
    )
    add(
        "--host-limit",
        type=options.rows,
        default=8192,
        metavar="N",
        help="advertise at most N local MACs, N IPv4 and N IPv6 addresses of one VNI; 0 is any "
        "number (%(default)s)",
    )
    add(
        "--node-name",
        type=options.node_name,
        metavar="NAME",
        help="which node of the manifests this is",
    )
    add(
        "--node-index",
        type=options.node_index,
        metavar="N",
        help="its index; wins over the manifests",
    )
    add(
        "--confirm-within",
        type=options.some_seconds,
        metavar="SECONDS",
        help="unless `dualpath confirm` is run in time, give everything back after a first start "
        "(and end with exit code 4), and return to the former manifests after a change of them",
    )
    add(
        "--dry-run",
        action="store_true",
        help="change nothing; say what a start would change, and whether this SSH session or a "
        "default route goes through a NIC that it takes. Exit code 0: nothing; 3: something; "
        "1: it would not work; 2: a bad command line",
    )
    add("-o", "--output", choices=("text", "json"), help="form of the dry run's answer (text)")
    logs.add_options(add)
    _add_grout(parser.add_argument_group("--datapath=dpdk").add_argument)
    return parser


def _add_grout(add: Callable[..., object]) -> None:
    default = GroutSettings()
    add(
        "--agent",
        metavar="ADDR",
        default="",
        help="grout-agent: unix:/PATH, or ADDRESS:PORT on loopback or with --agent-* "
        "(default: we run it)",
    )
    add(
        "--agent-cert", type=options.file, metavar="FILE", help="our certificate for the agent, PEM"
    )
    add("--agent-key", type=options.file, metavar="FILE", help="its key, PEM")
    add("--agent-ca", type=options.file, metavar="FILE", help="CA of the agent, PEM")
    add(
        "--grout-sock",
        metavar="PATH",
        type=options.socket_path,
        default=default.sock,
        help="grout's API socket (%(default)s)",
    )
    add(
        "--start-grout",
        action="store_true",
        help="run grout too, unless one answers there; it outlives us",
    )
    add(
        "--grout-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="where it is started (default: the forwarding namespace)",
    )
    add(
        "--grout-cpus",
        type=options.cpus,
        metavar="LIST",
        default="",
        help="its CPUs, as 2,4-5 (default: all)",
    )
    add(
        "--grout-max-mtu",
        metavar="BYTES",
        type=options.mtu,
        default=default.max_mtu,
        help="the largest MTU of a port; its buffers are made for it (%(default)s)",
    )
    add(
        "--grout-memory",
        choices=("auto", "hugepages", "test"),
        default="auto",
        help="what it gets; test is DPDK's mode without hugepages (auto: hugepages if any is free)",
    )
