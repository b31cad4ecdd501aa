"""What Dualpath makes of the resources: frr.conf, devices, and the status."""

from __future__ import annotations

from collections.abc import Mapping

FRR_CONF: Mapping[str, str] = {
    "Conf.order": "The file has, in FRR's own order: log, hostname, route-map, filters, a VRF "
    "stanza for each L3VNI, the main BGP instance, one for each VRF, BFD profiles, raw snippets.",
    "Conf.log": "To stdout, at the node's `logLevel`, with milliseconds.",
    "Conf.hostname": "The system's own.",
    "Conf.nht": "Nexthops resolve through a default route, in both families: FRR's default under "
    "`frr defaults traditional`, which the file has.",
    "Conf.vrf": "A `vrf` stanza maps the VRF of each L3VNI to its VNI.",
    "Conf.bfd": "A profile `neighbor-<id>` (for a host `host-vni-<vni>`, `host-passthrough`) "
    "where anything differs from FRR's defaults, with only what differs.",
    "Conf.routeMap": "One permissive route-map of a single entry.",
    "Conf.main": "The main instance has the Underlay's `asn` and the router id, and turns off "
    "ebgp-requires-policy, network import-check and default ipv4-unicast.",
    "Conf.gracefulRestart": "graceful-restart and preserve-fw-state; times only if they are not "
    "120 and 360, as FRR leaves them out; none of it without `gracefulRestart`.",
    "Conf.clusterID": "cluster-id with `routeReflector`, and only then.",
    "Conf.listenLimit": "listen limit 65535 with listen ranges, and only then.",
    "Conf.neighbor.remoteAS": "A number, `internal` or `external`.",
    "Conf.neighbor.peer": "An address, an `interface`, or a peer-group named by the range.",
    "Conf.neighbor.options": "ebgp-multihop, port, timers, connect, password, bfd with or without "
    "a profile, each a line.",
    "Conf.neighbor.connect": "A connect timer of 5 s by default.",
    "Conf.neighbor.connectedCheck": "disable-connected-check for an external session that carries "
    "IPv6 unicast, unless multihop or unnumbered.",
    "Conf.neighbor.extendedNexthop": "capability extended-nexthop for IPv6 sessions that carry "
    "IPv4; FRR sets it on unnumbered ones itself.",
    "Conf.unicast": "activate; external: allowas-in; internal: next-hop-self force, and "
    "route-reflector-client for a client.",
    "Conf.vtep": "VTEPs by `network`, /32 and /128, in the address family of each.",
    "Conf.evpn": "activate; external: allowas-in; a client: route-reflector-client; never "
    "next-hop-self.",
    "Conf.evpn.advertiseAllVNI": "advertise-all-vni only with a tunnel endpoint: a pure route "
    "reflector activates EVPN without it.",
    "Conf.tenant": "An instance for each VRF, with the AS number of its host session, else the "
    "Underlay's; the same router id and the same three `no` lines.",
    "Conf.tenant.neighbors": "The host's addresses, each in both unicast families, permissive "
    "both ways; next-hop-self force for an internal one.",
    "Conf.tenant.networks": "The host's addresses as /32 and /128, and the gateways' subnets.",
    "Conf.tenant.evpn": "Advertises IPv4 and IPv6 unicast, with route targets if given.",
    "Conf.l2vni": "Neither a VRF stanza nor an instance of its own: it adds its gateways' subnets "
    "to its VRF.",
    "Conf.l2vni.routeTargets": "Dualpath only: route targets of an L2VNI stand in the main "
    "instance, under its VNI.",
    "Conf.filter": "Dualpath only: a prefix-list for each family and direction, applied to "
    "unicast only.",
    "Conf.passthrough": "The host is a neighbor in the main instance: connect timer of 5 s, "
    "permissive both ways, its addresses as /32 and /128.",
    "Conf.raw": "Raw snippets come last, unchanged, each after a comment with its name.",
    "Conf.twice": "Applying the same configuration again changes nothing.",
    "Conf.refused": "A configuration that FRR refuses leaves the old one in force.",
}

LAYOUT: Mapping[str, str] = {
    "Layout.namespace": "The forwarding namespace is made if absent, with `lo` up.",
    "Layout.nic": "NICs move in with all their addresses, are up, and go back with them.",
    "Layout.nic.prefixRoute": "An address that had no prefix route (`noprefixroute`) has one "
    "there.",
    "Layout.nic.swap": "Another NIC, or a VLAN device, can replace one at run time.",
    "Layout.vtep": "VTEPs are on `lo`, and go with the Underlay.",
    "Layout.vrf": "A VRF device for each L3VNI.",
    "Layout.bridge": "A bridge for each VNI, in its VRF if it has one, without an address of its "
    "own. Its MAC is the router MAC of an L3VNI.",
    "Layout.vxlan": "A VXLAN device in that bridge with its VNI, port and local VTEP: no "
    "learning, no address, neighbor suppression.",
    "Layout.leg": "A veth `pe-e-<vni>` in the forwarding namespace, `host-e-<vni>` on the host, "
    "up at both ends.",
    "Layout.leg.routed": "The leg of an L3VNI is in the VRF before it has addresses, and both "
    "ends have those of both families.",
    "Layout.leg.bridged": "The leg of an L2VNI is in the VNI's bridge, and has no address.",
    "Layout.gateway": "Gateways are on the bridge, with the same MAC on every node.",
    "Layout.hostBridge": "The host end is in `br-hs-<vni>`, which is created and removed with "
    "it, or in an existing bridge, which stays.",
    "Layout.hostBridge.ovs": "The host end may also be in an Open vSwitch bridge. A bridge that "
    "Dualpath created has the external id `created-by=dualpath`; no other bridge is removed.",
    "Layout.passthrough": "`pt-ns` in the forwarding namespace and `pt-host` on the host, "
    "addressed, with the MTU that they have.",
    "Layout.mtu": "Both ends of a leg have the MTU of the overlay; those of a passthrough keep "
    "theirs.",
    "Layout.mtu.narrowest": "The overlay's MTU follows from the smallest MTU of the NICs, in "
    "whichever namespace they are.",
    "Layout.sysctls": "Forwarding in both families; neighbors that announce themselves are "
    "learned (arp_accept, accept_untracked_na).",
    "Layout.sysctls.missing": "A setting that this kernel does not have is skipped and reported.",
    "Layout.order": "FRR's configuration before the VXLAN devices; devices in the order of their "
    "dependencies: VRF, VNI, leg.",
    "Layout.twice": "A row or device that is as desired is not written again.",
    "Layout.remove": "A device with Dualpath's mark is removed when no manifest wants it; no "
    "other device is removed.",
    "Layout.failure": "If a device cannot be created, its resource fails, and so do those that "
    "depend on it; the others are created.",
    "Layout.neighbors": "Stale hosts are probed.",
}

STATUS: Mapping[str, str] = {
    "Status.reasons": "ValidationFailed, DependencyFailed, UnderlayFailed, "
    "OverlayAttachmentFailed or FrrConfigurationFailed, with a sentence.",
    "Status.generation": "The version of a resource that is in force, and the desired version.",
    "Status.degraded": "With a failed resource the router stays ready, but is degraded.",
    "Manifest.watched": "Manifests and passwords are watched, and a change is applied once the "
    "files are no longer written.",
    "Manifest.command": "`dualpath validate` and `render` check manifests and change nothing.",
}
