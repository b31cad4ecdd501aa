"""The spine's configuration: a plain eBGP router that knows nothing of tenants. Pure.

In EVPN, FRR hands the next hop, which is the VTEP, on unchanged without being told to.
"""

from collections.abc import Iterable

from tests.lab.plan import SPINE_ASN, PePlan, Uplink


def configuration(spine: int, pes: Iterable[PePlan]) -> str:
    """Return frr.conf of a spine for its links to the PEs."""
    uplinks = [(pe, u) for pe in pes for u in pe.uplinks if u.spine == spine]
    neighbors = "".join(_neighbor(pe, uplink) for pe, uplink in uplinks)
    activated = "".join(f"  neighbor {_peer(u)} activate\n" for _, u in uplinks)
    return f"""\
hostname lab
router bgp {SPINE_ASN}
 bgp router-id 10.254.0.{spine}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
{neighbors} address-family ipv4 unicast
{activated} exit-address-family
 address-family l2vpn evpn
{activated} exit-address-family
exit
"""


def _peer(uplink: Uplink) -> str:
    return uplink.pe_address if uplink.numbered else uplink.spine_port


def _neighbor(pe: PePlan, uplink: Uplink) -> str:
    peer = _peer(uplink)
    kind = "" if uplink.numbered else "interface "
    return (
        f" neighbor {peer} {kind}remote-as {pe.asn}\n"
        f" neighbor {peer} timers 3 9\n"
        f" neighbor {peer} timers connect 1\n"
        f" neighbor {peer} advertisement-interval 0\n"
    )
