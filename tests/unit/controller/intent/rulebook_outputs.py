"""What comes of the resources: in frr.conf, on the host, and in what is said of them."""

from __future__ import annotations

from collections.abc import Mapping

FRR_CONF: Mapping[str, str] = {
    "Conf.order": "log, hostname, route-map, filters, a VRF stanza for each L3VNI, the main BGP "
    "instance, one for each VRF, BFD profiles, raw snippets: the order in which FRR shows them",
    "Conf.log": "to stdout, by the node's `logLevel`, with milliseconds",
    "Conf.hostname": "the system's own",
    "Conf.nht": "nexthops resolve through a default route, in both families: FRR's default under "
    "`frr defaults traditional`, which the file says",
    "Conf.vrf": "a stanza `vrf` maps the VRF of each L3VNI to its VNI",
    "Conf.bfd": "a profile `neighbor-<id>` (of a host `host-vni-<vni>`, `host-passthrough`) where "
    "anything differs from FRR's defaults, and only what differs",
    "Conf.routeMap": "one permissive route-map of a single entry",
    "Conf.main": "the main instance has the Underlay's `asn`, the router id, and neither "
    "ebgp-requires-policy, network import-check nor default ipv4-unicast",
    "Conf.gracefulRestart": "graceful-restart and preserve-fw-state; times only when not 120 and "
    "360, as FRR leaves them out; none of it without `gracefulRestart`",
    "Conf.clusterID": "cluster-id with `routeReflector`, and only then",
    "Conf.listenLimit": "listen limit 65535 where there are ranges, and only there",
    "Conf.neighbor.remoteAS": "a number, `internal` or `external`",
    "Conf.neighbor.peer": "an address, an `interface`, or a peer-group named by the range",
    "Conf.neighbor.options": "ebgp-multihop, port, timers, connect, password, bfd with or without "
    "a profile, each a line",
    "Conf.neighbor.connect": "connect timer of 5 s, unless told otherwise",
    "Conf.neighbor.connectedCheck": "disable-connected-check for an external session that carries "
    "IPv6 unicast, unless multihop or unnumbered",
    "Conf.neighbor.extendedNexthop": "capability extended-nexthop for IPv6 sessions that carry "
    "IPv4; FRR has it on unnumbered ones by itself",
    "Conf.unicast": "activate; external: allowas-in; internal: next-hop-self force, and "
    "route-reflector-client for a client",
    "Conf.vtep": "VTEPs by `network`, /32 and /128, in the address family of each",
    "Conf.evpn": "activate; external: allowas-in; a client: route-reflector-client; never "
    "next-hop-self",
    "Conf.evpn.advertiseAllVNI": "advertise-all-vni with a tunnel endpoint only: a route reflector "
    "alone activates EVPN without it",
    "Conf.tenant": "an instance for each VRF: number of its host session, else the Underlay's; the "
    "same router id and the same three lines with `no`",
    "Conf.tenant.neighbors": "the host's addresses, each in both unicast families, permissive both "
    "ways; next-hop-self force for an internal one",
    "Conf.tenant.networks": "the host's addresses as /32 and /128, and the gateways' subnets",
    "Conf.tenant.evpn": "advertises IPv4 and IPv6 unicast; route targets if given",
    "Conf.l2vni": "neither a VRF stanza nor an instance of its own: it adds its gateways' subnets "
    "to its VRF",
    "Conf.l2vni.routeTargets": "ours: route targets of an L2VNI are said in the main instance, for "
    "its VNI",
    "Conf.filter": "ours: a prefix-list for each family and way, bound to unicast only",
    "Conf.passthrough": "the host is a neighbour in the main instance: connect timer of 5 s, "
    "permissive both ways, its addresses as /32 and /128",
    "Conf.raw": "raw snippets at the end, as they are, each after a comment with its name",
    "Conf.twice": "a second apply of the same changes nothing",
    "Conf.refused": "a configuration that FRR refuses leaves the old one",
}

LAYOUT: Mapping[str, str] = {
    "Layout.namespace": "what forwards is in one network namespace, made if absent, with `lo` up",
    "Layout.nic": "NICs move in with all their addresses, are up, and go back with them",
    "Layout.nic.prefixRoute": "an address that had no prefix route (`noprefixroute`) has one then",
    "Layout.nic.swap": "another NIC, or a VLAN device, takes over while it runs",
    "Layout.vtep": "VTEPs are on `lo`, and go with the Underlay",
    "Layout.vrf": "a VRF device for each L3VNI",
    "Layout.bridge": "a bridge for each VNI, in its VRF if it has one, without an address of its "
    "own; its MAC is the router MAC of an L3VNI",
    "Layout.vxlan": "a VXLAN device in that bridge with its VNI, port and local VTEP; no learning, "
    "no address, neighbour suppression",
    "Layout.leg": "a veth `pe-e-<vni>` here, `host-e-<vni>` at the host, up at both ends",
    "Layout.leg.routed": "that of an L3VNI is in the VRF before it has addresses, and both ends "
    "have those of both families",
    "Layout.leg.bridged": "that of an L2VNI is in the VNI's bridge, and has no address",
    "Layout.gateway": "gateways are on the bridge with the same MAC on every node",
    "Layout.hostBridge": "the host's end is in `br-hs-<vni>`, which comes and goes with it, or in "
    "a bridge that is there, which stays",
    "Layout.hostBridge.ovs": "or in an Open vSwitch bridge; one of ours has the external id "
    "`created-by=dualpath`, and no other is removed",
    "Layout.passthrough": "`pt-ns` here and `pt-host` at the host, addressed, with the MTU that "
    "they have",
    "Layout.mtu": "both ends of a leg have the MTU of the overlay; those of a passthrough keep "
    "theirs",
    "Layout.mtu.narrowest": "the overlay's MTU follows from the narrowest NIC's, wherever it is "
    "at the moment",
    "Layout.sysctls": "forwarding in both families; neighbours that announce themselves are taken "
    "(arp_accept, accept_untracked_na)",
    "Layout.sysctls.missing": "a setting that this kernel does not have is skipped and told",
    "Layout.order": "FRR's configuration before the VXLAN devices; devices in the order in which "
    "they need one another: VRF, VNI, leg",
    "Layout.twice": "what is so already is not written again",
    "Layout.remove": "what carries our mark is removed when nobody wants it, and nothing else is",
    "Layout.failure": "a device that cannot be made fails its resource and who depends on it; the "
    "others are made",
    "Layout.neighbours": "hosts that went stale are asked whether they are there",
}

TOLD: Mapping[str, str] = {
    "Status.reasons": "ValidationFailed, DependencyFailed, UnderlayFailed, "
    "OverlayAttachmentFailed or FrrConfigurationFailed, with a sentence",
    "Status.generation": "the version of a resource that is in force, beside the wanted one",
    "Status.degraded": "a failed resource leaves the router ready, and degraded",
    "Manifest.watched": "manifests and passwords are watched, and taken once nobody writes",
    "Manifest.command": "`dualpath validate` and `render` judge manifests and touch nothing",
}
