"""The manifest of a PE of the standard topology, in OpenPERouter's resource model. Pure."""

from collections.abc import Iterable

from tests.lab.plan import (
    BRIDGED_GATEWAYS,
    L2_VNI,
    L3_VNI,
    SPINE_ASN,
    TENANT_VRF,
    PePlan,
    Uplink,
)

GROUP = "network.openperouter.io/v1alpha1"
OUR_GROUP = "dualpath.io/v1alpha1"


def manifest(pe: PePlan) -> str:
    """Return everything that a PE's controller is told."""
    return "---\n".join((node(pe), underlay(pe), l3vni(pe), l2vni(pe)))


def node(pe: PePlan) -> str:
    return f"""\
apiVersion: {OUR_GROUP}
kind: Node
metadata: {{name: {pe.name}}}
spec:
  nodeIndex: {pe.index}
  namespaces: {{forwarding: {pe.name}, control: {pe.control}, host: {pe.node}}}
"""


def underlay(pe: PePlan) -> str:
    return f"""\
apiVersion: {GROUP}
kind: Underlay
metadata: {{name: underlay}}
spec:
  asn: {pe.asn}
  routerIDCIDR: 10.255.0.0/24
  tunnelEndpoint: {{cidrs: ["{pe.vteps}"]}}
  gracefulRestart: {{}}
{_isis(pe)}  interfaces:
{_lines(_interface(uplink, shared=pe.shared) for uplink in pe.uplinks)}
  neighbors:
{_lines(_neighbor(uplink) for uplink in pe.uplinks)}
"""


def l3vni(pe: PePlan) -> str:
    v4, v6 = pe.pools
    return f"""\
apiVersion: {GROUP}
kind: L3VNI
metadata: {{name: {TENANT_VRF}}}
spec:
  vrf: {TENANT_VRF}
  vni: {L3_VNI}
  hostSession:
    asn: {pe.asn}
    hostASN: {pe.host_asn}
    localCIDR: {{ipv4: {v4}, ipv6: "{v6}"}}
"""


def l2vni(pe: PePlan) -> str:
    gateways = ", ".join(f'"{gateway}"' for gateway in BRIDGED_GATEWAYS)
    return f"""\
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: stretched}}
spec:
  vni: {L2_VNI}
  routingDomain: {{type: L3VNI, l3vni: {{name: {TENANT_VRF}}}}}
  hostMaster: {{type: LinuxBridge, linuxBridge: {{lifecycle: Managed}}}}
  gatewayIPs: [{gateways}]
"""


def _isis(pe: PePlan) -> str:
    if not pe.topology.isis:
        return ""
    return (
        "  isis:\n"
        "    baseNet: 49.0001.0000.0000.0000.00\n"
        "    level: 2\n"
        "    features: [advertisePassiveOnly]\n"
    )


def _interface(uplink: Uplink, *, shared: bool) -> str:
    dpdk = ", dpdk: {wiring: shared}" if shared else ""
    return f"- type: NetworkDevice\n  networkDevice: {{interfaceName: {uplink.nic}{dpdk}}}"


def _neighbor(uplink: Uplink) -> str:
    peer = f'address: "{uplink.spine_address}"' if uplink.numbered else f"interface: {uplink.nic}"
    hold_s = uplink.topology.hold_s
    timers = f"holdTimeSeconds: {hold_s}\n  keepaliveTimeSeconds: {hold_s // 3}"
    timers += "\n  connectTimeSeconds: 1"
    families = "\n  addressFamilies: [{type: evpn}]" if uplink.topology.evpn_only else ""
    return f"- {peer}\n  asn: {SPINE_ASN}\n  {timers}{families}"


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for part in parts for line in part.splitlines())
