"""The standard topology's names, numbers and addresses.

Pure. PE i is node index i; with 2 PEs and one spine:

    pe1-l --+                                                   +-- pe2-l     bridged hosts, L2VNI
            br-hs-110 in pe1-h                 br-hs-110 in pe2-h
                |                                    |
    pe1-h -- [pe1] --eth1-- [spine1] --eth1-- [pe2] -- pe2-h                  routed hosts, L3VNI

pe1-h is the node's own namespace: there the NICs start, and there the host legs end. pe1, which
forwards, and pe1-frr, where FRR lives, are made by the product, from the manifest.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SPINE_ASN = 65000
TENANT_VRF = "red"
L3_VNI = 100
L2_VNI = 110
BRIDGED_GATEWAYS = ("10.110.0.1/24", "2001:db8:110::1/64")
HOST_BRIDGE = f"br-hs-{L2_VNI}"  # made in the node's namespace for a Managed hostMaster
STATE = Path("/run/dualpath")


class Datapath(StrEnum):
    """A PE's datapath: the controller's --datapath."""

    KERNEL = "kernel"
    DPDK = "dpdk"


@dataclass(frozen=True, slots=True)
class Topology:
    """The options of a scenario."""

    pes: int = 2
    spines: int = 1  # each PE has one uplink to each: eth1, eth2, ...
    numbered: bool = True  # links with addresses; otherwise BGP unnumbered
    ipv6: bool = False  # links and VTEPs have IPv6 addresses, and no others
    internal: bool = False  # one AS, and the spine reflects its clients' routes
    isis: bool = False  # IS-IS runs beside BGP
    evpn_only: bool = False  # BGP carries EVPN alone, and the VTEPs are left to IS-IS
    dpdk: int = 0  # so many of the PEs, from the first on, forward with grout
    shared: bool = False  # grout in a namespace of its own, and the NICs stay with the kernel
    hold_s: int = 9  # BGP's hold time of PEs and spines
    switches: bool = False  # those PEs start with the kernel, and can be switched to grout


@dataclass(frozen=True, slots=True)
class Uplink:
    """The cable from a PE's NIC to a spine."""

    pe: int
    spine: int
    topology: Topology

    @property
    def numbered(self) -> bool:
        return self.topology.numbered

    @property
    def nic(self) -> str:
        return f"eth{self.spine}"

    @property
    def spine_port(self) -> str:
        return f"pe{self.pe}"

    @property
    def pe_address(self) -> str:
        return self._address(2 * self.pe + 1)

    @property
    def spine_address(self) -> str:
        return self._address(2 * self.pe)

    @property
    def length(self) -> int:
        return 127 if self.topology.ipv6 else 31

    def _address(self, number: int) -> str:
        if self.topology.ipv6:
            return f"2001:db8:100:{self.spine}::{number:x}"
        return f"192.168.{self.spine}.{number}"


@dataclass(frozen=True, slots=True)
class PePlan:
    """Names and addresses of PE `index`, from 1."""

    index: int
    topology: Topology

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        numbers = range(1, self.topology.spines + 1)
        return tuple(Uplink(self.index, spine, self.topology) for spine in numbers)

    @property
    def datapath(self) -> Datapath:
        dpdk = self.index <= self.topology.dpdk and not self.topology.switches
        return Datapath.DPDK if dpdk else Datapath.KERNEL

    @property
    def name(self) -> str:
        return f"pe{self.index}"

    @property
    def control(self) -> str:
        return f"{self.name}-frr"

    @property
    def node(self) -> str:
        return f"{self.name}-h"

    @property
    def bridged(self) -> str:
        return f"{self.name}-l"

    @property
    def state(self) -> Path:
        return STATE / self.name

    @property
    def disk(self) -> Path:
        """What outlives a reboot."""
        return self.state / "disk"

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.name, self.control, self.node, self.bridged, self.grout)))

    @property
    def shared(self) -> bool:
        return self.topology.shared and self.datapath is Datapath.DPDK

    @property
    def switches(self) -> bool:
        """Whether the controller starts with the kernel, and can be switched to grout."""
        return self.topology.switches and self.index <= self.topology.dpdk

    @property
    def grout(self) -> str:
        """The namespace that grout runs in."""
        return f"{self.name}-g" if self.shared or self.switches else self.name

    @property
    def asn(self) -> int:
        return SPINE_ASN if self.topology.internal else SPINE_ASN + self.index

    @property
    def host_asn(self) -> int:
        """The AS number of the node's own BGP speaker."""
        return 64900 + self.index

    @property
    def router_id(self) -> str:
        return f"10.255.0.{self.index + 1}"

    @property
    def vtep(self) -> str:
        return f"2001:db8:64::{self.index}" if self.topology.ipv6 else f"100.64.0.{self.index}"

    @property
    def vteps(self) -> str:
        """The subnet in which the VTEP is number `index`."""
        return "2001:db8:64::/64" if self.topology.ipv6 else "100.64.0.0/24"

    @property
    def pools(self) -> tuple[str, str]:
        """The routed host's networks; the router has the first address, the host 2 + index."""
        return f"10.{self.index}.0.0/24", f"2001:db8:{self.index}::/64"

    @property
    def pool_gateways(self) -> tuple[str, str]:
        return f"10.{self.index}.0.1", f"2001:db8:{self.index}::1"

    @property
    def routed_addresses(self) -> tuple[str, str]:
        number = 2 + self.index
        return f"10.{self.index}.0.{number}", f"2001:db8:{self.index}::{number}"

    @property
    def bridged_addresses(self) -> tuple[str, str]:
        return f"10.110.0.1{self.index}", f"2001:db8:110::1{self.index}"


def pe_plans(topology: Topology) -> list[PePlan]:
    return [PePlan(index, topology) for index in range(1, topology.pes + 1)]
