"""The controller's command line: parsed and validated once, then frozen."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.cri.sandboxes import PodSelector
from controller.kubernetes import MANIFESTS
from controller.ui import address
from dualpath.process import logs, options
from dualpath.rpc import connect, listen

DATAPATHS = ("kernel", "dpdk")
MIRROR = Path("/var/lib/dualpath")  # not /run, which a reboot empties
CRI_SOCKET = Path("/run/containerd/containerd.sock")
CNI_BIN = (Path("/opt/cni/bin"), Path("/usr/lib/cni"))  # the usual place, and Debian's

_EXAMPLES = """examples:
  controller --datapath=kernel --config /etc/dualpath          all from manifests
  controller --datapath=kernel --config node.yaml --config /etc/dualpath/shared
  controller --datapath=dpdk --config /etc/dualpath --start-grout
  controller --datapath=dpdk --grout-sock /run/grout.sock --netns fwd --frr-netns frr
  controller --datapath=kernel --config /etc/dualpath --start-grout --grout-netns grout
                                                               for `dualpath switch dpdk`
  controller --datapath=kernel --frr-netns frr --netns fwd     FRR and its devices are yours
  controller --datapath=kernel --config pe1.yaml --frr-name pe1 --listen 127.0.0.1:50051
  controller --datapath=kernel --kubernetes                    in a pod of a DaemonSet
  controller --datapath=kernel --kubernetes --kubeconfig /etc/dualpath/kubeconfig
  controller --datapath=kernel --kubernetes --bridge=external \
      --frr-pod dualpath-system/app=router                     FRR in its pod's own namespace
  controller --datapath=kernel --config /etc/dualpath --confirm-within 120
  controller --datapath=kernel --config /etc/dualpath --dry-run    what would it change?
  controller --datapath=kernel --config /etc/dualpath --dry-run -o json | jq .warnings
"""


Files = tuple[Path, Path, Path]
"""PEM files of mutual TLS: certificate, key, CA."""


@dataclass(frozen=True, slots=True)
class GroutSettings:
    """Options for --datapath=dpdk only."""

    agent: str = ""  # "": the controller runs grout-agent
    agent_tls: Files | None = None
    sock: Path = Path("/run/grout.sock")
    start: bool = False  # the controller runs grout too
    netns: str = ""  # in which grout is started; "": the forwarding namespace
    cpus: str = ""  # in taskset's format
    max_mtu: int = 1800  # grout's own default
    hugepages: bool | None = None  # None: if any is free

    @property
    def second(self) -> bool:
        """Whether grout can be a second datapath, in its own namespace beside the kernel."""
        return self.start and bool(self.netns)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options as given; names and defaults from manifests are not resolved yet."""

    datapath: str
    frr_netns: str | None  # None: the manifest's, else this process's
    netns: str | None  # None: the manifest's, else options.DEFAULT_NETNS
    fpm: str
    listen: str
    tls: Files | None
    metrics: str  # "" is off
    config: tuple[Path, ...]  # none: no intent
    secrets: Path
    state_dir: Path
    frr_name: str
    bridge: str  # "child": the controller runs frr-bridge; "external": another process manager does
    hold_s: float
    node_name: str | None
    node_index: int | None
    log_level: str
    log_format: str
    ui: str = ""  # where the page is served; "" is off
    host_limit: int = 0  # local MACs, and IPv4 and IPv6 addresses, of one VNI; 0: no limit
    neighbor_limit: int = 0  # least limit of the machine's neighbor tables, in rows
    grout: GroutSettings = GroutSettings()
    confirm_s: float = 0.0  # 0: changes need no confirmation
    dry_run: bool = False
    as_json: bool = False  # print the dry run's result as JSON
    kubernetes: bool = False  # read the API server's objects too
    kubeconfig: Path | None = None  # None: use the pod's service account
    mirror: Path = MIRROR / "kubernetes"  # copy of the API server's objects
    record: Path | None = None  # frr-bridge records what FRR sends
    cni_bin: tuple[Path, ...] = CNI_BIN  # where CNI plugins are
    frr_pod: PodSelector | None = None  # the pod whose namespace is the control namespace
    cri_socket: Path = CRI_SOCKET

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifests of --config, without the mirror of the API server's objects."""
        return self.config[:-1] if self.kubernetes else self.config

    @property
    def fpm_address(self) -> tuple[str, int]:
        return options.split(self.fpm)

    @property
    def operate(self) -> Path:
        """The socket of the API that moves ports between datapaths."""
        return self.state_dir / options.OPERATE

    @property
    def bus(self) -> Path:
        return self.state_dir / options.BUS


def parse(arguments: Sequence[str]) -> Settings:
    """Parse a command line. Exits with code 2 and one line if it is wrong."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    tls = _files(parser, parsed, "tls")
    mirror = parsed.mirror / "kubernetes"
    if parsed.confirm_within is not None and not (parsed.config or parsed.kubernetes):
        parser.error("argument --confirm-within: needs --config or --kubernetes")
    if parsed.kubeconfig and not parsed.kubernetes:
        parser.error("argument --kubeconfig: needs --kubernetes")
    if parsed.output and not parsed.dry_run:
        parser.error("argument -o/--output: needs --dry-run")
    if parsed.ui and tls:
        parser.error("argument --ui: not with --tls-*: run `dualpath ui` with a client's files")
    if parsed.ui and not address.installed():
        parser.error(f"argument --ui: {address.MISSING}")
    if parsed.frr_pod and parsed.bridge != "external":
        parser.error("argument --frr-pod: needs --bridge=external, as frr-bridge runs in the pod")
    try:
        listen.check(parsed.listen, listen.Tls(*tls) if tls else None)
    except listen.ListenError as error:
        parser.error(f"argument --listen: {error}")
    return Settings(
        datapath=parsed.datapath,
        frr_netns=parsed.frr_netns,
        netns=parsed.netns,
        fpm=parsed.fpm,
        listen=parsed.listen,
        tls=tls,
        metrics=parsed.metrics or "",
        ui=parsed.ui or "",
        config=(*parsed.config, *([mirror / MANIFESTS] if parsed.kubernetes else ())),
        secrets=parsed.secrets,
        state_dir=parsed.state_dir,
        frr_name=parsed.frr_name,
        bridge=parsed.bridge,
        hold_s=parsed.hold,
        record=parsed.record,
        node_name=parsed.node_name,
        node_index=parsed.node_index,
        log_level=parsed.log_level,
        log_format=parsed.log_format,
        host_limit=parsed.host_limit,
        neighbor_limit=parsed.neighbor_limit,
        grout=_grout(parser, parsed),
        confirm_s=parsed.confirm_within or 0.0,
        dry_run=parsed.dry_run,
        as_json=parsed.output == "json",
        kubernetes=parsed.kubernetes,
        kubeconfig=parsed.kubeconfig,
        mirror=mirror,
        cni_bin=tuple(parsed.cni_bin) or CNI_BIN,
        frr_pod=parsed.frr_pod,
        cri_socket=parsed.cri_socket,
    )


def _pod(text: str) -> PodSelector:
    try:
        return PodSelector.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _metrics(text: str) -> str:
    try:
        unix = listen.unix_path(text)
    except listen.ListenError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text if unix else options.address_and_port(text)


def _files(
    parser: argparse.ArgumentParser, parsed: argparse.Namespace, prefix: str
) -> Files | None:
    certificate, key, ca = (getattr(parsed, f"{prefix}_{name}") for name in ("cert", "key", "ca"))
    if certificate and key and ca:
        return certificate, key, ca
    if certificate or key or ca:
        parser.error(f"--{prefix}-cert, --{prefix}-key and --{prefix}-ca: give all three")
    return None


def _grout(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> GroutSettings:
    settings = GroutSettings(
        agent=parsed.agent,
        agent_tls=_files(parser, parsed, "agent"),
        sock=parsed.grout_sock,
        start=parsed.start_grout,
        netns=parsed.grout_netns,
        cpus=parsed.grout_cpus,
        max_mtu=parsed.grout_max_mtu,
        hugepages={"auto": None, "hugepages": True, "test": False}[parsed.grout_memory],
    )
    if parsed.datapath != "dpdk" and settings != GroutSettings() and not settings.second:
        parser.error(
            "--agent*, --start-grout and --grout-*: with --datapath=kernel they are for `dualpath "
            "switch dpdk`, which needs --start-grout and --grout-netns"
        )
    elsewhere = GroutSettings(settings.agent, settings.agent_tls, settings.sock)
    if not settings.start and settings != elsewhere:
        parser.error("--grout-netns, -cpus, -memory and -max-mtu need --start-grout")
    try:
        if settings.agent:
            connect.check(settings.agent, secured=settings.agent_tls is not None)
    except connect.BadAddress as error:
        parser.error(f"argument --agent: {error}")
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = options.Parser(
        prog="controller",
        description="Programs a datapath as FRR and the manifests want, and keeps it that way.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    options.add_version(parser)
    add("--datapath", choices=DATAPATHS, required=True, help="what forwards packets")
    add(
        "--frr-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        help="control namespace (default: the manifest's, else the controller's own)",
    )
    add(
        "--frr-pod",
        type=_pod,
        metavar="NAMESPACE/LABEL=VALUE",
        help="give the control namespace's name to the network namespace of this pod, found by CRI "
        "(default: the controller makes the control namespace)",
    )
    add(
        "--cri-socket",
        type=options.socket_path,
        metavar="PATH",
        default=CRI_SOCKET,
        help="the container runtime's socket, for --frr-pod (%(default)s)",
    )
    add(
        "--netns",
        type=options.namespace,
        metavar="NAME|PATH",
        help=f"forwarding namespace, created if missing (default: the manifest's, else "
        f"{options.DEFAULT_NETNS})",
    )
    add(
        "--fpm",
        type=options.address_and_port,
        metavar="ADDR:PORT",
        default="127.0.0.1:2620",
        help="listen for zebra's FPM connection here, in the control namespace (%(default)s)",
    )
    add(
        "--listen",
        metavar="ADDR",
        default="unix:/run/dualpath/inspect.sock",
        help="serve the Inspect API here; TCP only on loopback or with --tls-* (%(default)s)",
    )
    add(
        "--tls-cert", type=options.file, metavar="FILE", help="Inspect API: server certificate, PEM"
    )
    add("--tls-key", type=options.file, metavar="FILE", help="Inspect API: its key, PEM")
    add("--tls-ca", type=options.file, metavar="FILE", help="Inspect API: CA of the clients, PEM")
    add(
        "--metrics",
        type=_metrics,
        metavar="ADDR",
        help="serve Prometheus metrics on unix:/PATH or ADDR:PORT, preferably loopback "
        "(default: off)",
    )
    add(
        "--ui",
        type=address.endpoint,
        metavar="ADDR:PORT",
        help=f"serve the page of `dualpath ui` too, on loopback as at {address.LISTEN}; "
        f"STATE_DIR/{address.FILE} has its address with the key (default: off)",
    )
    add(
        "--config",
        type=options.path,
        metavar="PATH",
        action="append",
        default=[],
        help="manifest file or directory; repeat it to merge several; changes apply at once",
    )
    add(
        "--kubernetes",
        action="store_true",
        help="also apply the API server's objects; manifests of --config take precedence",
    )
    add(
        "--kubeconfig",
        type=options.file,
        metavar="FILE",
        help="kubeconfig for the API server (default: the pod's service account)",
    )
    add(
        "--mirror",
        type=options.directory,
        metavar="DIR",
        default=MIRROR,
        help="save the API server's objects here, for a boot without the server (%(default)s)",
    )
    add(
        "--secrets",
        type=options.directory,
        metavar="DIR",
        default=Path("/etc/dualpath/secrets"),
        help="directory of the Secrets that manifests refer to (%(default)s)",
    )
    add(
        "--cni-bin",
        type=options.directory,
        metavar="DIR",
        action="append",
        default=[],
        help="directory of CNI plugins, which only root may write to; repeat it for several "
        f"(default: {' and '.join(map(str, CNI_BIN))})",
    )
    add(
        "--state-dir",
        type=options.state_dir,
        metavar="PATH",
        default=Path(options.STATE_DIR),
        help="directory for sockets and locks (%(default)s)",
    )
    add(
        "--frr-name",
        type=options.frr_name,
        default="",
        metavar="NAME",
        help="name that FRR was started with (its option -N; default: none)",
    )
    add(
        "--bridge",
        choices=("child", "external"),
        default="child",
        help="child: run frr-bridge; external: another process manager runs it, with the same "
        "--state-dir (%(default)s)",
    )
    add(
        "--hold",
        type=options.seconds,
        default=150.0,
        metavar="SECONDS",
        help="keep routes that a dead bgpd withdrew for this time; 0: remove them immediately "
        "(%(default)s)",
    )
    add(
        "--record",
        type=options.path,
        metavar="FILE",
        help="frr-bridge records what FRR sends here, for `dualpath replay` and Wireshark; at most "
        "64 MiB, and as much again in FILE.1 (default: no recording)",
    )
    add(
        "--neighbor-limit",
        type=options.rows,
        default=65536,
        metavar="N",
        help="raise the limit of the kernel's neighbor tables (gc_thresh3, whole machine) "
        "to N rows; 0: do not change it (%(default)s)",
    )
    add(
        "--host-limit",
        type=options.rows,
        default=8192,
        metavar="N",
        help="advertise at most N local MACs, N IPv4 and N IPv6 addresses per VNI; 0: no limit "
        "(%(default)s)",
    )
    add(
        "--node-name",
        type=options.node_name,
        metavar="NAME",
        help="name of this node's Node resource (default: the manifest's; in Kubernetes "
        "$NODE_NAME, else the hostname)",
    )
    add(
        "--node-index",
        type=options.node_index,
        metavar="N",
        help="index of this node; overrides the manifests",
    )
    add(
        "--confirm-within",
        type=options.some_seconds,
        metavar="SECONDS",
        help="roll back unless `dualpath confirm` is run in time: after a first start, give all "
        "NICs back and exit with code 4; after a change, return to the former manifests",
    )
    add(
        "--dry-run",
        action="store_true",
        help="print what a start would change, and change nothing; warn if this SSH session or a "
        "default route uses a NIC that would move. Exit code 0: no change; 3: changes; 1: the "
        "start would fail; 2: wrong command line",
    )
    add("-o", "--output", choices=("text", "json"), help="format of the dry run's result (text)")
    logs.add_options(add)
    _add_grout(parser.add_argument_group("--datapath=dpdk, and `dualpath switch`").add_argument)
    return parser


def _add_grout(add: Callable[..., object]) -> None:
    default = GroutSettings()
    add(
        "--agent",
        metavar="ADDR",
        default="",
        help="address of a running grout-agent: unix:/PATH, or ADDRESS:PORT on loopback or with "
        "--agent-* (default: the controller starts it)",
    )
    add("--agent-cert", type=options.file, metavar="FILE", help="client certificate, PEM")
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
        help="start grout unless one answers on --grout-sock; it outlives the controller. With "
        "--datapath=kernel: when `dualpath switch dpdk` needs it",
    )
    add(
        "--grout-netns",
        type=options.namespace,
        metavar="NAME|PATH",
        default="",
        help="namespace to start grout in (default: the forwarding namespace; with "
        "--datapath=kernel it has to be another)",
    )
    add(
        "--grout-cpus",
        type=options.cpus,
        metavar="LIST",
        default="",
        help="CPUs for grout, for example 2,4-5 (default: all)",
    )
    add(
        "--grout-max-mtu",
        metavar="BYTES",
        type=options.mtu,
        default=default.max_mtu,
        help="largest MTU of a port; grout sizes its buffers by it (%(default)s)",
    )
    add(
        "--grout-memory",
        choices=("auto", "hugepages", "test"),
        default="auto",
        help="grout's memory; test: DPDK's mode without hugepages (auto: hugepages if any is free)",
    )
