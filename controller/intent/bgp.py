"""Turns accepted resources into FRR's settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from controller.intent import addressing, isis, sessions
from controller.intent.accepted import Accepted
from controller.intent.overlay import HostSession, L3Vni
from controller.intent.sessions import GracefulRestart, SessionOptions
from controller.intent.underlay import Neighbor, Underlay
from dualpath.model import frr as model
from dualpath.model.frr import (
    BfdProfile,
    BgpInstance,
    BgpNeighbor,
    FrrSettings,
    NeighborFamily,
    PrefixList,
    PrefixRule,
    RawSnippet,
    VniTargets,
    VrfVni,
)
from dualpath.model.links import Address

PERMISSIVE = "permissive"
CONNECT_S = 5
"""Seconds until a lost BGP session is retried; FRR's default of 120 s is long for a host."""
LISTEN_LIMIT = 65535
FAMILIES = {"ipv4unicast": "ipv4 unicast", "ipv6unicast": "ipv6 unicast", "evpn": "l2vpn evpn"}
LOG_LEVELS = {
    "debug": "debugging",
    "info": "informational",
    "warn": "warnings",
    "error": "errors",
}


def settings(accepted: Accepted) -> FrrSettings:
    """Return the settings for frr.conf. frr-bridge fills in the hostname."""
    labelled, underlay = list(_labelled(accepted)), accepted.underlay
    return FrrSettings(
        log_level=LOG_LEVELS[accepted.node.log_level],
        suppress_fib_pending=bool(underlay and underlay.spec.suppress_fib_pending),
        vrfs=tuple(VrfVni(r.spec.vrf, r.spec.vni) for r in accepted.l3vnis),
        prefix_lists=tuple(f for label, o in labelled for f in _prefix_lists(o, label)),
        bfd_profiles=tuple(p for label, o in labelled for p in _bfd_profile(o, label)),
        instances=tuple(_instances(accepted)),
        isis=_isis(accepted),
        raw=tuple(RawSnippet(r.name, r.spec.raw_config) for r in accepted.raws),
    )


def _isis(accepted: Accepted) -> model.Isis | None:
    underlay = accepted.underlay.spec if accepted.underlay is not None else None
    if underlay is None or underlay.isis is None:
        return None
    return isis.settings(underlay.isis, underlay.nics, accepted.node.index)


def _instances(accepted: Accepted) -> Iterator[BgpInstance]:
    if accepted.underlay is None:
        return
    underlay = accepted.underlay.spec
    router_id = str(addressing.host(underlay.router_id_cidr, accepted.node.index + 1))
    yield _main(accepted, underlay, router_id)
    for l3vni in accepted.l3vnis:
        yield _tenant(accepted, underlay, router_id, l3vni.spec)


def _main(accepted: Accepted, underlay: Underlay, router_id: str) -> BgpInstance:
    neighbors = [_fabric(accepted, underlay, n) for n in underlay.neighbors]
    networks = [addressing.single(addressing.loopback(vtep)) for vtep in accepted.vteps]
    if accepted.passthrough is not None:
        session = accepted.passthrough.spec.host_session
        neighbors += _hosts(session, accepted.node.index, "passthrough")
        networks += _host_networks(session, accepted.node.index)
    reflector = underlay.route_reflector
    return BgpInstance(
        asn=underlay.asn,
        router_id=router_id,
        graceful_restart=_restart(underlay.graceful_restart),
        cluster_id=str(reflector.cluster_id) if reflector is not None else "",
        listen_limit=LISTEN_LIMIT if any(n.listen_range for n in neighbors) else 0,
        neighbors=tuple(neighbors),
        networks=tuple(networks),
        advertise_all_vni=bool(accepted.vteps),
        vnis=tuple(
            VniTargets(r.spec.vni, r.spec.import_rts, r.spec.export_rts)
            for r in accepted.l2vnis
            if r.spec.import_rts or r.spec.export_rts
        ),
    )


def _tenant(accepted: Accepted, underlay: Underlay, router_id: str, spec: L3Vni) -> BgpInstance:
    session, index = spec.host_session, accepted.node.index
    networks = _host_networks(session, index) if session is not None else []
    for l2vni in accepted.segments_of(spec.vrf):
        networks += [addressing.spelt(g.network) for g in l2vni.spec.gateway_ips]
    return BgpInstance(
        asn=underlay.asn if session is None else session.asn,
        router_id=router_id,
        vrf=spec.vrf,
        graceful_restart=_restart(
            session.graceful_restart if session is not None else None, underlay.graceful_restart
        ),
        neighbors=_hosts(session, index, f"vni-{spec.vni}") if session is not None else (),
        networks=tuple(networks),
        advertise_unicast=True,
        imports=spec.import_rts,
        exports=spec.export_rts,
    )


def _restart(*wanted: GracefulRestart | None) -> model.GracefulRestart | None:
    """Return the first given value."""
    for restart in wanted:
        if restart is not None:
            return model.GracefulRestart(
                restart.restart_time_seconds, restart.stale_path_time_seconds
            )
    return None


def _fabric(accepted: Accepted, underlay: Underlay, neighbor: Neighbor) -> BgpNeighbor:
    internal, multihop = underlay.is_internal(neighbor), underlay.multihop(neighbor)
    families = tuple(
        NeighborFamily(
            FAMILIES[name],
            route_reflector_client=reflects,
            next_hop_self=internal and name != "evpn",
            allowas_in=not internal,
        )
        for name, reflects in _fabric_families(accepted, neighbor).items()
    )
    carried = {family.name for family in families}
    peer = _peer(neighbor)
    session = BgpNeighbor(
        peer=peer,
        remote_as=str(neighbor.asn or (neighbor.type or "").lower()),
        unnumbered=neighbor.unnumbered,
        interface=underlay.link_of(neighbor) if neighbor.link_local else "",
        listen_range=addressing.spelt(neighbor.listen_range) if neighbor.listen_range else "",
        port=neighbor.port or 0,
        multihop=multihop,
        # The IPv6 nexthop of a directly connected peer may be outside our subnets.
        disable_connected_check=not internal
        and "ipv6 unicast" in carried
        and not multihop
        and not neighbor.unnumbered
        and not neighbor.link_local,
        extended_nexthop=_session_family(neighbor) == "ipv6unicast" and "ipv4 unicast" in carried,
        families=families,
    )
    return _with_options(session, neighbor, f"neighbor-{peer}")


def _peer(neighbor: Neighbor) -> str:
    if neighbor.listen_range is not None:
        return f"range-{neighbor.listen_range}".replace("/", "-")
    return neighbor.id if neighbor.address is None else addressing.spelt(neighbor.address)


def _session_family(neighbor: Neighbor) -> str:
    """Return the address family over which the BGP session runs."""
    spoken = neighbor.address or neighbor.listen_range
    return f"ipv{6 if spoken is None else spoken.version}unicast"


def _fabric_families(accepted: Accepted, neighbor: Neighbor) -> dict[str, bool]:
    """Return the session's address families, and those in which the peer is a reflector client.

    By default EVPN is on if the Underlay has a tunnel endpoint. Rejected: only once a VNI exists.
    The first VNI would renegotiate, and so reset, every BGP session to the fabric.
    """
    if neighbor.address_families:
        return {f.type: bool(f.properties) for f in neighbor.address_families}
    wanted = {_session_family(neighbor)}
    wanted |= {f"ipv{vtep.version}unicast" for vtep in accepted.vteps}
    if accepted.passthrough is not None:
        pools = accepted.passthrough.spec.host_session.local_cidr.pools
        wanted |= {f"ipv{pool.version}unicast" for pool in pools}
    if accepted.vteps:
        wanted |= {"ipv4unicast", "evpn"}
    return {name: False for name in FAMILIES if name in wanted}


def _hosts(session: HostSession, node_index: int, label: str) -> tuple[BgpNeighbor, ...]:
    """Return the BGP sessions with the host's speaker, one per address family of the leg."""
    internal = session.host_type == "Internal" or session.host_asn == session.asn
    families = tuple(
        NeighborFamily(name, next_hop_self=internal, route_map=PERMISSIVE)
        for name in ("ipv4 unicast", "ipv6 unicast")
    )
    return tuple(
        _with_options(
            BgpNeighbor(
                peer=addressing.text(host),
                remote_as=str(session.host_asn or (session.host_type or "").lower()),
                families=families,
            ),
            session,
            f"host-{label}",
        )
        for host in _host_addresses(session, node_index)
    )


def _with_options(session: BgpNeighbor, options: SessionOptions, label: str) -> BgpNeighbor:
    bfd = options.bfd
    return replace(
        session,
        password=options.password.get_secret_value() if options.password is not None else "",
        keepalive_s=_keepalive(options),
        hold_s=options.hold_time_seconds,
        connect_s=options.connect_time_seconds or CONNECT_S,
        bfd=None if bfd is None else label if bfd.model_fields_set else "",
        families=tuple(_filtered(family, options, label) for family in session.families),
    )


def _keepalive(options: SessionOptions) -> int | None:
    """Return the keepalive that bgpd uses: at most a third of the hold time (peer_timers_set).

    bgpd shows that value. With another value, it would look as if FRR had refused it.
    """
    keepalive, hold = options.keepalive_time_seconds, options.hold_time_seconds
    return None if keepalive is None or hold is None else min(keepalive, hold // 3)


def _filtered(family: NeighborFamily, options: SessionOptions, label: str) -> NeighborFamily:
    if "unicast" not in family.name:
        return family
    return replace(
        family,
        prefixes_in=f"{label}-in" if options.import_filter is not None else "",
        prefixes_out=f"{label}-out" if options.export_filter is not None else "",
    )


def _host_addresses(session: HostSession, node_index: int) -> list[Address]:
    return [addressing.leg(pool, node_index)[1] for pool in session.local_cidr.pools]


def _host_networks(session: HostSession, node_index: int) -> list[str]:
    """Return the host's addresses as host prefixes; its BGP speaker need not advertise them."""
    return [addressing.single(host) for host in _host_addresses(session, node_index)]


def _labelled(accepted: Accepted) -> Iterator[tuple[str, SessionOptions]]:
    """Yield every BGP session with the names of its BFD profile and its filters."""
    if accepted.underlay is not None:
        for neighbor in accepted.underlay.spec.neighbors:
            yield f"neighbor-{_peer(neighbor)}", neighbor
    if accepted.passthrough is not None:
        yield "host-passthrough", accepted.passthrough.spec.host_session
    for l3vni in accepted.l3vnis:
        if l3vni.spec.host_session is not None:
            yield f"host-vni-{l3vni.spec.vni}", l3vni.spec.host_session


def _prefix_lists(options: SessionOptions, label: str) -> Iterator[PrefixList]:
    for rules, way in ((options.import_filter, "in"), (options.export_filter, "out")):
        for version in (4, 6) if rules is not None else ():
            own = [_prefix_rule(r) for r in rules or () if r.prefix.version == version]
            yield PrefixList(f"{label}-{way}", version, tuple(own))


def _prefix_rule(rule: sessions.PrefixRule) -> PrefixRule:
    """Write a rule as FRR does, without a bound that has no effect."""
    low, high = rule.prefix.prefixlen, rule.prefix.max_prefixlen
    ge, le = rule.ge or 0, rule.le or 0
    if rule.ge is not None and ge <= low:
        ge, le = 0, le or high
    return PrefixRule(
        permit=rule.action == "Permit",
        prefix=addressing.spelt(rule.prefix),
        ge=ge,
        le=0 if (ge and le == high) or le == low else le,
    )


def _bfd_profile(options: SessionOptions, name: str) -> Iterator[BfdProfile]:
    bfd = options.bfd
    if bfd is None or not bfd.model_fields_set:
        return
    yield BfdProfile(
        name,
        receive_ms=bfd.receive_interval or 0,
        transmit_ms=bfd.transmit_interval or 0,
        detect_multiplier=bfd.detect_multiplier or 0,
        passive=bfd.session_mode == "Passive",
        minimum_ttl=bfd.minimum_ttl or 0,
    )
