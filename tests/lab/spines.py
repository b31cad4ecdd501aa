"""The spine's configuration: a plain BGP router that knows nothing of tenants. Pure.

In EVPN, FRR hands the next hop, which is the VTEP, on unchanged without being told to. In one AS
the spine is a route reflector, and says that underlay routes go through it.
"""

from collections.abc import Iterable

from tests.lab.plan import SPINE_ASN, PePlan, Uplink


def configuration(spine: int, pes: Iterable[PePlan]) -> str:
    """Return frr.conf of a spine for its links to the PEs."""
    uplinks = [(pe, u) for pe in pes for u in pe.uplinks if u.spine == spine]
    topology = uplinks[0][0].topology
    neighbors = "".join(_neighbor(pe, uplink) for pe, uplink in uplinks)
    cluster = f" bgp cluster-id 10.254.0.{spine}\n" if topology.internal else ""
    underlay = "ipv6 unicast" if topology.ipv6 else "ipv4 unicast"
    return f"""\
hostname lab
router bgp {SPINE_ASN}
 bgp router-id 10.254.0.{spine}
{cluster} no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
{neighbors}{_family(underlay, uplinks)}{_family("l2vpn evpn", uplinks)}exit
{_isis(spine, uplinks) if topology.isis else ""}"""


def _isis(spine: int, uplinks: Iterable[tuple[PePlan, Uplink]]) -> str:
    ports = "".join(
        f"interface {uplink.spine_port}\n ip router isis fabric\n ipv6 router isis fabric\nexit\n"
        for _, uplink in uplinks
    )
    net = f"49.0001.0000.0000.f00{spine}.00"
    return f"router isis fabric\n is-type level-2-only\n net {net}\nexit\n{ports}"


def _family(name: str, uplinks: Iterable[tuple[PePlan, Uplink]]) -> str:
    lines = []
    for pe, uplink in uplinks:
        peer = f"  neighbor {_peer(uplink)}"
        lines.append(f"{peer} activate\n")
        if pe.topology.internal:
            lines.append(f"{peer} route-reflector-client\n")
        if pe.topology.internal and name != "l2vpn evpn":
            lines.append(f"{peer} next-hop-self force\n")
    return f" address-family {name}\n{''.join(lines)} exit-address-family\n"


def _peer(uplink: Uplink) -> str:
    return uplink.pe_address if uplink.numbered else uplink.spine_port


def _neighbor(pe: PePlan, uplink: Uplink) -> str:
    peer = _peer(uplink)
    kind = "" if uplink.numbered else "interface "
    return (
        f" neighbor {peer} {kind}remote-as {pe.asn}\n"
        f" neighbor {peer} timers {uplink.topology.hold_s // 3} {uplink.topology.hold_s}\n"
        f" neighbor {peer} timers connect 1\n"
        f" neighbor {peer} advertisement-interval 0\n"
    )
