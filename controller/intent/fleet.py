"""Compares what many nodes accept, and finds conflicts that no node can see by itself. Pure.

A rule looks at *claims*: a node gives something a value by a field of a resource. Either only one
node may use the value (a VTEP address), or all nodes must use the same (the gateways of a VNI). In
the second case the majority is assumed to be right. Each other node is reported, with one of the
majority as evidence. In a tie, the first node in order is assumed to be right.

If two nodes share a number, their addresses are equal, too. Then only the number is reported.

Not compared: values that only one node has, and MTUs, which depend on a NIC and are in no manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

from controller.intent import addressing
from controller.intent.accepted import Accepted
from controller.intent.addresses import IpAddress, Network
from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import L2Vni, L3Vni
from controller.intent.rules import Complaint, Path
from controller.intent.schema import Resource
from dualpath.model.violation import Violation
from dualpath.model.words import counted

ROUTED = 0  # instead of a VNI: all legs of a VRF are one segment
ANY = "*"  # in a route target that is imported: any administrator
AUTOMATIC_AS = 0xFFFF  # RFC 8365 section 5.1.2.1: two bytes; FRR truncates longer numbers


@dataclass(frozen=True, slots=True)
class Site:
    """A node, with the document that describes it and what it accepts."""

    node: Node
    described: Resource[Spec]
    accepted: Accepted
    numbered_by: Path = ("spec", "nodeIndex")  # where that has the number

    @property
    def name(self) -> str:
        return self.described.name


@dataclass(frozen=True, slots=True)
class Finding:
    """A conflict between nodes; `violation` has the position in the reported node's file."""

    rule: str
    node: str
    violation: Violation

    def __str__(self) -> str:
        return f"{self.violation} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Claim:
    """A node gives something a value."""

    site: Site
    resource: Resource[Any]
    path: Path
    value: Hashable
    text: str = ""  # the value in a message; "": str(value)

    @property
    def shown(self) -> str:
        return self.text or str(self.value)

    def finding(self, rule: str, message: str) -> Finding:
        violation = self.resource.violation(Complaint(self.path, message))
        return Finding(rule, self.site.name, violation)


def check(sites: Sequence[Site]) -> list[Finding]:
    """Return the conflicts between nodes, each once, in the order of their positions."""
    found = dict.fromkeys(chain.from_iterable(rule(sites) for rule in _RULES))
    return sorted(found, key=lambda f: (f.violation.file, f.violation.line, f.rule, f.node))


# -- one node's alone -------------------------------------------------------------------------


def _names(sites: Sequence[Site]) -> Iterator[Finding]:
    claims = [Claim(s, s.described, ("metadata", "name"), s.name) for s in sites]
    yield from _colliding("node-name", claims, "the node's name {}")


def _indexes(sites: Sequence[Site]) -> Iterator[Finding]:
    claims = [Claim(s, s.described, s.numbered_by, s.node.index) for s in sites]
    yield from _colliding("node-index", claims, "nodeIndex {}")


def _addresses(sites: Sequence[Site]) -> Iterator[Finding]:
    numbered = _first_of_each_index(sites)
    vteps = [
        Claim(site, underlay, ("tunnelEndpoint", "cidrs", at), address)
        for site in numbered
        if (underlay := site.accepted.underlay)
        for at, address in enumerate(_vteps(site))
    ]
    yield from _colliding("vtep", vteps, "the VTEP address {}")
    ids, nets = [], []
    for site in numbered:
        if underlay := site.accepted.underlay:
            pool = underlay.spec.router_id_cidr
            router = addressing.host(pool, site.node.index)
            ids.append(Claim(site, underlay, ("routerIDCIDR",), router))
            if isis := underlay.spec.isis:
                system = ".".join(isis.net(site.node.index).split(".")[-4:-1])
                nets.append(Claim(site, underlay, ("isis", "baseNet"), system))
    yield from _colliding("router-id", ids, "the router id {}")
    yield from _colliding("isis-net", nets, "the IS-IS system ID {}")


def _first_of_each_index(sites: Sequence[Site]) -> list[Site]:
    return list({site.node.index: site for site in reversed(sites)}.values())[::-1]


def _vteps(site: Site) -> Iterator[IpAddress]:
    """Yield the VTEP address of each CIDR, in their order."""
    underlay = site.accepted.underlay
    if underlay and underlay.spec.tunnel_endpoint:
        for pool in underlay.spec.tunnel_endpoint.cidrs:
            yield addressing.host(pool, site.node.index)


def _colliding(rule: str, claims: Iterable[Claim], what: str) -> Iterator[Finding]:
    """Yield every claim to a value that an earlier node has."""
    first: dict[Hashable, Claim] = {}
    for claim in claims:
        other = first.setdefault(claim.value, claim)
        if other.site is not claim.site:
            text = f"{what.format(claim.shown)} is also that of {_place(other)}"
            yield claim.finding(rule, text)


# -- the same on all nodes --------------------------------------------------------------------


def _vnis(sites: Sequence[Site]) -> Iterator[Finding]:
    for number, users in _grouped(sites, lambda it: it.spec.vni).items():
        layers = [Claim(s, r, ("vni",), r.kind) for s, r in users]
        yield from _differing("vni-layer", layers, f"VNI {number} is an {{}}")
        vrfs = [
            Claim(s, r, _vrf_path(r), vrf, f"VRF {vrf}") for s, r in users if (vrf := _vrf(s, r))
        ]
        yield from _differing("vni-vrf", vrfs, f"VNI {number} is in {{}}")
        gateways = [
            Claim(s, r, ("gatewayIPs",), frozenset(map(str, ips)), ", ".join(sorted(map(str, ips))))
            for s, r in users
            if isinstance(r.spec, L2Vni) and (ips := r.spec.gateway_ips)
        ]
        yield from _differing("vni-gateways", gateways, f"VNI {number} has gateways {{}}")
        ports = [Claim(s, r, ("vxlanPort",), r.spec.vxlan_port) for s, r in users]
        yield from _differing("vxlan-port", ports, f"VNI {number} has vxlanPort {{}}")
        families = [
            Claim(s, r, ("underlayAddressFamily",), f"IPv{s.accepted.vtep(r.spec).version}")
            for s, r in users
        ]
        yield from _differing("vtep-family", families, f"VNI {number} has tunnels over {{}}")


def _vrfs(sites: Sequence[Site]) -> Iterator[Finding]:
    """Yield L3VNIs of one VRF, and L2VNIs of one name, whose number differs between nodes."""
    routed = _grouped(sites, lambda it: it.spec.vrf, L3Vni)
    for vrf, users in routed.items():
        claims = [Claim(s, r, ("vni",), r.spec.vni) for s, r in users]
        yield from _differing("vrf-vni", claims, f"VRF {vrf} has L3VNI {{}}")
    for name, users in _grouped(sites, lambda it: it.name, L2Vni).items():
        claims = [Claim(s, r, ("vni",), r.spec.vni) for s, r in users]
        yield from _differing("name-vni", claims, f"L2VNI {name} has VNI {{}}")


def _neighbors(sites: Sequence[Site]) -> Iterator[Finding]:
    """Yield fabric neighbors whose ASN differs from other nodes, or from the node that they are."""
    vteps = {address: site for site in reversed(sites) for address in _vteps(site)}
    by_address: dict[object, list[Claim]] = {}
    for site in sites:
        underlay = site.accepted.underlay
        for at, neighbor in enumerate(underlay.spec.neighbors if underlay else ()):
            if underlay is None or neighbor.address is None or neighbor.asn is None:
                continue
            claim = Claim(site, underlay, ("neighbors", at, "asn"), neighbor.asn)
            owner = vteps.get(neighbor.address)
            if owner is None or owner.accepted.underlay is None:
                if not neighbor.link_local:
                    by_address.setdefault(neighbor.address, []).append(claim)
            elif neighbor.asn != (real := owner.accepted.underlay.spec.asn):
                text = f"neighbor {neighbor.address} has ASN {neighbor.asn} here, but it is"
                yield claim.finding("asn", f"{text} {owner.name}, whose ASN is {real}")
    for address, claims in by_address.items():
        yield from _differing("asn", claims, f"neighbor {address} has ASN {{}}")


def _differing(rule: str, claims: Sequence[Claim], what: str) -> Iterator[Finding]:
    """Yield every claim whose value differs from the majority's."""
    groups: dict[Hashable, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(claim.value, []).append(claim)
    if len(groups) < 2:
        return
    right = max(groups.values(), key=len)
    for claim in claims:
        if claim.value != right[0].value:
            others = [other for other in right if other.site is not claim.site] or right
            text = f"{what.format(claim.shown)} here, but {right[0].shown} on {_many(others)}"
            yield claim.finding(rule, text)


# -- route targets ----------------------------------------------------------------------------


def _targets(sites: Sequence[Site]) -> Iterator[Finding]:
    """Yield nodes that do not import what another node exports for the same VNI."""
    for number, users in _grouped(sites, lambda it: it.spec.vni).items():
        if not any(r.spec.export_rts or r.spec.import_rts for _, r in users):
            continue  # all are automatic, so they match
        groups: dict[tuple[frozenset[str], frozenset[str]], list[tuple[Site, Resource[Any]]]] = {}
        for site, resource in users:
            groups.setdefault(_route_targets(site, resource), []).append((site, resource))
        for (theirs, exporters), (ours, importers) in product(groups.items(), groups.items()):
            if exporters is importers and len(exporters) == 1:
                continue
            if not _import(ours[1], theirs[0]):
                yield from _not_imported(number, theirs[0], exporters, ours[1], importers)


def _not_imported(
    number: int,
    exported: frozenset[str],
    exporters: Sequence[tuple[Site, Resource[Any]]],
    imported: frozenset[str],
    importers: Sequence[tuple[Site, Resource[Any]]],
) -> Iterator[Finding]:
    """Report the smaller group: the nodes that export, or those that import."""
    exports, imports = ", ".join(sorted(exported)), ", ".join(sorted(imported))
    if len(exporters) < len(importers):
        at, others, path = exporters, importers, ("exportRTs",)
        text = f"VNI {number} exports {exports} here, but {{}} imports {imports} only"
    else:
        at, others, path = importers, exporters, ("importRTs",)
        text = f"VNI {number} imports {imports} here, but {{}} exports {exports} only"
    for site, resource in at:
        seen = [Claim(s, r, path, 0) for s, r in others if s is not site]
        yield Claim(site, resource, path, 0).finding("route-targets", text.format(_many(seen)))


def _import(imported: frozenset[str], exported: frozenset[str]) -> bool:
    """Return whether a node imports a route with one of these exported targets."""
    anyone = {f"{ANY}:{target.rpartition(':')[2]}" for target in exported}
    return not imported.isdisjoint(exported | anyone)


def _route_targets(site: Site, resource: Resource[Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return what a VNI exports and imports, as FRR completes it."""
    spec = resource.spec
    automatic = f"{_asn(site, spec) & AUTOMATIC_AS}:{spec.vni}"
    exported = frozenset(spec.export_rts or (automatic,))
    return exported, frozenset(spec.import_rts or (f"{ANY}:{spec.vni}",))


def _asn(site: Site, spec: L3Vni | L2Vni) -> int:
    """Return the ASN of the BGP instance that advertises a VNI."""
    if isinstance(spec, L3Vni) and spec.host_session:
        return spec.host_session.asn
    return site.accepted.underlay.spec.asn if site.accepted.underlay else 0


# -- subnets ----------------------------------------------------------------------------------


def _subnets(sites: Sequence[Site]) -> Iterator[Finding]:
    """Yield subnets of one VRF that overlap another segment's on another node."""
    by_vrf: dict[str, dict[tuple[Network, int], Claim]] = {}
    for site in sites:
        for vrf, claim in _nets(site):
            key = claim.value
            assert isinstance(key, tuple)
            by_vrf.setdefault(vrf, {}).setdefault(key, claim)
    for vrf, claims in by_vrf.items():
        for one, other in _overlapping(claims):
            text = f"subnet {other.shown} of VRF {vrf} overlaps {one.shown} of {_place(one)}"
            yield other.finding("subnet", text)


def _nets(site: Site) -> Iterator[tuple[str, Claim]]:
    """Yield the subnets of a node with their VRF. The value is (network, VNI), of a leg ROUTED."""
    for l3vni in site.accepted.l3vnis:
        if l3vni.spec.host_session:
            for pool in l3vni.spec.host_session.local_cidr.pools:
                path = ("hostSession", "localCIDR", f"ipv{pool.version}")
                yield l3vni.spec.vrf, Claim(site, l3vni, path, (pool, ROUTED), str(pool))
    for l2vni in site.accepted.l2vnis:
        if vrf := site.accepted.domain(l2vni):
            for at, gateway in enumerate(l2vni.spec.gateway_ips):
                value = gateway.network, l2vni.spec.vni
                yield vrf, Claim(site, l2vni, ("gatewayIPs", at), value, str(gateway.network))


def _overlapping(claims: dict[tuple[Network, int], Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Yield pairs of claims of two nodes, the earlier node's first."""
    order = {id(claim): at for at, claim in enumerate(claims.values())}
    ranked = sorted(claims.items(), key=lambda item: _rank(item[0][0]))
    around: list[tuple[Network, int, Claim]] = []
    for (network, vni), claim in ranked:
        around = [it for it in around if _covers(it[0], network)]
        for outer, other_vni, other in around:
            bridged = isinstance(claim.resource.spec, L2Vni)
            if other.site is claim.site or (other_vni == vni and (outer == network or bridged)):
                continue  # a node's validator checks its own; one VNI's gateways are checked above
            yield (other, claim) if order[id(other)] < order[id(claim)] else (claim, other)
        around.append((network, vni, claim))


def _rank(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _covers(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and outer.overlaps(inner)


# -- words ------------------------------------------------------------------------------------


def _grouped(
    sites: Sequence[Site], key: Callable[[Resource[Any]], Hashable], kind: type = object
) -> dict[Any, list[tuple[Site, Resource[Any]]]]:
    """Return the VNIs of all nodes by a key, with their nodes."""
    groups: dict[Any, list[tuple[Site, Resource[Any]]]] = {}
    for site in sites:
        for resource in chain[Resource[Any]](site.accepted.l3vnis, site.accepted.l2vnis):
            if isinstance(resource.spec, kind):
                groups.setdefault(key(resource), []).append((site, resource))
    return groups


def _vrf(site: Site, resource: Resource[Any]) -> str:
    spec = resource.spec
    return spec.vrf if isinstance(spec, L3Vni) else site.accepted.domain(resource)


def _vrf_path(resource: Resource[Any]) -> Path:
    in_domain = isinstance(resource.spec, L2Vni) and resource.spec.routing_domain is not None
    return ("routingDomain", "l3vni", "name") if in_domain else ("vrf",)


def _place(claim: Claim) -> str:
    violation = claim.resource.violation(Complaint(claim.path, ""))
    place = f" ({violation.file}:{violation.line})" if violation.file else ""
    return f"{claim.site.name}{place}"


def _many(claims: Sequence[Claim]) -> str:
    """Return the first node with its position, and the number of others."""
    more = len({claim.site.name for claim in claims}) - 1
    return _place(claims[0]) + (f" and {counted(more, 'other node')}" if more else "")


_RULES: tuple[Callable[[Sequence[Site]], Iterator[Finding]], ...] = (
    _names,
    _indexes,
    _addresses,
    _vnis,
    _vrfs,
    _neighbors,
    _targets,
    _subnets,
)
