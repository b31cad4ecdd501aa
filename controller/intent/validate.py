"""Checks the rules between the resources of one node, and accepts or rejects each. Pure.

Of two resources that conflict, the first in the order of the files is accepted: a later resource
never disturbs an earlier one. Kinds are judged in the order of their dependencies, so a rejected
resource is absent when those that depend on it are judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from controller.intent import addressing
from controller.intent.accepted import Accepted, DependencyFailed, Unmet, pools
from controller.intent.addresses import Network
from controller.intent.fields import Spec
from controller.intent.node import Node
from controller.intent.overlay import L2Vni, L3Passthrough, L3Vni, RawFrrConfig
from controller.intent.reasons import Reason
from controller.intent.resolve import Selection
from controller.intent.rules import Complaint, Path
from controller.intent.schema import (
    Owner,
    Resource,
    rejected,
)
from controller.intent.underlay import Underlay
from dualpath.model.view import ResourceStatus
from dualpath.model.violation import Violation

S = TypeVar("S", bound=Spec)

RESERVED = re.compile(r"all|default|lo|(ac|br|br-hs-|vx|pe-e-|host-e-)[1-9]\d*|pt-ns|pt-host|cp-.*")
"""Names that no VRF and no NIC can have: our devices, the kernel or FRR use them."""
OURS_ON_THE_HOST = re.compile(r"lo|host-e-[1-9]\d*|pt-host")


Check = Callable[[Accepted, Resource[Any]], Iterable[Complaint]]


def validate(selection: Selection, node: Node, partials: Sequence[Resource[Spec]] = ()) -> Accepted:
    """Judge the resources of a node one by one; `partials` are rejected already."""
    l3vnis = [*selection.l3vnis]
    l3vnis += (r for r in partials if isinstance(r.spec, L3Vni) and _is_for(node, r.spec))  # type: ignore[misc]
    accepted = Accepted(
        node,
        asked_vrfs=frozenset(r.spec.vrf for r in selection.l3vnis),
        asked_names=frozenset((r.namespace, r.given_name) for r in l3vnis),
    )
    for underlay in selection.underlays:
        _judge(accepted, underlay, _take_underlay)
    for passthrough in selection.passthroughs:
        _judge(accepted, passthrough, _take_passthrough)
    for l3vni in selection.l3vnis:
        _judge(accepted, l3vni, Accepted.add_l3vni)
    for l2vni in selection.l2vnis:
        _judge(accepted, l2vni, Accepted.add_l2vni)
    for raw in selection.raws:
        _judge(accepted, raw, lambda a, r: a.raws.append(r))
    return accepted


def also_wrong(
    accepted: Accepted, partials: Sequence[Resource[Spec]], *, complete: bool = True
) -> Iterator[tuple[Owner, list[Violation]]]:
    """Yield further errors of rejected resources, so that one run shows them all.

    They are compared with the accepted resources, and with the rejected ones before them. A check
    that needs an invalid field does not apply. A missing dependency is not reported, because it may
    exist once the rest is fixed; a reference to an unknown name is reported if the set is
    `complete`.
    """
    known = accepted.copy()
    for partial in partials:
        if _is_for(known.node, partial.spec):
            others, found = known.without(partial.owner), list[Complaint]()
            for check in CHECKS[type(partial.spec)]:
                with suppress(AttributeError):
                    found.extend(check(others, partial))
            shown = (c for c in found if c.path and (complete or not isinstance(c, Unmet)))
            yield partial.owner, [partial.violation(c) for c in shown]
            known.note(partial)


def _is_for(node: Node, spec: Spec) -> bool:
    try:
        return spec.node_selector.matches(node.selectable)
    except AttributeError:  # the dependency is itself invalid
        return False


def _judge(
    accepted: Accepted,
    resource: Resource[S],
    take: Callable[[Accepted, Resource[S]], None],
) -> None:
    """Accept a resource without complaints; note its status either way."""
    complaints = [c for check in CHECKS[type(resource.spec)] for c in check(accepted, resource)]
    if not complaints:
        take(accepted, resource)
        accepted.statuses.append(ResourceStatus(resource.kind, resource.name, True))
        return
    unmet = all(isinstance(complaint, Unmet) for complaint in complaints)
    violations = [resource.violation(complaint) for complaint in complaints]
    reason = Reason.DEPENDENCY_FAILED if unmet else Reason.VALIDATION_FAILED
    accepted.statuses.append(rejected(resource.kind, resource.name, violations, reason))


def _one_underlay(accepted: Accepted, _resource: Resource[Underlay]) -> Iterator[Complaint]:
    if accepted.underlay is not None:
        yield Complaint(
            (), f"a node can have one Underlay only, and this node has {accepted.underlay.name}"
        )


def _nics_have_free_names(_: Accepted, resource: Resource[Underlay]) -> Iterator[Complaint]:
    for i, interface in enumerate(resource.spec.interfaces):
        at: Path = ("interfaces", i, *interface.place_of_name)
        yield from _check_name("an interface", interface.name, at)


def _router_id_fits(accepted: Accepted, resource: Resource[Underlay]) -> Iterator[Complaint]:
    pool, number = resource.spec.router_id_cidr, accepted.node.index + 1
    yield from _check_host("routerIDCIDR", pool, number, ("routerIDCIDR",))


def _vteps_fit(accepted: Accepted, resource: Resource[Underlay]) -> Iterator[Complaint]:
    for i, cidr in enumerate(_cidrs(resource.spec)):
        at = ("tunnelEndpoint", "cidrs", i)
        yield from _check_host("tunnelEndpoint.cidrs", cidr, accepted.node.index, at)


def _net_fits(accepted: Accepted, resource: Resource[Underlay]) -> Iterator[Complaint]:
    if resource.spec.isis is not None:
        try:
            resource.spec.isis.net(accepted.node.index)
        except ValueError as error:
            yield Complaint(("isis", "baseNet"), str(error))


def _neighbors_are_elsewhere(
    accepted: Accepted, resource: Resource[Underlay]
) -> Iterator[Complaint]:
    index, spec = accepted.node.index, resource.spec
    own = {cidr[index] for cidr in _cidrs(spec) if index < cidr.num_addresses}
    for i, neighbor in enumerate(spec.neighbors):
        if neighbor.address in own:
            text = f"neighbor {neighbor.id} has the address of this node's own VTEP"
            yield Complaint(("neighbors", i, "address"), text)


def _take_underlay(accepted: Accepted, resource: Resource[Underlay]) -> None:
    vteps = [addressing.host(cidr, accepted.node.index) for cidr in _cidrs(resource.spec)]
    accepted.vteps = tuple(sorted(vteps, key=lambda address: address.version))
    accepted.underlay = resource


def _cidrs(spec: Underlay) -> tuple[Network, ...]:
    return spec.tunnel_endpoint.cidrs if spec.tunnel_endpoint is not None else ()


def _check_host(field: str, pool: Network, number: int, at: Path) -> Iterator[Complaint]:
    """Complain about a pool that is too small for the node's number."""
    try:
        addressing.host(pool, number)
    except ValueError as error:
        text = f"{field} {error}: make it larger, or the node's number smaller"
        yield Complaint(at, text)


def _one_passthrough(accepted: Accepted, _resource: Resource[L3Passthrough]) -> Iterator[Complaint]:
    if accepted.passthrough is not None:
        text = (
            f"a node can have one L3Passthrough only, and this node has {accepted.passthrough.name}"
        )
        yield Complaint((), text)


def _passthrough_is_of_the_underlay(
    accepted: Accepted, resource: Resource[L3Passthrough]
) -> Iterator[Complaint]:
    asn = resource.spec.host_session.asn
    if accepted.underlay is not None and asn != accepted.underlay.spec.asn:
        text = (
            f"hostSession.asn {asn} is not the Underlay's {accepted.underlay.spec.asn}, in whose "
            "instance the session is"
        )
        yield Complaint(("hostSession", "asn"), text)


def _passthrough_is_apart(
    accepted: Accepted, resource: Resource[L3Passthrough]
) -> Iterator[Complaint]:
    """Complain about a leg of the L3Passthrough whose addresses the fabric uses."""
    if accepted.underlay is None:
        return
    spec = accepted.underlay.spec
    for at, pool in pools(resource.spec.host_session):
        for cidr in _cidrs(spec):
            if pool.overlaps(cidr):
                text = f"localCIDR {pool} overlaps {cidr} of the Underlay's tunnelEndpoint"
                yield Complaint(at, text)
        for neighbor in spec.neighbors:
            address = neighbor.address
            if address is not None and address.version == pool.version and address in pool:
                yield Complaint(at, f"localCIDR {pool} has the Underlay's neighbor {address}")


def _take_passthrough(accepted: Accepted, resource: Resource[L3Passthrough]) -> None:
    accepted.passthrough = resource


def _vrf_is_free(accepted: Accepted, resource: Resource[L3Vni]) -> Iterator[Complaint]:
    vrf = resource.spec.vrf
    for other in accepted.makers(vrf):
        yield Complaint(("vrf",), f"VRF {vrf} is already used by {other}")
    yield from _check_vrf(accepted, vrf)


def _domain_is_there(accepted: Accepted, resource: Resource[L2Vni]) -> Iterator[Complaint]:
    try:
        vrf = accepted.domain(resource)
    except DependencyFailed as error:
        yield Unmet(*error.complaint)
        return
    if vrf and not accepted.maker(vrf):
        yield from _check_vrf(accepted, vrf)
        for other in accepted.segments().keys() - {"", vrf}:
            if not accepted.maker(other) and addressing.local_table(
                other
            ) == addressing.local_table(vrf):
                text = f"VRF {vrf} would use the routing table of {other}: choose another name"
                yield Complaint(("vrf",), text)


def _gateways_are_apart(accepted: Accepted, resource: Resource[L2Vni]) -> Iterator[Complaint]:
    try:
        vrf = accepted.domain(resource)
    except DependencyFailed:
        return
    if not vrf:
        return  # gateways need one
    for index, gateway in enumerate(resource.spec.gateway_ips):
        for subnet, owner in accepted.overlapping_subnets(vrf, gateway.network):
            text = f"gateway {gateway} overlaps {subnet} of {owner} in the same VRF"
            yield Complaint(("gatewayIPs", index), text)


def _host_bridge_is_one(accepted: Accepted, resource: Resource[L2Vni]) -> Iterator[Complaint]:
    """Complain about a host bridge with the name of a device of ours, or of a NIC that moves."""
    master = resource.spec.host_master
    if master is None or (bridge := master.ovs_bridge or master.linux_bridge) is None:
        return
    if not (name := bridge.name):
        return
    at: Path = ("hostMaster", "ovsBridge" if master.ovs_bridge else "linuxBridge", "name")
    if OURS_ON_THE_HOST.fullmatch(name):
        yield Complaint(
            at,
            f"a bridge cannot be called {name}: Dualpath has a device of that name; choose another",
        )
    elif accepted.underlay is not None and name in accepted.underlay.spec.nics:
        yield Complaint(at, f"{name} is an interface of the Underlay, and no bridge")


def _underlay_is_there(accepted: Accepted, _resource: Resource[Spec]) -> Iterator[Complaint]:
    if accepted.underlay is None:
        yield Unmet((), "this node has no Underlay, or it was rejected")


def _vtep_is_there(
    accepted: Accepted, resource: Resource[L3Vni] | Resource[L2Vni]
) -> Iterator[Complaint]:
    if accepted.underlay is not None:
        try:
            accepted.vtep(resource.spec)
        except DependencyFailed as error:
            yield Unmet(*error.complaint)


def _check_name(what: str, name: str, at: Path) -> Iterator[Complaint]:
    if RESERVED.fullmatch(name):
        yield Complaint(
            at, f"{what} cannot be called {name}: that name is reserved; choose another"
        )


def _check_vrf(accepted: Accepted, vrf: str) -> Iterator[Complaint]:
    yield from _check_name("a VRF", vrf, ("vrf",))
    if accepted.underlay is not None and vrf in accepted.underlay.spec.nics:
        yield Complaint(("vrf",), f"a VRF cannot be called {vrf}: an interface has that name")


def _vni_is_free(
    accepted: Accepted, resource: Resource[L3Vni] | Resource[L2Vni]
) -> Iterator[Complaint]:
    vni = resource.spec.vni
    for other in accepted.users(vni):
        yield Complaint(("vni",), f"VNI {vni} is already used by {other}")


def _leg_is_apart(
    accepted: Accepted, resource: Resource[L3Vni] | Resource[L3Passthrough]
) -> Iterator[Complaint]:
    for at, pool in pools(resource.spec.host_session):
        for other, owner in accepted.overlapping_pools(pool):
            yield Complaint(at, f"localCIDR {pool} overlaps {other} of {owner}")
        try:
            addressing.leg(pool, accepted.node.index)
        except ValueError as error:
            text = f"hostSession.localCIDR {error}: make it larger, or the node's number smaller"
            yield Complaint(at, text)


CHECKS: Mapping[type[Spec], tuple[Check, ...]] = {
    Underlay: (
        _one_underlay,
        _nics_have_free_names,
        _router_id_fits,
        _vteps_fit,
        _net_fits,
        _neighbors_are_elsewhere,
    ),
    L3Passthrough: (
        _one_passthrough,
        _underlay_is_there,
        _passthrough_is_of_the_underlay,
        _passthrough_is_apart,
        _leg_is_apart,
    ),
    L3Vni: (_underlay_is_there, _vtep_is_there, _vni_is_free, _vrf_is_free, _leg_is_apart),
    L2Vni: (
        _underlay_is_there,
        _vtep_is_there,
        _vni_is_free,
        _domain_is_there,
        _gateways_are_apart,
        _host_bridge_is_one,
    ),
    RawFrrConfig: (),
}
"""The rules between resources, one by one: a rule that does not apply stops no other."""
