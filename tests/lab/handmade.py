"""A PE made by hand, with which the lab proves itself without the product.

It shows the smallest layout that FRR needs: shadow devices, a twin for the NIC, and nothing that
forwards. The product makes its own, and better.
"""

from tests.lab.frr import Frr, Settings
from tests.lab.namespaces import Namespace
from tests.lab.plan import L2_VNI, L3_VNI, SPINE_ASN, TENANT_VRF, PePlan
from tests.lab.processes import run
from tests.lab.scenario import Scenario

TABLE = 1100
LOCAL_MAC = "02:00:00:00:00:0"  # and the PE's number: a host that the forwarding side learned


class HandmadePe:
    """FRR in a user namespace of its own, its NIC in another namespace behind a twin."""

    def __init__(self, scenario: Scenario, plan: PePlan) -> None:
        self.plan = plan
        self.forwarding = scenario.namespace(plan.name)
        self.control = scenario.isolated_namespace(plan.control)
        settings = Settings(zebra=("-K20",), configuration=_configuration(plan))
        self.frr: Frr = scenario.frr(plan.name, self.control, settings)

    def make_devices(self) -> None:
        """Make shadows and the twin; the NIC is there already."""
        _make_twin(self.forwarding, self.control, self.plan)
        self.control.ip_batch(
            f"address add {self.plan.vtep}/32 dev lo",
            f"link add {TENANT_VRF} type vrf table {TABLE}",
            f"link set {TENANT_VRF} up",
            *_shadow(self.plan, L3_VNI, f"aa:bb:cc:00:00:0{self.plan.index}"),
            *_shadow(self.plan, L2_VNI, "aa:bb:cc:00:11:00"),
            "link add leg type dummy",
            f"link set leg master {TENANT_VRF} up",
            f"address add {self.plan.pool_gateways[0]}/24 dev leg",
            "link add port type dummy",
            f"link set port master br{L2_VNI} addrgenmode none up",
        )
        self._mirror()

    def _mirror(self) -> None:
        """Say in the control namespace that a MAC was learned in the other one."""
        words = [f"{LOCAL_MAC}{self.plan.index}", "dev", "port", "master", "extern_learn"]
        run(["bridge", "-n", self.control.name, "fdb", "replace", *words])


def _shadow(pe: PePlan, vni: int, mac: str) -> list[str]:
    vxlan = f"type vxlan id {vni} local {pe.vtep} dstport 4789 nolearning"
    return [
        f"link add br{vni} type bridge",
        f"link set br{vni} address {mac} addrgenmode none master {TENANT_VRF} up",
        f"link add vx{vni} {vxlan}",
        f"link set vx{vni} master br{vni} addrgenmode none",
        f"link set vx{vni} type bridge_slave neigh_suppress on learning off",
        f"link set vx{vni} up",
    ]


def _make_twin(forwarding: Namespace, control: Namespace, pe: PePlan) -> None:
    address = pe.uplinks[0].pe_address
    mac = forwarding.ip_json("link", "show", "dev", "eth1")[0]["address"]
    forwarding.ip_batch(
        f"link add cp-eth1 type veth peer name eth1 netns {control.name}",
        "link set cp-eth1 addrgenmode none up",
        f"address add {address}/31 dev eth1",
    )
    control.ip_batch(f"link set eth1 address {mac} up", f"address add {address}/31 dev eth1")
    forwarding.sysctl(ipv4__conf__eth1__arp_ignore=8)  # here the twin answers
    for line in (
        "qdisc add dev eth1 clsact",
        "qdisc add dev cp-eth1 clsact",
        "filter add dev eth1 ingress prio 1 protocol arp matchall"
        " action mirred egress mirror dev cp-eth1",
        f"filter add dev eth1 ingress prio 2 protocol ip flower dst_ip {address}"
        " action mirred egress redirect dev cp-eth1",
        "filter add dev cp-eth1 ingress prio 1 matchall action mirred egress redirect dev eth1",
    ):
        run(["tc", "-n", forwarding.name, *line.split()])


def _configuration(pe: PePlan) -> str:
    peer = pe.uplinks[0].spine_address
    return f"""\
hostname lab
vrf {TENANT_VRF}
 vni {L3_VNI}
exit-vrf
router bgp {pe.asn}
 bgp router-id {pe.vtep}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor {peer} remote-as {SPINE_ASN}
 neighbor {peer} timers 3 9
 neighbor {peer} timers connect 1
 address-family ipv4 unicast
  network {pe.vtep}/32
  neighbor {peer} activate
 exit-address-family
 address-family l2vpn evpn
  neighbor {peer} activate
  advertise-all-vni
 exit-address-family
exit
router bgp {pe.asn} vrf {TENANT_VRF}
 no bgp ebgp-requires-policy
 address-family ipv4 unicast
  redistribute connected
 exit-address-family
 address-family l2vpn evpn
  advertise ipv4 unicast
 exit-address-family
exit
"""
