"""Where Dualpath differs from OpenPERouter, why, and what it has no counterpart for."""

from __future__ import annotations

from collections.abc import Mapping

_MADE = "([MANIFESTS.md](MANIFESTS.md#what-dualpath-makes))"

DIFFERENCES: Mapping[str, str] = {
    "Differs.namespaces": "FRR has a namespace of its own, apart from the one that forwards: "
    "packets do not depend on it ([0001](decisions/0001-split-namespaces.md)).",
    "Differs.immutable": "`localCIDR` and `gatewayIPs` may change: renumbering works live "
    f"{_MADE}.",
    "Differs.names": "Bridges and VXLAN devices are `br<vni>` and `vx<vni>`, not `br-pe-<vni>` and "
    f"`vni<vni>`: the same names in both namespaces, and the largest VNI fits {_MADE}.",
    "Differs.table": "A VRF's table is 1000000 + VNI, not the first free one: it is the same "
    f"after a restart, and does not depend on other tenants {_MADE}.",
    "Differs.routerMAC": "A router MAC is a hash of VTEP and VNI, not the kernel's choice: FRR's "
    f"shadow device and the datapath must agree, also after a restart {_MADE}.",
    "Differs.vxlanLink": "A VXLAN device is bound to no other (in OpenPERouter to `lo`): the route "
    "to the peer chooses the uplink.",
    "Differs.overhead": "An IPv6 VTEP leaves 70 bytes for the headers, not 50: its outer header "
    f"is 20 bytes longer {_MADE}.",
    "Differs.narrow": "An overlay below 1280 bytes gets its true MTU and a remark, not the "
    f"underlay's MTU: packets that cannot pass would be lost silently {_MADE}.",
    "Differs.marks": "A mark in the alias of a device shows that Dualpath made it, not link group "
    "4242 and a prefix of its name: the mark also says what to restore.",
    "Differs.silentHosts": "The kernel's own ARP and ND (NTF_USE) probe stale hosts, not ICMP, "
    "which a host may drop ([0040](decisions/0040-silent-hosts.md)).",
    "Differs.evpnDefault": "EVPN comes with the tunnel endpoint, not with the first VNI, which "
    "would reset every session ([MANIFESTS.md](MANIFESTS.md#underlay)).",
    "Differs.restart": "Graceful restart also sets select-defer-time 0 and coalesce-time: a silent "
    "host must not hold back its VRF, and End-of-RIB waits for the other side "
    "([0006](decisions/0006-no-deferred-selection.md), "
    "[0065](decisions/0065-end-of-rib-waits-for-the-other-side.md)).",
    "Differs.canonical": "A line at FRR's default is left out (nht resolve-via-default too): a "
    "reload would write it again each time ([0062](decisions/0062-small-changes-by-vtysh.md)).",
    "Differs.dualStack": "A dual-stack host session is one instance with two neighbors, not two "
    "stanzas that FRR merges.",
    "Differs.frr": "FRR is stock, and Dualpath does not start it; frr-bridge beside it applies "
    "frr.conf ([0001](decisions/0001-split-namespaces.md)).",
    "Differs.grout": "L3VNIs and L2VNIs work on grout too, with stock FRR and without its plugin; "
    "its ports have the NICs' own names ([0020](decisions/0020-owned-wiring-by-default.md)).",
}

ABSENT: Mapping[str, str] = {
    "`OpenPERouter`: where an operator runs its pods, probes and sockets of Open vSwitch": (
        "The chart's values say that; the kind is refused by name."
    ),
    "L3VPN and SRv6: their resource, neighbors' families, devices, settings and lines": (
        "Refused by name, see [MANIFESTS.md](MANIFESTS.md#not-supported-yet)."
    ),
    "That rawConfig, runtimeConfig and the type of an interface never change": (
        "They may: the interface is removed by the plugins that made it, and made again."
    ),
    "`can_start.sh` beside static files": (
        "A drop-in of the controller's unit, see [KUBERNETES.md](KUBERNETES.md#day-0)."
    ),
    "RawFRRConfig only in the operator's namespace": "Any namespace: RBAC decides who may.",
    "Daemons and options with which FRR is started; grout's plugin in zebra": (
        "Dualpath does not start FRR; OPERATIONS.md lists the options that it needs."
    ),
    "What zebra's plugin for grout cannot do: update-source, source routes, VXLAN in VRF mode": (
        "FRR sees the same twins and shadow devices as with the kernel, see [ARCHITECTURE.md]"
        "(ARCHITECTURE.md#wiring-of-grout)."
    ),
    "grout's own namespace layout: `u_<nic>`, net_tap, addresses on the port": (
        "See [0020](decisions/0020-owned-wiring-by-default.md) and "
        "[0021](decisions/0021-host-legs-are-veths.md)."
    ),
}
