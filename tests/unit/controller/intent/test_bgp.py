"""BGP settings derived from resources: the defaults, and when they differ."""

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
def test_router_id_is_the_cidrs_address_at_node_index_plus_one() -> None:
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
def test_session_defaults_to_the_families_of_its_transport_and_of_the_tunnels(
    changes: Yaml, tunnel: list[str] | None, families: list[str]
) -> None:
    given = neighbor(**changes)
    given["spec"]["tunnelEndpoint"] = {"cidrs": tunnel} if tunnel else None
    if not tunnel:
        del given["spec"]["tunnelEndpoint"]
    assert carried(fabric(given)) == families


@rule("Neighbor.addressFamilies.default")
def test_first_vni_changes_no_fabric_session() -> None:
    before, after = intent(underlay()), intent(underlay(), RED, SEGMENT)
    assert instance(before) == instance(after)


def test_passthrough_adds_its_family_to_fabric_sessions_and_its_host_as_a_neighbor() -> None:
    pool = {"ipv6": "fd00:200::/64"}
    given = manifest("L3Passthrough", "p", hostSession=session(localCIDR=pool))
    main = instance(intent(underlay(tunnelEndpoint=None), given))
    assert carried(main.neighbors[0]) == [V4, V6]
    assert main.neighbors[1].peer == "fd00:200::3"
    assert main.networks == ("fd00:200::3/128",)


def test_external_session_allows_its_own_asn_and_internal_session_sets_next_hop_self() -> None:
    outside = fabric(underlay())
    assert all(f.allowas_in and not f.next_hop_self for f in outside.families)
    for internal in (neighbor(asn=65001), neighbor(asn=None, type="Internal")):
        inside = fabric(internal)
        assert [f.next_hop_self for f in inside.families] == [True, False]
        assert not any(f.allowas_in for f in inside.families)


def test_session_type_replaces_the_remote_asn() -> None:
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
def test_connected_check_is_disabled_for_single_hop_external_ipv6_only(
    changes: Yaml, disabled: bool
) -> None:
    assert fabric(neighbor(**changes)).disable_connected_check is disabled


@rule("Conf.neighbor.extendedNexthop")
def test_ipv6_session_has_extended_nexthop_capability() -> None:
    assert fabric(neighbor(address="2001:db8::1")).extended_nexthop
    assert not fabric(neighbor()).extended_nexthop


@rule("Neighbor.listenRange")
def test_listen_range_becomes_a_peer_group_and_raises_the_listen_limit() -> None:
    main = instance(intent(neighbor(address=None, listenRange="2001:db8::/64")))
    assert main.neighbors[0].peer == "range-2001:db8::-64"
    assert main.neighbors[0].listen_range == "2001:db8::/64"
    assert main.listen_limit == 65535
    assert instance(intent(underlay())).listen_limit == 0


@rule("Conf.neighbor.connect")
def test_connect_timer_defaults_to_5_seconds() -> None:
    assert fabric(neighbor()).connect_s == 5
    assert fabric(neighbor(connectTimeSeconds=30)).connect_s == 30


@rule("Underlay.gracefulRestart")
def test_graceful_restart_of_the_underlay_applies_to_tenant_instances() -> None:
    result = intent(underlay(gracefulRestart={"restartTimeSeconds": 60}), RED)
    for vrf in ("", "red"):
        restart = instance(result, vrf).graceful_restart
        assert restart is not None
        assert (restart.restart_s, restart.stale_s) == (60, 360)
    assert instance(intent(underlay())).graceful_restart is None


@rule("Underlay.suppressFIBPending")
def test_suppress_fib_pending_applies_to_every_instance() -> None:
    assert not intent(underlay()).frr.suppress_fib_pending
    text = render(intent(underlay(suppressFIBPending=True), RED).frr)
    assert text.count(" bgp suppress-fib-pending\n") == 2


@rule("Underlay.clusterID", "Neighbor.routeReflectorClient")
def test_route_reflector_has_a_cluster_id_and_marks_its_clients() -> None:
    reflected = [{"type": "evpn", "properties": [{"type": "routeReflectorClient"}]}]
    given = neighbor(asn=None, type="Internal", addressFamilies=reflected)
    given["spec"]["routeReflector"] = {}
    main = instance(intent(given))
    assert main.cluster_id == "192.0.2.1"
    assert main.neighbors[0].families[0].route_reflector_client


@rule("Session.bfd")
def test_bfd_profile_exists_only_for_explicit_timers() -> None:
    assert fabric(neighbor()).bfd is None
    assert fabric(neighbor(bfd={})).bfd == ""
    result = intent(neighbor(bfd={"receiveInterval": 100, "sessionMode": "Passive"}))
    (profile,) = result.frr.bfd_profiles
    assert instance(result).neighbors[0].bfd == profile.name == "neighbor-192.168.1.0"
    assert (profile.receive_ms, profile.transmit_ms, profile.passive) == (100, 0, True)


def test_host_session_has_a_neighbor_per_family_and_each_carries_both_families() -> None:
    four, six = hosts()
    assert (four.peer, six.peer) == ("10.100.0.3", "fd00:100::3")
    assert carried(four) == carried(six) == [V4, V6]
    assert all(f.route_map == "permissive" for f in four.families)


@rule("HostSession.options")
def test_host_session_accepts_password_timers_and_bfd() -> None:
    four, _ = hosts(
        password="x", holdTimeSeconds=9, keepaliveTimeSeconds=3, connectTimeSeconds=7, bfd={}
    )
    assert (four.password, four.hold_s, four.keepalive_s, four.connect_s) == ("x", 9, 3, 7)
    assert four.bfd == ""


@rule("HostSession.options")
def test_host_session_may_set_graceful_restart_for_its_tenant_only() -> None:
    red = manifest("L3VNI", "red", hostSession=session(gracefulRestart={"restartTimeSeconds": 7}))
    result = intent(underlay(), red)
    restart = instance(result, "red").graceful_restart
    assert restart is not None
    assert (restart.restart_s, restart.stale_s) == (7, 360)
    assert instance(result).graceful_restart is None


@rule("Session.filter")
def test_filter_becomes_a_prefix_list_per_unicast_family() -> None:
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


def test_twins_are_given_the_tcp_port_of_every_session() -> None:
    assert tcp_ports(intent(neighbor(port=1790)).frr) == (179, 1790)


@rule("HostSession.announced")
def test_tenant_advertises_host_addresses_and_gateway_subnets() -> None:
    tenant = instance(intent(underlay(), RED, SEGMENT), "red")
    assert tenant.networks == (
        "10.100.0.3/32",
        "fd00:100::3/128",
        "10.110.0.0/24",
        "fd00:110::/64",
    )
    assert tenant.advertise_unicast
    assert not tenant.advertise_all_vni


def test_tenant_without_a_host_session_uses_the_underlays_asn() -> None:
    result = intent(underlay(), manifest("L3VNI", "red", hostSession=None))
    assert (instance(result, "red").asn, instance(result, "red").neighbors) == (65001, ())


@rule("VNI.routeTargets")
def test_l3vni_route_targets_go_to_the_tenant_and_l2vni_ones_to_the_vni() -> None:
    red = manifest("L3VNI", "red", importRTs=["1:1"], exportRTs=["1:2"])
    segment = manifest("L2VNI", "segment", importRTs=["1:3"])
    result = intent(underlay(), red, segment)
    assert instance(result, "red").imports == ("1:1",)
    assert instance(result, "red").exports == ("1:2",)
    (targets,) = instance(result).vnis
    assert (targets.vni, targets.imports, targets.exports) == (110, ("1:3",), ())


@rule("VNI.routeTargets")
def test_equal_route_targets_are_written_once_in_frrs_form() -> None:
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
def test_prefix_is_written_in_frrs_form(given: str, frrs: str) -> None:
    result = intent(neighbor(importFilter=[{"prefix": given}]))
    assert f" permit {frrs}\n" in render(result.frr)


def test_address_is_written_in_frrs_form() -> None:
    result = intent(neighbor(address="::1:2"))
    assert [n.peer for n in instance(result).neighbors] == ["::0.1.0.2"]


@pytest.mark.parametrize(
    ("given", "hold", "keepalive"),
    [(3, 9, 3), (5, 9, 3), (3, 3, 1), (0, 3, 0), (31, 90, 30), (0, 0, 0)],
)
@rule("Session.timers")
def test_keepalive_time_is_capped_at_a_third_of_the_hold_time(
    given: int, hold: int, keepalive: int
) -> None:
    result = intent(neighbor(keepaliveTimeSeconds=given, holdTimeSeconds=hold))
    (session,) = instance(result).neighbors
    assert (session.keepalive_s, session.hold_s) == (keepalive, hold)


@rule("RawFRRConfig.priority")
def test_raw_snippets_are_ordered_by_priority_then_by_file() -> None:
    given = [("b", 5), ("a", 0), ("c", 5)]
    result = intent(*(manifest("RawFRRConfig", n, priority=p) for n, p in given))
    assert [snippet.name for snippet in result.frr.raw] == ["a", "b", "c"]


# -- the settings on the bus ------------------------------------------------------------------


def test_settings_round_trip_through_json() -> None:
    settings = intent(neighbor(password="x", bfd={}), RED, SEGMENT).frr
    assert from_json(to_json(settings)) == settings
    assert from_json(to_json(FrrSettings())) == FrrSettings()


@rule("Session.password.secrecy")
def test_password_is_in_the_json_and_never_in_a_repr() -> None:
    settings = intent(neighbor(password="hunter2"), manifest("RawFRRConfig", "mine")).frr
    assert b"hunter2" in to_json(settings)
    assert "hunter2" not in repr(settings)
    assert "prefix-list" not in repr(settings)


@rule("Session.password.secrecy")
def test_displayed_settings_mask_passwords() -> None:
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
def test_malformed_settings_are_rejected_with_the_path_of_the_error(
    data: bytes, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        from_json(data)
