"""Where Dualpath's verdict differs from OpenPERouter's schemas, and why.

docs/MANIFESTS.md shows it.
"""

from __future__ import annotations

from collections.abc import Mapping

SRV6 = "SRv6 is not supported yet: use L3VNI and L2VNI over VXLAN"
L3VPN = "L3VPN (SRv6) is not supported yet: refer to an L3VNI"

REFUSED: Mapping[str, str] = {
    "Underlay.srv6": SRV6,
    "Underlay.neighbors[].addressFamilies[].type=ipv4vpn": SRV6,
    "Underlay.neighbors[].addressFamilies[].type=ipv6vpn": SRV6,
    "L2VNI.routingDomain.type=L3VPN": L3VPN,
    "L2VNI.routingDomain.l3vpn": L3VPN,
}
"""Fields and values of the schemas that Dualpath rejects, with their contents."""

ASCII = "printable ASCII only, and no `-` at the start: programs read that as an option"
PORT = "a UDP port, 1 to 65535"
BGP_TIME = "at most 65535 s, two bytes in a BGP message (RFC 4271); FRR accepts no more"
TARGET = "`AS:number` or `address:number`: FRR accepts no other"
POOL = "addresses that a host can have: neither FRR nor the kernel accepts others"
OPERATOR = "`In` and `NotIn` with values, `Exists` and `DoesNotExist` without, as in Kubernetes"
BRIDGE = "every interface name, and an empty one for a managed bridge"

DIFFERENT: Mapping[str, str] = {
    "interfaces[].cniDevice.rawConfig": "a network configuration list of CNI 1.0.0 or 1.1.0",
    "routerIDCIDR": POOL,
    "tunnelEndpoint.cidrs[]": POOL,
    "hostSession.localCIDR.ipv4": POOL,
    "hostSession.localCIDR.ipv6": f"{POOL}; not IPv6 link-local, as the host's address is "
    "advertised",
    "gatewayIPs[]": POOL,
    "vxlanPort": PORT,
    "exportRTs[]": TARGET,
    "importRTs[]": TARGET,
    "nodeSelector.matchExpressions[].operator": OPERATOR,
    "nodeSelector.matchExpressions[].values": OPERATOR,
    "hostMaster.linuxBridge.name": BRIDGE,
    "hostMaster.ovsBridge.name": BRIDGE,
    "neighbors[].address": f"{POOL}; an IPv6 link-local one needs its `interface` if the "
    "Underlay has several",
    "neighbors[].interface": ASCII,
    "neighbors[].listenRange": "no range without possible peers, such as 127.0.0.0/8",
    "neighbors[].holdTimeSeconds": BGP_TIME,
    "neighbors[].keepaliveTimeSeconds": "not negative",
    "neighbors[].passwordSecret": "the name of an existing Secret, and no `password` beside it: "
    "Dualpath uses the Secret's password",
    "isis.baseNet": "ends in `00`: FRR accepts no other NET",
    "isis.interfaces[].name": ASCII,
    "routeReflector.clusterID": POOL,
    "neighbors[].password": "at most 80 bytes, all printable: Linux and FRR accept no longer key",
}
"""Fields of any kind that accept more or less than the schemas say."""

SAMPLES: Mapping[str, str] = {}
"""Samples in which a resource is rejected."""
