"""What frr.conf is told about sessions: the defaults, and when they differ."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent.layout import Intent
from dualpath.model.frr import (
    BgpInstance,
    BgpNeighbor,
    FrrSettings,
    PrefixRule,
    from_json,
    masked,
    tcp_ports,
    to_json,
)
from frr_bridge.frr_config import render
from tests.unit.controller.intent.build import (
    Yaml,
    intent,
    manifest,
    neighbor,
    session,
    underlay,
)
from tests.unit.controller.intent.rulebook import rule

RED = manifest("L3VNI", "red")
SEGMENT = manifest("L2VNI", "segment")
V4, V6, EVPN = "ipv4 unicast", "ipv6 unicast", "l2vpn evpn"


def instance(result: Intent, vrf: str = "") -> BgpInstance:
    return next(i for i in result.frr.instances if i.vrf == vrf)


def fabric(given: Yaml, *others: Yaml) -> BgpNeighbor:
    return instance(intent(given, *others)).neighbors[0]


def carried(peer: BgpNeighbor) -> list[str]:
    return [family.name for family in peer.families]


def hosts(**changes: Any) -> tuple[BgpNeighbor, ...]:  # noqa: ANN401
    red = manifest("L3VNI", "red", hostSession=session(**changes))
    return instance(intent(underlay(), red), "red").neighbors


@rule("Underlay.routerID")
def test_the_router_id_is_the_one_after_the_nodes_number() -> None:
    ids = {
        i.router_id
        for i in intent(underlay(routerIDCIDR="10.9.0.0/24"), RED, index=44).frr.instances
    }
    assert ids == {"10.9.0.45"}


@pytest.mark.parametrize(
    ("changes", "tunnel", "families"),
    [
        ({}, None, [V4]),
        ({}, ["100.64.0.0/24"], [V4, EVPN]),
        ({"address": "2001:db8::1"}, None, [V6]),
        ({"address": "2001:db8::1"}, ["100.64.0.0/24"], [V4, V6, EVPN]),
        ({}, ["2001:db8:64::/64"], [V4, V6, EVPN]),
        ({"address": None, "interface": "eth1"}, ["100.64.0.0/24"], [V4, V6, EVPN]),
        ({"address": None, "listenRange": "10.0.0.0/8"}, None, [V4]),
        ({"addressFamilies": [{"type": "evpn"}]}, ["100.64.0.0/24"], [EVPN]),
    ],
)
@rule("Neighbor.addressFamilies.default")
def test_a_session_carries_what_it_runs_over_and_what_the_tunnels_need(
    changes: Yaml, tunnel: list[str] | None, families: list[str]
) -> None:
    given = neighbor(**changes)
    given["spec"]["tunnelEndpoint"] = {"cidrs": tunnel} if tunnel else None
    if not tunnel:
        del given["spec"]["tunnelEndpoint"]
    assert carried(fabric(given)) == families


@rule("Neighbor.addressFamilies.default")
def test_the_first_vni_changes_no_session_of_the_fabric() -> None:
    before, after = intent(underlay()), intent(underlay(), RED, SEGMENT)
    assert instance(before) == instance(after)


def test_a_passthrough_adds_its_family_to_the_fabric_and_its_host_to_the_main_instance() -> None:
    pool = {"ipv6": "fd00:200::/64"}
    given = manifest("L3Passthrough", "p", hostSession=session(localCIDR=pool))
    main = instance(intent(underlay(tunnelEndpoint=None), given))
    assert carried(main.neighbors[0]) == [V4, V6]
    assert main.neighbors[1].peer == "fd00:200::3"
    assert main.networks == ("fd00:200::3/128",)


def test_an_external_session_may_meet_our_own_number_again_and_an_internal_one_hides_nexthops() -> (
    None
):
    outside = fabric(underlay())
    assert all(f.allowas_in and not f.next_hop_self for f in outside.families)
    for internal in (neighbor(asn=65001), neighbor(asn=None, type="Internal")):
        inside = fabric(internal)
        assert [f.next_hop_self for f in inside.families] == [True, False]
        assert not any(f.allowas_in for f in inside.families)


def test_session_type_is_written_instead_of_an_asn() -> None:
    assert fabric(neighbor(asn=None, type="External")).remote_as == "external"
    assert hosts(hostASN=None, hostType="Internal")[0].remote_as == "internal"


@pytest.mark.parametrize(
    ("changes", "disabled"),
    [
        ({"address": "2001:db8::1"}, True),
        ({}, False),
        ({"address": "2001:db8::1", "asn": 65001}, False),
        ({"address": None, "interface": "eth1"}, False),
        (
            {
                "address": "2001:db8::1",
                "properties": [{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 3}}],
            },
            False,
        ),
    ],
)
@rule("Conf.neighbor.connectedCheck")
def test_the_connected_check_is_off_for_external_ipv6_next_door(
    changes: Yaml, disabled: bool
) -> None:
    assert fabric(neighbor(**changes)).disable_connected_check is disabled


@rule("Conf.neighbor.extendedNexthop")
def test_ipv4_over_an_ipv6_session_needs_the_extended_nexthop() -> None:
    assert fabric(neighbor(address="2001:db8::1")).extended_nexthop
    assert not fabric(neighbor()).extended_nexthop


@rule("Neighbor.listenRange")
def test_a_range_is_a_peer_group_and_lifts_the_limit() -> None:
    main = instance(intent(neighbor(address=None, listenRange="2001:db8::/64")))
    assert main.neighbors[0].peer == "range-2001:db8::-64"
    assert main.neighbors[0].listen_range == "2001:db8::/64"
    assert main.listen_limit == 65535
    assert instance(intent(underlay())).listen_limit == 0


@rule("Conf.neighbor.connect")
def test_lost_session_is_retried_soon_by_default() -> None:
    assert fabric(neighbor()).connect_s == 5
    assert fabric(neighbor(connectTimeSeconds=30)).connect_s == 30


@rule("Underlay.gracefulRestart")
def test_graceful_restart_covers_tenants_too() -> None:
    result = intent(underlay(gracefulRestart={"restartTimeSeconds": 60}), RED)
    for vrf in ("", "red"):
        restart = instance(result, vrf).graceful_restart
        assert restart is not None
        assert (restart.restart_s, restart.stale_s) == (60, 360)
    assert instance(intent(underlay())).graceful_restart is None


@rule("Underlay.suppressFIBPending")
def test_advertisement_may_wait_for_the_datapath() -> None:
    assert not intent(underlay()).frr.suppress_fib_pending
    text = render(intent(underlay(suppressFIBPending=True), RED).frr)
    assert text.count(" bgp suppress-fib-pending\n") == 2


@rule("Underlay.clusterID", "Neighbor.routeReflectorClient")
def test_a_route_reflector_names_its_cluster_and_its_clients() -> None:
    reflected = [{"type": "evpn", "properties": [{"type": "routeReflectorClient"}]}]
    given = neighbor(asn=None, type="Internal", addressFamilies=reflected)
    given["spec"]["routeReflector"] = {}
    main = instance(intent(given))
    assert main.cluster_id == "192.0.2.1"
    assert main.neighbors[0].families[0].route_reflector_client


@rule("Session.bfd")
def test_bfd_without_own_timers_has_no_profile() -> None:
    assert fabric(neighbor()).bfd is None
    assert fabric(neighbor(bfd={})).bfd == ""
    result = intent(neighbor(bfd={"receiveInterval": 100, "sessionMode": "Passive"}))
    (profile,) = result.frr.bfd_profiles
    assert instance(result).neighbors[0].bfd == profile.name == "neighbor-192.168.1.0"
    assert (profile.receive_ms, profile.transmit_ms, profile.passive) == (100, 0, True)


def test_a_host_session_has_one_neighbor_per_family_and_each_carries_both() -> None:
    four, six = hosts()
    assert (four.peer, six.peer) == ("10.100.0.3", "fd00:100::3")
    assert carried(four) == carried(six) == [V4, V6]
    assert all(f.route_map == "permissive" for f in four.families)


@rule("HostSession.options")
def test_a_host_session_takes_the_options_of_any_session() -> None:
    four, _ = hosts(
        password="x", holdTimeSeconds=9, keepaliveTimeSeconds=3, connectTimeSeconds=7, bfd={}
    )
    assert (four.password, four.hold_s, four.keepalive_s, four.connect_s) == ("x", 9, 3, 7)
    assert four.bfd == ""


@rule("HostSession.options")
def test_a_tenant_may_restart_gracefully_on_its_own_terms() -> None:
    red = manifest("L3VNI", "red", hostSession=session(gracefulRestart={"restartTimeSeconds": 7}))
    result = intent(underlay(), red)
    restart = instance(result, "red").graceful_restart
    assert restart is not None
    assert (restart.restart_s, restart.stale_s) == (7, 360)
    assert instance(result).graceful_restart is None


@rule("Session.filter")
def test_a_filter_is_a_list_for_each_family_of_unicast_routes() -> None:
    rules = [
        {"action": "Deny", "prefix": "10.1.0.0/16", "ge": 16, "le": 24},
        {"prefix": "10.0.0.0/8", "ge": 9, "le": 32},
        {"prefix": "fd00::/16", "ge": 16},
    ]
    red = manifest("L3VNI", "red", hostSession=session(importFilter=rules))
    result = intent(neighbor(exportFilter=[]), red)
    assert [(f.name, f.version) for f in result.frr.prefix_lists] == [
        ("neighbor-192.168.1.0-out", 4),
        ("neighbor-192.168.1.0-out", 6),
        ("host-vni-100-in", 4),
        ("host-vni-100-in", 6),
    ]
    nothing, _, four, six = result.frr.prefix_lists
    assert nothing.rules == ()
    assert four.rules == (
        PrefixRule(False, "10.1.0.0/16", le=24),
        PrefixRule(True, "10.0.0.0/8", ge=9),
    )
    assert six.rules == (PrefixRule(True, "fd00::/16", le=128),)
    v4, evpn = instance(result).neighbors[0].families
    assert (v4.prefixes_in, v4.prefixes_out) == ("", "neighbor-192.168.1.0-out")
    assert (evpn.prefixes_in, evpn.prefixes_out) == ("", "")
    assert instance(result, "red").neighbors[0].families[1].prefixes_in == "host-vni-100-in"


def test_the_ports_of_sessions_are_known_for_the_twins() -> None:
    assert tcp_ports(intent(neighbor(port=1790)).frr) == (179, 1790)


@rule("HostSession.announced")
def test_a_tenant_advertises_its_hosts_addresses_and_its_gateways_subnets() -> None:
    tenant = instance(intent(underlay(), RED, SEGMENT), "red")
    assert tenant.networks == (
        "10.100.0.3/32",
        "fd00:100::3/128",
        "10.110.0.0/24",
        "fd00:110::/64",
    )
    assert tenant.advertise_unicast
    assert not tenant.advertise_all_vni


def test_a_tenant_without_a_session_has_the_fabrics_number() -> None:
    result = intent(underlay(), manifest("L3VNI", "red", hostSession=None))
    assert (instance(result, "red").asn, instance(result, "red").neighbors) == (65001, ())


@rule("VNI.routeTargets")
def test_route_targets_go_to_the_tenant_or_to_the_vni() -> None:
    red = manifest("L3VNI", "red", importRTs=["1:1"], exportRTs=["1:2"])
    segment = manifest("L2VNI", "segment", importRTs=["1:3"])
    result = intent(underlay(), red, segment)
    assert instance(result, "red").imports == ("1:1",)
    assert instance(result, "red").exports == ("1:2",)
    (targets,) = instance(result).vnis
    assert (targets.vni, targets.imports, targets.exports) == (110, ("1:3",), ())


@rule("VNI.routeTargets")
def test_route_target_is_written_once_and_as_frr_does() -> None:
    red = manifest("L3VNI", "red", importRTs=["065000:010", "65000:10", "10.0.0.1:01"])
    assert instance(intent(underlay(), red), "red").imports == ("65000:10", "10.0.0.1:1")


@pytest.mark.parametrize(
    ("given", "frrs"),
    [
        ("::ffff:0:0/96", "::ffff:0.0.0.0/96"),
        ("::1:2/128", "::0.1.0.2/128"),
        ("::/8", "::/8"),
        ("::1/128", "::1/128"),
        ("::ffff/128", "::ffff/128"),
        ("1::ffff:102:304/128", "1::ffff:102:304/128"),
        ("2001:0:0:1::/64", "2001:0:0:1::/64"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_a_prefix_is_spelt_as_frr_spells_it(given: str, frrs: str) -> None:
    result = intent(neighbor(importFilter=[{"prefix": given}]))
    assert f" permit {frrs}\n" in render(result.frr)


def test_an_address_is_spelt_as_frr_spells_it() -> None:
    result = intent(neighbor(address="::1:2"))
    assert [n.peer for n in instance(result).neighbors] == ["::0.1.0.2"]


@pytest.mark.parametrize(
    ("given", "hold", "keepalive"),
    [(3, 9, 3), (5, 9, 3), (3, 3, 1), (0, 3, 0), (31, 90, 30), (0, 0, 0)],
)
@rule("Session.timers")
def test_a_keepalive_time_is_a_third_of_the_hold_time_at_most(
    given: int, hold: int, keepalive: int
) -> None:
    result = intent(neighbor(keepaliveTimeSeconds=given, holdTimeSeconds=hold))
    (session,) = instance(result).neighbors
    assert (session.keepalive_s, session.hold_s) == (keepalive, hold)


@rule("RawFRRConfig.priority")
def test_raw_snippets_come_by_priority_and_then_in_the_order_of_the_files() -> None:
    given = [("b", 5), ("a", 0), ("c", 5)]
    result = intent(*(manifest("RawFRRConfig", n, priority=p) for n, p in given))
    assert [snippet.name for snippet in result.frr.raw] == ["a", "b", "c"]


# -- the settings on the bus ------------------------------------------------------------------


def test_settings_survive_the_bus() -> None:
    settings = intent(neighbor(password="x", bfd={}), RED, SEGMENT).frr
    assert from_json(to_json(settings)) == settings
    assert from_json(to_json(FrrSettings())) == FrrSettings()


@rule("Session.password.secrecy")
def test_a_password_is_in_the_json_and_in_no_repr() -> None:
    settings = intent(neighbor(password="hunter2"), manifest("RawFRRConfig", "mine")).frr
    assert b"hunter2" in to_json(settings)
    assert "hunter2" not in repr(settings)
    assert "prefix-list" not in repr(settings)


@rule("Session.password.secrecy")
def test_shown_settings_have_their_passwords_masked() -> None:
    raw = manifest("RawFRRConfig", "mine", rawConfig="router bgp 1\n neighbor a password hunter2\n")
    settings = intent(neighbor(password="hunter2"), raw).frr
    assert b"hunter2" not in to_json(masked(settings))
    assert "password ***" in masked(settings).raw[0].text


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"[]", "settings: not the fields of FrrSettings"),
        (b'{"colour": 1}', "settings: not the fields of FrrSettings"),
        (b'{"fpm_port": "2620"}', "settings.fpm_port: expected int, not str"),
        (b'{"suppress_fib_pending": 1}', "settings.suppress_fib_pending: expected bool, not int"),
        (b'{"vrfs": 1}', "settings.vrfs: expected a list"),
        (b'{"vrfs": [{"vrf": "red"}]}', r"settings.vrfs\[0\]: .*vni"),
        (b"{", "Expecting"),
    ],
)
def test_malformed_settings_are_refused_with_their_place(data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_json(data)
