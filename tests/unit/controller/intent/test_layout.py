"""Which devices the resources produce, by which rule, and that nothing else affects them."""

from __future__ import annotations

from controller.intent.layout import Intent
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from tests.unit.controller.intent.build import Yaml, intent, manifest, neighbor, session, underlay
from tests.unit.controller.intent.rulebook import rule

RED = manifest("L3VNI", "red")
SEGMENT = manifest("L2VNI", "segment")
BLUE = manifest(
    "L3VNI", "blue", vrf="blue", vni=200, hostSession=session(localCIDR={"ipv4": "10.101.0.0/24"})
)
DUAL = underlay(tunnelEndpoint={"cidrs": ["2001:db8:64::/64", "100.64.0.0/24"]})


def addresses(*texts: str) -> tuple[Address, ...]:
    return tuple(Address.parse(text) for text in texts)


def port(result: Intent, name: str) -> Port:
    return next(p for p in result.ports if p.name == name)


def vni(result: Intent, number: int) -> Vni:
    return next(v for v in result.vnis if v.vni == number)


def end(result: Intent, name: str) -> HostEnd:
    host = port(result, name).host
    assert host is not None
    return host


def bridge(**linux_bridge: str) -> Yaml:
    return manifest(
        "L2VNI", "segment", hostMaster={"type": "LinuxBridge", "linuxBridge": linux_bridge}
    )


@rule("Underlay.vtep")
def test_vtep_is_the_cidrs_address_at_the_node_index_and_is_on_lo() -> None:
    loopback = port(intent(DUAL, index=3), "lo")
    assert loopback.loopback
    assert loopback.addresses == addresses("100.64.0.3/32", "2001:db8:64::3/128")


def test_underlay_without_a_tunnel_endpoint_has_no_loopback_port() -> None:
    names = [p.name for p in intent(underlay(tunnelEndpoint=None)).ports]
    assert names == ["eth1"]


@rule("Layout.nic")
def test_nic_is_moved_from_the_host_namespace_with_its_addresses_and_has_a_twin() -> None:
    assert port(intent(underlay()), "eth1") == Port("eth1", source_netns="", twin=True)


@rule("HostSession.addresses")
def test_router_end_of_a_leg_has_the_first_address_and_host_end_one_by_node_index() -> None:
    result = intent(underlay(), RED, index=4)
    leg = port(result, "pe-e-100")
    assert (leg.vrf, leg.twin, leg.mtu) == ("red", True, 1450)
    assert leg.addresses == addresses("10.100.0.1/24", "fd00:100::1/64")
    assert leg.host is not None
    assert leg.host.name == "host-e-100"
    assert leg.host.addresses == addresses("10.100.0.6/24", "fd00:100::6/64")


@rule("HostSession.addresses")
def test_both_addresses_of_a_31_or_127_pool_are_used() -> None:
    pool = session(localCIDR={"ipv4": "10.101.0.0/31"})
    red = manifest("L3VNI", "red", hostSession=pool)
    leg = port(intent(underlay(), red, index=0), "pe-e-100")
    assert leg.addresses == addresses("10.101.0.0/31")
    assert leg.host is not None
    assert leg.host.addresses == addresses("10.101.0.1/31")


@rule("HostSession.localCIDR.size")
def test_broadcast_address_is_never_assigned() -> None:
    red = manifest("L3VNI", "red", hostSession=session(localCIDR={"ipv4": "10.0.0.0/29"}))
    assert intent(underlay(), red, index=4).vrfs  # .6
    assert not intent(underlay(), red, index=5).vrfs  # .7


def test_l3vni_without_a_host_session_has_no_leg() -> None:
    result = intent(underlay(), manifest("L3VNI", "red", hostSession=None))
    assert [p.name for p in result.ports] == ["lo", "eth1"]
    assert result.vrfs == (Vrf("red", 1_000_100),)


@rule("Differs.table", "Differs.routerMAC")
def test_vrf_table_and_router_mac_depend_on_vni_and_vtep_only() -> None:
    alone, among = intent(underlay(), RED), intent(underlay(), BLUE, RED, SEGMENT)
    assert Vrf("red", 1_000_100) in alone.vrfs
    assert set(alone.vrfs) < set(among.vrfs)
    assert set(alone.vnis) < set(among.vnis)
    assert set(alone.ports) < set(among.ports)


@rule("Differs.routerMAC")
def test_router_mac_is_locally_administered_unicast_and_unique_per_node_and_vni() -> None:
    macs = {v.mac for index in range(5) for v in intent(underlay(), RED, BLUE, index=index).vnis}
    assert len(macs) == 10
    assert all(mac[0] & 0x03 == 0x02 for mac in macs)


@rule("L2VNI.gatewayMAC")
def test_anycast_gateway_is_equal_on_every_node() -> None:
    here, there = (vni(intent(underlay(), RED, SEGMENT, index=i), 110) for i in (1, 2))
    assert here.mac == there.mac == bytes.fromhex("00f30000006f")
    assert here.gateways == there.gateways == addresses("10.110.0.1/24", "fd00:110::1/64")
    assert (here.vrf, here.layer) == ("red", 2)


@rule("VNI.mtu", "VNI.underlayAddressFamily", "Layout.mtu", "Differs.overhead")
def test_overlay_mtu_subtracts_the_headers_of_the_vteps_address_family() -> None:
    six = manifest("L3VNI", "red", underlayAddressFamily="IPv6")
    result = intent(DUAL, six, SEGMENT, mtu=9000)
    assert vni(result, 100).mtu == port(result, "pe-e-100").mtu == 8930
    assert vni(result, 110).mtu == port(result, "pe-e-110").mtu == 8950
    assert len(vni(result, 100).local) == 16
    assert len(vni(result, 110).local) == 4


@rule("VNI.vxlanPort")
def test_each_vni_may_set_its_vxlan_port() -> None:
    assert vni(intent(underlay(), manifest("L3VNI", "red", vxlanPort=8472)), 100).port == 8472


@rule("L2VNI.hostMaster.device")
def test_l2vni_is_detached_or_attached_to_a_managed_or_external_bridge() -> None:
    def host_end(segment: Yaml) -> HostEnd:
        return end(intent(underlay(), RED, segment), "pe-e-110")

    assert host_end(SEGMENT) == HostEnd(name="host-e-110")
    ours = host_end(bridge(lifecycle="Managed"))
    assert (ours.bridge, ours.create_bridge) == ("br-hs-110", True)
    theirs = host_end(bridge(lifecycle="External", name="br0"))
    assert (theirs.bridge, theirs.create_bridge) == ("br0", False)


@rule("L2VNI.hostMaster.device")
def test_l2vni_may_be_attached_to_an_open_vswitch_bridge() -> None:
    master = {"type": "OVSBridge", "ovsBridge": {"lifecycle": "External", "name": "ovs0"}}
    theirs = end(intent(underlay(), RED, manifest("L2VNI", "s", hostMaster=master)), "pe-e-110")
    assert (theirs.bridge, theirs.ovs, theirs.create_bridge) == ("ovs0", True, False)


@rule("Underlay.dpdk")
def test_dpdk_settings_reach_the_nics_port() -> None:
    nic = {"interfaceName": "eth1", "dpdk": {"devargs": "0000:01:00.0", "wiring": "owned"}}
    given = underlay(interfaces=[{"type": "NetworkDevice", "networkDevice": nic}])
    assert (port(intent(given), "eth1").devargs, port(intent(given), "eth1").wiring) == (
        "0000:01:00.0",
        "owned",
    )
    assert port(intent(underlay()), "eth1").wiring == ""


def test_every_device_has_an_owning_resource() -> None:
    result = intent(underlay(), RED, SEGMENT)
    assert {(d.kind, d.key) for d in result.devices} == result.owners.keys()
    assert result.owners[Kind.VRF, "red"] == ("L3VNI", "red")
    assert result.owners[Kind.PORT, "pe-e-110"] == ("L2VNI", "segment")
    assert result.owners[Kind.PORT, "lo"] == ("Underlay", "underlay")


@rule("Layout.leg.bridged")
def test_l2vni_leg_is_bridged_without_addresses_and_twin() -> None:
    leg = port(intent(underlay(), RED, SEGMENT), "pe-e-110")
    assert (leg.vni, leg.vrf, leg.twin, leg.addresses) == (110, "", False, ())


@rule("Layout.bridge")
def test_l2vni_without_a_routing_domain_has_no_vrf() -> None:
    alone = manifest("L2VNI", "alone", routingDomain=None, gatewayIPs=None)
    assert vni(intent(underlay(), alone), 110).vrf == ""


def test_host_end_may_be_in_a_namespace_of_its_own() -> None:
    assert end(intent(underlay(), manifest("L3VNI", "red", hostNetns="h1")), "pe-e-100") == HostEnd(
        "h1", "host-e-100", addresses=addresses("10.100.0.3/24", "fd00:100::3/64")
    )


@rule("Layout.passthrough", "Layout.mtu")
def test_passthrough_leg_is_in_the_default_vrf_with_the_default_mtu() -> None:
    leg = port(intent(underlay(), manifest("L3Passthrough", "p")), "pt-ns")
    assert (leg.vrf, leg.vni, leg.mtu, leg.twin) == ("", 0, 0, True)
    assert leg.addresses == addresses("10.200.0.1/24")
    assert leg.host == HostEnd(name="pt-host", addresses=addresses("10.200.0.3/24"))


def test_namespaces_of_the_node_apply_to_nics_and_legs() -> None:
    node: Yaml = {
        "apiVersion": "dualpath.io/v1alpha1",
        "kind": "Node",
        "metadata": {"name": "pe1"},
        "spec": {"namespaces": {"forwarding": "fwd", "control": "frr", "host": "root"}},
    }
    result = intent(node, underlay(), RED)
    assert result.namespaces.control == "frr"
    assert port(result, "eth1").source_netns == "root"
    assert end(result, "pe-e-100").netns == "root"
    node["spec"]["namespaces"]["host"] = "fwd"
    assert port(intent(node, underlay()), "eth1").source_netns is None


def test_every_device_name_fits_ifnamsiz() -> None:
    red = manifest("L3VNI", "red", vni=2**24 - 1)
    segment = manifest("L2VNI", "segment", vni=2**24 - 2)
    for p in intent(underlay(), red, segment).ports:
        assert len(p.name) <= 15
        assert p.host is None or len(p.host.name) <= 15


def test_equal_resources_compile_to_equal_intents() -> None:
    manifests = (neighbor(password="x"), RED, BLUE, SEGMENT)
    assert intent(*manifests) == intent(*manifests)
