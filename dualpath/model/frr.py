"""The contents of frr.conf as data: the controller derives it from intent, frr-bridge renders it.

It crosses the bus as JSON. It contains passwords, which no repr shows: so a log must use the repr,
and never the JSON.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from dualpath.model.redact import MASK, redact

BGP_PORT = 179


@dataclass(frozen=True, slots=True)
class BfdProfile:
    """Timers of BFD sessions (RFC 5880). 0 leaves a value at FRR's default."""

    name: str
    receive_ms: int = 0
    transmit_ms: int = 0
    detect_multiplier: int = 0
    passive: bool = False
    minimum_ttl: int = 0


@dataclass(frozen=True, slots=True)
class PrefixRule:
    """A line of a prefix-list; 0 leaves `ge` or `le` out."""

    permit: bool
    prefix: str
    ge: int = 0
    le: int = 0


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A filter of one address family. It ends with a denial, as FRR has it."""

    name: str
    version: int  # 4 or 6
    rules: tuple[PrefixRule, ...] = ()


@dataclass(frozen=True, slots=True)
class NeighborFamily:
    """An address family that a BGP session carries, with its policy."""

    name: str  # as in `address-family`: "ipv4 unicast", "ipv6 unicast", "l2vpn evpn"
    route_reflector_client: bool = False
    next_hop_self: bool = False
    allowas_in: bool = False
    route_map: str = ""  # in both directions; "" is none
    prefixes_in: str = ""  # prefix-list; "" is none
    prefixes_out: str = ""


@dataclass(frozen=True, slots=True)
class BgpNeighbor:
    """A BGP session, or the sessions that peers in a range of addresses may open."""

    peer: str  # an address, an interface (unnumbered), or the name of a range's peer-group
    remote_as: str  # a number, "internal" or "external"
    unnumbered: bool = False
    interface: str = ""  # the link of an IPv6 link-local peer
    listen_range: str = ""  # CIDR; then `peer` names a peer-group
    port: int = 0  # 0 is 179
    password: str = field(default="", repr=False)
    keepalive_s: int | None = None
    hold_s: int | None = None
    connect_s: int = 0
    multihop: int = 0  # TTL, 0 is a directly connected peer
    disable_connected_check: bool = False
    extended_nexthop: bool = False
    bfd: str | None = None  # "" is BFD without a profile
    shutdown: bool = False  # its NIC is about to be given back
    families: tuple[NeighborFamily, ...] = ()

    def __post_init__(self) -> None:
        if (self.keepalive_s is None) is not (self.hold_s is None):
            raise ValueError(f"neighbor {self.peer}: keepalive and hold time go together")


@dataclass(frozen=True, slots=True)
class GracefulRestart:
    """RFC 4724. FRR shows 120 and 360 by leaving them out."""

    restart_s: int = 120
    stale_s: int = 360


@dataclass(frozen=True, slots=True)
class VniTargets:
    """Route targets of an L2VNI that differ from the automatic ones."""

    vni: int
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BgpInstance:
    """A `router bgp` block."""

    asn: int
    router_id: str
    vrf: str = ""  # "" is the default instance
    graceful_restart: GracefulRestart | None = None
    cluster_id: str = ""
    listen_limit: int = 0  # 0 leaves FRR's 100
    neighbors: tuple[BgpNeighbor, ...] = ()
    networks: tuple[str, ...] = ()  # CIDR of both families, advertised whether in the RIB or not
    advertise_all_vni: bool = False
    advertise_unicast: bool = False  # type 5 routes for both families (RFC 9136)
    imports: tuple[str, ...] = ()  # route targets of the VRF
    exports: tuple[str, ...] = ()
    vnis: tuple[VniTargets, ...] = ()


@dataclass(frozen=True, slots=True)
class IsisInterface:
    """An interface in IS-IS; a passive one is advertised, but forms no adjacency."""

    name: str
    ipv4: bool = False
    ipv6: bool = False
    passive: bool = False


@dataclass(frozen=True, slots=True)
class Isis:
    """A `router isis` block and its interfaces."""

    name: str
    net: str  # ISO 10589: area, system ID and 00
    level: int = 0  # 0 is both
    advertise_passive_only: bool = False
    interfaces: tuple[IsisInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class VrfVni:
    """The L3VNI of a VRF."""

    vrf: str
    vni: int


@dataclass(frozen=True, slots=True)
class RawSnippet:
    """FRR configuration written by the user, appended unchanged."""

    name: str
    text: str = field(repr=False)  # may hold a password


@dataclass(frozen=True, slots=True)
class FrrSettings:
    """Everything that frr.conf depends on."""

    hostname: str = ""  # must equal the system's; "" lets frr-bridge fill it in
    log_level: str = "informational"
    fpm_address: str = "127.0.0.1"
    fpm_port: int = 2620
    suppress_fib_pending: bool = False  # advertise what the datapath has acknowledged only
    vrfs: tuple[VrfVni, ...] = ()
    prefix_lists: tuple[PrefixList, ...] = ()
    bfd_profiles: tuple[BfdProfile, ...] = ()
    instances: tuple[BgpInstance, ...] = ()
    isis: Isis | None = None
    raw: tuple[RawSnippet, ...] = ()


def masked(settings: FrrSettings) -> FrrSettings:
    """Return the settings with every password masked, for display."""
    return replace(
        settings,
        instances=tuple(
            replace(i, neighbors=tuple(_masked(n) for n in i.neighbors)) for i in settings.instances
        ),
        raw=tuple(RawSnippet(r.name, redact(r.text)) for r in settings.raw),
    )


def _masked(neighbor: BgpNeighbor) -> BgpNeighbor:
    return replace(neighbor, password=MASK) if neighbor.password else neighbor


def tcp_ports(settings: FrrSettings) -> tuple[int, ...]:
    """Return the TCP ports on which our BGP sessions run, ascending."""
    neighbors = [n for instance in settings.instances for n in instance.neighbors]
    return tuple(sorted({BGP_PORT, *(n.port for n in neighbors if n.port)}))


def to_json(settings: FrrSettings) -> bytes:
    """Return the settings as JSON, the same bytes for equal settings."""
    return json.dumps(asdict(settings), sort_keys=True, separators=(",", ":")).encode()


def from_json(data: bytes) -> FrrSettings:
    """Read what `to_json` wrote. Raises ValueError, naming the field, on anything else."""
    settings = _read(FrrSettings, json.loads(data), "settings")
    assert isinstance(settings, FrrSettings)
    return settings


def _read(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - JSON, typed by `kind`
    """Build a value of the annotation `kind` from JSON."""
    if is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{path}: expected a list")
        return tuple(_read(arguments[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is types.UnionType:  # X | None
        return None if value is None else _read(arguments[0], value, path)
    if type(value) is not kind:
        raise ValueError(f"{path}: expected {kind.__name__}, not {type(value).__name__}")
    return value


def _read_dataclass(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - as above
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or not value.keys() <= {f.name for f in fields(kind)}:
        raise ValueError(f"{path}: not the fields of {kind.__name__}")
    try:
        return kind(**{k: _read(hints[k], v, f"{path}.{k}") for k, v in value.items()})
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from None
