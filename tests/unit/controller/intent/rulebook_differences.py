"""Where Dualpath does otherwise than OpenPERouter, why, and what it has no counterpart for."""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCES: Mapping[str, str] = {
    "Differs.namespaces": "FRR is in a namespace of its own, and not where packets are forwarded: "
    "they do not depend on it ([0001](decisions/0001-split-namespaces.md))",
    "Differs.immutable": "`localCIDR` and `gatewayIPs` may change: renumbering works live "
    "([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.names": "bridges and VXLAN devices are `br<vni>` and `vx<vni>`, not `br-pe-<vni>` and "
    "`vni<vni>`: the same names in both namespaces, and the largest VNI fits "
    "([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.table": "a VRF's table is 1000000 + VNI, not the first that is free: it is the same "
    "after a restart, and whatever other tenants there are "
    "([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.routerMAC": "a router MAC is a hash of VTEP and VNI, not the kernel's choice: FRR's "
    "shadow and the datapath must agree, also after a restart "
    "([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.vxlanLink": "a VXLAN device is bound to no other (there to `lo`): the route to the "
    "peer chooses the uplink",
    "Differs.overhead": "70 bytes are left for the headers with an IPv6 VTEP, not 50: its outer "
    "header is 20 bytes longer ([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.narrow": "an overlay below 1280 bytes gets its true MTU and a remark, not the "
    "underlay's: packets that cannot pass would be lost in silence "
    "([MANIFESTS.md](MANIFESTS.md#what-comes-of-them))",
    "Differs.marks": "what is ours has a mark in its alias, not link group 4242 and a prefix of "
    "its name: it also says what to put back",
    "Differs.silentHosts": "stale hosts are asked by the kernel's own ARP and ND (NTF_USE), not by "
    "ICMP, which a host may drop ([0040](decisions/0040-silent-hosts.md))",
    "Differs.evpnDefault": "EVPN goes with the tunnel endpoint, not with the first VNI, which "
    "would reset every session ([MANIFESTS.md](MANIFESTS.md#underlay))",
    "Differs.restart": "graceful restart also says select-defer-time 0 and coalesce-time: a silent "
    "host must not hold back its VRF, and End-of-RIB waits for the other side "
    "([0006](decisions/0006-no-deferred-selection.md), "
    "[0065](decisions/0065-end-of-rib-waits-for-the-other-side.md))",
    "Differs.canonical": "a line at FRR's default is left out (nht resolve-via-default too): a "
    "reload would write it again each time ([0062](decisions/0062-small-changes-by-vtysh.md))",
    "Differs.dualStack": "a dual-stack host session is one instance with two neighbours, not two "
    "stanzas that FRR merges",
    "Differs.frr": "FRR is stock and somebody else starts it; frr-bridge beside it gives it "
    "frr.conf ([0001](decisions/0001-split-namespaces.md))",
    "Differs.grout": "L3VNIs and L2VNIs work on grout too, with stock FRR and without its plugin; "
    "its ports have the NICs' own names ([0020](decisions/0020-owned-wiring-by-default.md))",
}

ABSENT: Mapping[str, str] = {
    "Kubernetes namespaces, owner references, admission webhooks, a status object per node": (
        "manifests are files: the rules are judged when they are read, and `dualpath status` and "
        "Inspect say what came of each resource"
    ),
    "`status.failedResources[].message` of at most 500 characters": "no limit: nothing stores it",
    "`OpenPERouter`: where an operator runs its pods, probes and sockets of Open vSwitch": (
        "there is no operator; the kind is refused by name"
    ),
    "L3VPN and SRv6: their resource, neighbours' families, devices, settings and lines": (
        "refused by name, see [MANIFESTS.md](MANIFESTS.md#not-supported-yet)"
    ),
    "interfaces that a CNI plugin makes; that an interface keeps its type": (
        "`CNIDevice` is refused by name, and there is no other type to change to"
    ),
    "`can_start.sh` beside static files": "whoever starts the controller decides when",
    "static files mirrored as resources of a cluster": "there is no cluster",
    "RawFRRConfig only in the operator's namespace": "files have no namespaces",
    "daemons and options with which FRR is started; grout's plugin in zebra": (
        "FRR is not started here; OPERATIONS.md says what it must be started with"
    ),
    "what zebra's plugin for grout cannot do: update-source, source routes, VXLAN in VRF mode": (
        "FRR sees the same twins and shadows as with the kernel, see [ARCHITECTURE.md]"
        "(ARCHITECTURE.md#wiring-of-grout)"
    ),
    "grout's own namespace layout: `u_<nic>`, net_tap, addresses on the port": (
        "[0020](decisions/0020-owned-wiring-by-default.md), "
        "[0021](decisions/0021-host-legs-are-veths.md)"
    ),
}
