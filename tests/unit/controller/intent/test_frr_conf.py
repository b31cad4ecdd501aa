"""Which resources produce which lines of frr.conf. The golden files show whole configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frr_bridge.frr_config import render
from tests.unit.controller.intent.build import Yaml, intent, manifest, neighbor, session, underlay
from tests.unit.controller.intent.rulebook import rule

RED = manifest("L3VNI", "red")
SEGMENT = manifest("L2VNI", "segment")
MAIN, TENANT = "router bgp 65001", "router bgp 65001 vrf red"
V4, V6, EVPN = (f"address-family {name}" for name in ("ipv4 unicast", "ipv6 unicast", "l2vpn evpn"))
REFLECTED = [{"type": "routeReflectorClient"}]


def conf(*manifests: Yaml) -> list[str]:
    result = intent(*manifests)
    assert all(status.ready for status in result.statuses)
    return render(replace(result.frr, hostname="pe1")).splitlines()


def within(lines: list[str], *headings: str) -> list[str]:
    """Return the lines directly below nested headings, without indentation."""
    for depth, heading in enumerate(headings):
        margin = " " * depth
        lines = lines[lines.index(margin + heading) + 1 :]
        lines = lines[: next(i for i, line in enumerate(lines) if line.startswith(f"{margin}exit"))]
    depth = len(headings)
    deeper = " " * (depth + 1)
    return [line[depth:] for line in lines if line.strip() != "!" and not line.startswith(deeper)]


def of(lines: list[str], peer: str) -> list[str]:
    start = f"neighbor {peer} "
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def fabric(given: Yaml, peer: str = "192.168.1.0") -> list[str]:
    return of(within(conf(given), MAIN), peer)


def hosted(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", "red", hostSession=session(**changes))


def families(*types: str, properties: list[Yaml] | None = None) -> list[Yaml]:
    return [{"type": t, **({"properties": properties} if properties else {})} for t in types]


@rule("Conf.order")
def test_sections_are_in_the_order_of_show_running_config() -> None:
    given = neighbor(bfd={"receiveInterval": 100}, importFilter=[])
    lines = conf(given, RED, SEGMENT, manifest("RawFRRConfig", "mine"))
    heads = (
        *("hostname pe1", "log stdout informational", "route-map permissive permit 10"),
        *("ip prefix-list neighbor-192.168.1.0-in seq 5 deny any", "vrf red", MAIN, TENANT),
        *("bfd", "! RawFRRConfig mine", "end"),
    )
    found = [lines.index(head) for head in heads]
    assert found == sorted(found)


@rule("Conf.log", "Conf.hostname")
def test_frr_conf_sets_hostname_and_logging_to_stdout_with_milliseconds() -> None:
    lines = conf(underlay())
    assert "log stdout informational" in lines
    assert "log timestamp precision 3" in lines
    assert "hostname pe1" in lines


@rule("Conf.log", "Node.settings")
@pytest.mark.parametrize(
    ("level", "line"),
    [
        ("info", "log stdout informational"),
        ("warn", "log stdout warnings"),
        ("error", "log stdout errors"),
    ],
)
def test_frr_log_level_is_that_of_the_node(level: str, line: str) -> None:
    node: Yaml = {
        "apiVersion": "dualpath.io/v1alpha1",
        "kind": "Node",
        "metadata": {"name": "pe1"},
        "spec": {"logLevel": level},
    }
    assert line in conf(node, underlay())


@rule("Conf.nht", "Differs.canonical")
def test_nexthop_resolution_through_a_default_route_is_left_at_frrs_default() -> None:
    """ZEBRA_IP_NHT_RESOLVE_VIA_DEFAULT in zebra/zebra_vrf.h: true in the profile `traditional`."""
    lines = conf(underlay())
    assert lines[0] == "frr defaults traditional"
    assert not [line for line in lines if "nht" in line]


@rule("Conf.vrf", "Conf.l2vni")
def test_l3vni_has_a_vrf_stanza_and_l2vni_has_none() -> None:
    lines = conf(underlay(), RED, SEGMENT)
    assert within(lines, "vrf red") == ["vni 100"]
    assert [line for line in lines if line.startswith("vrf ")] == ["vrf red"]
    assert [line for line in lines if line.startswith("router ")] == [MAIN, TENANT]


@rule("Conf.routeMap")
def test_only_route_map_is_the_permissive_one() -> None:
    lines = conf(underlay(), RED, manifest("L3Passthrough", "p"))
    assert [line for line in lines if line.startswith("route-map")] == [
        "route-map permissive permit 10"
    ]
    assert within(lines, "route-map permissive permit 10") == []


ALWAYS = [
    "no bgp ebgp-requires-policy",
    "no bgp default ipv4-unicast",
    "no bgp network import-check",
]


@rule("Conf.main", "Conf.tenant")
@pytest.mark.parametrize("router", [MAIN, "router bgp 65002 vrf red"])
def test_instance_sets_its_router_id_and_disables_three_defaults(router: str) -> None:
    lines = within(conf(underlay(), hosted(asn=65002)), router)
    assert [line for line in lines if not line.startswith(("neighbor", "address-", "exit-"))] == [
        "bgp router-id 10.0.0.2",
        *ALWAYS,
    ]


@rule("Conf.tenant")
def test_tenant_without_a_host_session_has_the_underlays_asn() -> None:
    assert TENANT in conf(underlay(), manifest("L3VNI", "red", hostSession=None))


@rule("Conf.gracefulRestart", "Differs.restart")
@pytest.mark.parametrize("router", [MAIN, TENANT])
def test_graceful_restart_lines_appear_only_when_configured(router: str) -> None:
    def restart_lines(**changes: Any) -> list[str]:  # noqa: ANN401
        lines = within(conf(underlay(**changes), RED), router)
        return [line for line in lines if "restart" in line or "coalesce" in line]

    assert restart_lines() == []
    always = [
        "bgp graceful-restart select-defer-time 0",
        "coalesce-time 6000",
        "bgp graceful-restart",
        "bgp graceful-restart preserve-fw-state",
    ]
    assert restart_lines(gracefulRestart={}) == always
    assert restart_lines(
        gracefulRestart={"restartTimeSeconds": 60, "stalePathTimeSeconds": 90}
    ) == [
        "bgp graceful-restart stalepath-time 90",
        "bgp graceful-restart restart-time 60",
        *always,
    ]


@rule("Conf.clusterID")
def test_cluster_id_appears_on_a_route_reflector_only() -> None:
    assert "bgp cluster-id 192.0.2.1" in within(conf(underlay(routeReflector={})), MAIN)
    assert not [line for line in conf(underlay()) if "cluster-id" in line]


@rule("Conf.listenLimit", "Conf.neighbor.peer")
def test_listen_range_becomes_a_peer_group_named_after_it() -> None:
    lines = within(conf(neighbor(address=None, listenRange="10.9.0.0/24")), MAIN)
    assert of(lines, "range-10.9.0.0-24")[:2] == ["peer-group", "remote-as 65000"]
    assert [line for line in lines if line.startswith("bgp listen")] == [
        "bgp listen limit 65535",
        "bgp listen range 10.9.0.0/24 peer-group range-10.9.0.0-24",
    ]
    assert not [line for line in conf(underlay()) if "listen" in line]


@rule("Conf.neighbor.peer", "Conf.neighbor.remoteAS", "Conf.neighbor.connect")
@pytest.mark.parametrize(
    ("changes", "peer", "line"),
    [
        ({}, "192.168.1.0", "remote-as 65000"),
        ({"address": "2001:db8::1"}, "2001:db8::1", "remote-as 65000"),
        ({"asn": None, "type": "Internal"}, "192.168.1.0", "remote-as internal"),
        ({"asn": None, "type": "External"}, "192.168.1.0", "remote-as external"),
        ({"address": None, "interface": "eth1"}, "eth1", "interface remote-as 65000"),
    ],
)
def test_peer_is_an_address_or_interface_with_a_5_second_connect_timer(
    changes: Yaml, peer: str, line: str
) -> None:
    lines = fabric(neighbor(**changes), peer)
    assert lines[0] == line
    assert "timers connect 5" in lines


@rule("Conf.neighbor.options", "Conf.bfd")
def test_each_neighbor_option_becomes_a_line() -> None:
    given = neighbor(
        password="x",
        port=1790,
        holdTimeSeconds=9,
        keepaliveTimeSeconds=3,
        connectTimeSeconds=7,
        properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 3}}],
        bfd={"receiveInterval": 100, "detectMultiplier": 3, "sessionMode": "Passive"},
    )
    assert set(fabric(given)) == {
        "remote-as 65000",
        "password x",
        "port 1790",
        "timers 3 9",
        "timers connect 7",
        "ebgp-multihop 3",
        "bfd",
        "bfd profile neighbor-192.168.1.0",
    }
    profile = within(conf(given), "bfd", "profile neighbor-192.168.1.0")
    assert profile == ["receive-interval 100", "passive-mode"]


@rule("Conf.neighbor.options")
def test_bfd_with_default_timers_has_no_profile() -> None:
    assert [line for line in fabric(neighbor(bfd={})) if "bfd" in line] == ["bfd"]
    assert "bfd" not in conf(neighbor(bfd={}))


@rule("Conf.bfd")
def test_bfd_profile_of_a_host_is_named_after_its_vni_or_the_passthrough() -> None:
    bfd = {"transmitInterval": 100}
    through = session(localCIDR={"ipv4": "10.200.0.0/24"}, bfd=bfd)
    lines = conf(underlay(), hosted(bfd=bfd), manifest("L3Passthrough", "p", hostSession=through))
    names = [line.strip() for line in lines if line.startswith(" profile")]
    assert names == ["profile host-passthrough", "profile host-vni-100"]


@rule("Conf.neighbor.connectedCheck", "Conf.neighbor.extendedNexthop")
def test_adjacent_ipv6_peer_skips_the_connected_check_and_may_carry_ipv4() -> None:
    lines = fabric(neighbor(address="2001:db8::1"), "2001:db8::1")
    assert "disable-connected-check" in lines
    assert "capability extended-nexthop" in lines
    assert fabric(underlay()) == ["remote-as 65000", "timers connect 5"]
    unnumbered = fabric(neighbor(address=None, interface="eth1"), "eth1")
    assert unnumbered == ["interface remote-as 65000", "timers connect 5"]


@rule("Conf.unicast", "Conf.evpn")
def test_external_session_accepts_routes_with_our_own_asn() -> None:
    for family in (V4, EVPN):
        lines = within(conf(underlay()), MAIN, family)
        assert of(lines, "192.168.1.0") == ["activate", "allowas-in"]


@rule("Conf.unicast", "Conf.evpn")
def test_internal_session_has_next_hop_self_except_for_evpn() -> None:
    lines = conf(neighbor(asn=None, type="Internal"))
    lines_of_peer = of(within(lines, MAIN, V4), "192.168.1.0")
    assert lines_of_peer == ["activate", "next-hop-self force"]
    assert of(within(lines, MAIN, EVPN), "192.168.1.0") == ["activate"]


@rule("Conf.unicast", "Conf.evpn")
def test_route_reflector_client_is_marked_in_each_family() -> None:
    given = families("ipv4unicast", "evpn", properties=REFLECTED)
    lines = conf(neighbor(asn=None, type="Internal", addressFamilies=given))
    assert of(within(lines, MAIN, V4), "192.168.1.0") == [
        *("activate", "route-reflector-client", "next-hop-self force"),
    ]
    assert of(within(lines, MAIN, EVPN), "192.168.1.0") == ["activate", "route-reflector-client"]


@rule("Conf.vtep")
def test_vtep_address_is_advertised_in_its_own_family() -> None:
    lines = conf(underlay(tunnelEndpoint={"cidrs": ["100.64.0.0/24", "2001:db8:64::/64"]}))
    assert "network 100.64.0.1/32" in within(lines, MAIN, V4)
    assert "network 2001:db8:64::1/128" in within(lines, MAIN, V6)


@rule("Conf.evpn.advertiseAllVNI")
def test_reflector_without_a_tunnel_endpoint_carries_evpn_and_advertises_no_vni() -> None:
    given = neighbor(addressFamilies=families("evpn"))
    assert "advertise-all-vni" in within(conf(given), MAIN, EVPN)
    del given["spec"]["tunnelEndpoint"]
    assert within(conf(given), MAIN, EVPN) == [
        *("neighbor 192.168.1.0 activate", "neighbor 192.168.1.0 allowas-in"),
    ]


PERMISSIVE = ["route-map permissive in", "route-map permissive out"]


@rule("Conf.tenant.neighbors", "Differs.dualStack")
def test_each_host_address_is_a_neighbor_that_carries_both_families() -> None:
    lines = conf(underlay(), RED)
    assert [line for line in lines if line.startswith("router ")] == [MAIN, TENANT]
    for peer in ("10.100.0.3", "fd00:100::3"):
        lines_of_peer = of(within(lines, TENANT), peer)
        assert lines_of_peer == ["remote-as 65100", "timers connect 5"]
        for family in (V4, V6):
            assert of(within(lines, TENANT, family), peer) == ["activate", *PERMISSIVE]


@rule("Conf.tenant.neighbors")
def test_internal_host_session_has_next_hop_self() -> None:
    lines = conf(underlay(), hosted(hostASN=None, hostType="Internal"))
    lines_of_peer = of(within(lines, TENANT, V4), "10.100.0.3")
    assert lines_of_peer == ["activate", "next-hop-self force", *PERMISSIVE]


@rule("Conf.tenant.networks", "Conf.l2vni")
def test_tenant_advertises_its_host_and_gateways() -> None:
    def networks(family: str, *manifests: Yaml) -> list[str]:
        lines = within(conf(underlay(), *manifests), TENANT, family)
        return [line for line in lines if line.startswith("network")]

    assert networks(V4, RED, SEGMENT) == ["network 10.100.0.3/32", "network 10.110.0.0/24"]
    assert networks(V6, RED, SEGMENT) == ["network fd00:100::3/128", "network fd00:110::/64"]
    alone = manifest("L2VNI", "segment", routingDomain=None, gatewayIPs=None)
    assert networks(V4, RED, alone) == ["network 10.100.0.3/32"]


@rule("Conf.tenant.evpn")
def test_tenant_advertises_both_families_with_its_route_targets() -> None:
    both = ["advertise ipv4 unicast", "advertise ipv6 unicast"]
    assert within(conf(underlay(), RED), TENANT, EVPN) == both
    red = manifest("L3VNI", "red", importRTs=["1:1"], exportRTs=["1:2"])
    assert within(conf(underlay(), red), TENANT, EVPN) == [
        *both,
        "route-target import 1:1",
        "route-target export 1:2",
    ]


@rule("Conf.l2vni.routeTargets")
def test_l2vni_route_targets_are_under_its_vni() -> None:
    segment = manifest("L2VNI", "segment", importRTs=["1:3"], exportRTs=["1:4"])
    lines = within(conf(underlay(), RED, segment), MAIN, EVPN)
    start = lines.index("vni 110")
    assert lines[start:] == ["vni 110", "exit-vni"]
    text = "\n".join(conf(underlay(), RED, segment))
    assert "  vni 110\n   route-target import 1:3\n   route-target export 1:4\n  exit-vni" in text


@rule("Conf.filter")
def test_filter_applies_to_unicast_and_not_to_evpn() -> None:
    lines = conf(neighbor(importFilter=[{"prefix": "10.0.0.0/8"}]))
    name = "neighbor-192.168.1.0-in"
    assert f"ip prefix-list {name} seq 5 permit 10.0.0.0/8" in lines
    assert f"ipv6 prefix-list {name} seq 5 deny any" in lines
    lines_of_peer = of(within(lines, MAIN, V4), "192.168.1.0")
    assert lines_of_peer == ["activate", "allowas-in", f"prefix-list {name} in"]
    assert of(within(lines, MAIN, EVPN), "192.168.1.0") == ["activate", "allowas-in"]


@rule("Conf.passthrough")
def test_passthrough_host_is_a_neighbor_of_the_main_instance() -> None:
    pools = {"ipv4": "10.200.0.0/24", "ipv6": "fd00:200::/64"}
    given = manifest("L3Passthrough", "p", hostSession=session(localCIDR=pools))
    lines = conf(underlay(), given)
    assert [line for line in lines if line.startswith("router ")] == [MAIN]
    for peer, family, network in (
        ("10.200.0.3", V4, "network 10.200.0.3/32"),
        ("fd00:200::3", V6, "network fd00:200::3/128"),
    ):
        assert of(within(lines, MAIN), peer) == ["remote-as 65100", "timers connect 5"]
        assert of(within(lines, MAIN, family), peer) == ["activate", *PERMISSIVE]
        assert network in within(lines, MAIN, family)


@rule("Conf.raw")
def test_raw_snippets_are_appended_unchanged() -> None:
    text = "ip prefix-list a seq 5 permit any\n!\nip prefix-list b seq 5 deny any"
    first = manifest("RawFRRConfig", "first", rawConfig=text)
    last = manifest("RawFRRConfig", "last", priority=1)
    lines = conf(last, first, underlay())
    start = lines.index("! RawFRRConfig first")
    assert start > lines.index(MAIN)
    assert lines[start + 1 : start + 4] == text.splitlines()
    assert lines[start + 5] == "! RawFRRConfig last"


@rule("Differs.evpnDefault")
def test_evpn_is_configured_by_the_tunnel_endpoint_and_not_by_a_vni() -> None:
    assert within(conf(underlay()), MAIN) == within(conf(underlay(), RED), MAIN)
    assert f" {EVPN}" in conf(underlay())
