"""frr.conf line by line where the golden files do not reach: defaults, order, secrets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model.frr import (
    BfdProfile,
    BgpInstance,
    BgpNeighbor,
    FrrSettings,
    GracefulRestart,
    Isis,
    IsisInterface,
    PrefixList,
    PrefixRule,
    RawSnippet,
    VrfVni,
)
from frr_bridge.frr_config import (
    forgotten_vrfs,
    render,
    secret_changes,
    section_of,
    section_of_line,
    vrf_restatement,
)
from tests.unit.controller.intent.rulebook import rule

BARE = FrrSettings(hostname="pe1")
PEER = BgpNeighbor("10.0.0.1", "65000")


def with_peer(peer: BgpNeighbor) -> list[str]:
    return lines(replace(BARE, instances=(BgpInstance(65001, "10.0.0.9", neighbors=(peer,)),)))


def lines(settings: FrrSettings) -> list[str]:
    return [line.strip() for line in render(settings).splitlines()]


@rule("Differs.canonical")
def test_a_default_is_left_out_as_frr_leaves_it_out() -> None:
    text = lines(BARE)
    assert "fpm address 127.0.0.1" in text
    assert not [line for line in text if "use-" in line]
    assert "bfd" not in text


def test_fpm_port_other_than_the_default_is_written() -> None:
    assert "fpm address 127.0.0.1 port 2621" in lines(replace(BARE, fpm_port=2621))


@pytest.mark.parametrize(
    ("level", "line"),
    [
        ("informational", "log stdout informational"),
        ("debugging", "log stdout"),
        ("errors", "log stdout errors"),
    ],
)
@rule("Conf.log")
def test_the_log_line_is_spelt_as_frr_spells_it(level: str, line: str) -> None:
    assert line in lines(replace(BARE, log_level=level))


def test_debug_level_makes_running_daemons_log_more() -> None:
    debugging = replace(BARE, log_level="debugging")
    with_bgp = replace(debugging, instances=(BgpInstance(65001, "10.0.0.9"),))
    assert written(BARE) == []
    assert written(debugging) == ["debug zebra events"]
    assert written(with_bgp) == ["debug zebra events", "debug bgp neighbor-events"]


def written(settings: FrrSettings) -> list[str]:
    return [line for line in lines(settings) if line.startswith("debug ")]


def test_a_neighbor_at_its_defaults_is_one_line() -> None:
    peer = replace(PEER, port=179, multihop=1)
    assert [line for line in with_peer(peer) if "10.0.0.1" in line] == [
        "neighbor 10.0.0.1 remote-as 65000"
    ]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (replace(PEER, port=1790), "port 1790"),
        (replace(PEER, multihop=5), "ebgp-multihop 5"),
        (replace(PEER, multihop=255), "ebgp-multihop"),
        (replace(PEER, hold_s=0, keepalive_s=0), "timers 0 0"),
        (replace(PEER, hold_s=180, keepalive_s=60), "timers 60 180"),
        (replace(PEER, connect_s=5), "timers connect 5"),
        (replace(PEER, password="x"), "password x"),
        (replace(PEER, bfd=""), "bfd"),
        (replace(PEER, bfd="p"), "bfd profile p"),
        (replace(PEER, disable_connected_check=True), "disable-connected-check"),
        (replace(PEER, extended_nexthop=True), "capability extended-nexthop"),
    ],
)
@rule("Conf.neighbor.options")
def test_each_option_of_a_neighbor_is_a_line(changed: BgpNeighbor, line: str) -> None:
    assert f"neighbor 10.0.0.1 {line}" in with_peer(changed)


@rule("Conf.neighbor.extendedNexthop")
def test_unnumbered_neighbor_has_extended_nexthop_without_a_line() -> None:
    peer = BgpNeighbor("eth1", "external", unnumbered=True, extended_nexthop=True)
    assert [line for line in with_peer(peer) if "eth1" in line] == [
        "neighbor eth1 interface remote-as external"
    ]


def test_a_range_comes_after_the_group_that_it_fills() -> None:
    text = with_peer(BgpNeighbor("dyn", "external", listen_range="10.0.0.0/8"))
    group = text.index("neighbor dyn peer-group")
    assert group < text.index("bgp listen range 10.0.0.0/8 peer-group dyn")


def test_hold_and_keepalive_go_together() -> None:
    with pytest.raises(ValueError, match="go together"):
        replace(PEER, hold_s=9)


@rule("Conf.gracefulRestart")
def test_graceful_restart_times_are_written_only_if_not_default() -> None:
    def written(restart: GracefulRestart) -> list[str]:
        instance = BgpInstance(65001, "10.0.0.9", graceful_restart=restart)
        text = lines(replace(BARE, instances=(instance,)))
        return [line for line in text if line.endswith(("-time 120", "-time 360", "-time 9"))]

    assert written(GracefulRestart()) == []
    assert written(GracefulRestart(restart_s=9)) == ["bgp graceful-restart restart-time 9"]
    assert written(GracefulRestart(stale_s=9)) == ["bgp graceful-restart stalepath-time 9"]


@rule("Conf.bfd")
def test_bfd_profile_has_only_values_that_differ() -> None:
    profiles = BfdProfile("a", 300, 300, 3, minimum_ttl=254), BfdProfile("b", transmit_ms=100)
    text = render(replace(BARE, bfd_profiles=profiles))
    assert " profile a\n exit\n" in text
    assert " profile b\n  transmit-interval 100\n exit\n" in text


def test_fib_suppression_is_written_in_each_instance() -> None:
    instances = BgpInstance(1, "10.0.0.9"), BgpInstance(1, "10.0.0.9", vrf="red")
    text = lines(replace(BARE, suppress_fib_pending=True, instances=instances))
    assert text.count("bgp suppress-fib-pending") == 2


def test_a_prefix_list_is_spelt_as_frr_spells_it_and_an_empty_one_denies() -> None:
    rules = (
        PrefixRule(True, "0.0.0.0/0", le=32),
        PrefixRule(False, "10.0.0.0/8", ge=9, le=24),
        PrefixRule(True, "0.0.0.0/0"),
    )
    text = lines(replace(BARE, prefix_lists=(PrefixList("a", 4, rules), PrefixList("a", 6))))
    assert [line for line in text if "prefix-list" in line] == [
        "ip prefix-list a seq 5 permit any",
        "ip prefix-list a seq 10 deny 10.0.0.0/8 ge 9 le 24",
        "ip prefix-list a seq 15 permit 0.0.0.0/0",
        "ipv6 prefix-list a seq 5 deny any",
    ]


def test_a_line_belongs_to_a_snippet_to_a_vrf_or_to_the_main_instance() -> None:
    tenant, main = BgpInstance(1, "10.0.0.9", vrf="red"), BgpInstance(1, "10.0.0.9")
    raw = RawSnippet("mine", "router bgp 1\n neighbor a password b\n")
    given = replace(BARE, vrfs=(VrfVni("red", 7),), instances=(main, tenant), raw=(raw,))
    text = render(given)
    assert section_of(text, ["vni 7"]) == "vrf red"
    assert section_of(text, ["router bgp 1 vrf red"]) == "vrf red"
    assert section_of(text, ["bgp router-id 10.0.0.9"]) == "router bgp"
    assert section_of(text, ["router bgp 1", "neighbor a password b"]) == "RawFRRConfig mine"
    assert section_of(text, ["frr defaults traditional", "unheard of"]) == ""
    assert section_of_line(text, 10**6) == "RawFRRConfig mine"
    assert section_of_line(text, 0) == ""


def test_a_line_of_isis_is_known_as_such() -> None:
    circuits = (IsisInterface("eth1", ipv4=True),)
    isis = Isis("underlay", "49.0001.0000.0000.0001.00", interfaces=circuits)
    text = render(replace(BARE, vrfs=(VrfVni("red", 7),), isis=isis))
    assert section_of(text, ["ip router isis underlay"]) == "router isis"
    assert section_of(text, [f"net {isis.net}"]) == "router isis"
    assert section_of(text, ["vni 7"]) == "vrf red"


def test_a_vrf_that_is_wanted_no_more_is_removed_and_no_other() -> None:
    running = "vrf red\n vni 7\nexit-vrf\n!\nvrf blue\nexit-vrf\nrouter bgp 1 vrf green\n"
    assert forgotten_vrfs(running, "vrf red\n vni 7\nexit-vrf\n") == "no vrf blue\n"
    assert forgotten_vrfs(running, running) == ""


@rule("Conf.raw")
def test_raw_text_comes_last_and_as_it_is() -> None:
    raw = RawSnippet("mine", "ip route 10.0.0.0/8 blackhole\n")
    text = render(replace(BARE, vrfs=(VrfVni("red", 100),), raw=(raw,)))
    assert text.endswith(
        "exit-vrf\n!\n! RawFRRConfig mine\nip route 10.0.0.0/8 blackhole\n!\nend\n"
    )


@pytest.mark.parametrize(
    "settings",
    [
        replace(BARE, hostname="pe1\nno router bgp"),
        replace(BARE, vrfs=(VrfVni("red\n vni 1", 100),)),
        replace(BARE, raw=(RawSnippet("mine\nip route", "x"),)),
        replace(BARE, instances=(BgpInstance(1, "1", neighbors=(replace(PEER, password="\r"),)),)),
    ],
)
def test_no_value_breaks_out_of_its_line(settings: FrrSettings) -> None:
    with pytest.raises(ValueError, match="control character"):
        render(settings)


# -- what precedes frr-reload.py ---------------------------------

OLD = """router bgp 1
 neighbor a password one
 neighbor b password two
 neighbor c password same
exit
router bgp 1 vrf red
 neighbor a password three
exit
"""


def test_old_passwords_are_removed_by_a_file() -> None:
    new = OLD.replace("one", "new").replace(" neighbor b password two\n", "")
    commands = secret_changes(OLD, new)
    assert commands.splitlines() == [
        *("router bgp 1", " neighbor a password new", "exit"),
        *("router bgp 1", " no neighbor b password", "exit"),
    ]
    assert secret_changes(OLD, OLD) == ""
    assert "three" not in secret_changes(OLD, "")


@pytest.mark.parametrize(
    ("old", "commands"),
    [
        ("enable password one\n", ["no enable password one", "no enable password"]),
        (
            "interface eth0\n ip ospf message-digest-key 1 md5 one\nexit\n",
            [
                "interface eth0",
                " no ip ospf message-digest-key 1 md5 one",
                " no ip ospf message-digest-key 1 md5",
                "exit",
            ],
        ),
        (
            "key chain A\n key 1\n  key-string one\n exit\nexit\n",
            [
                *("key chain A", " key 1", "  no key-string one", "  no key-string"),
                *("exit", "exit"),
            ],
        ),
    ],
)
def test_every_old_secret_goes_by_a_file(old: str, commands: list[str]) -> None:
    assert secret_changes(old, "").splitlines() == commands
    assert secret_changes(old, old) == ""


def test_key_is_removed_before_its_number_is_reused() -> None:
    old = "interface eth0\n ip ospf message-digest-key 1 md5 one\nexit\n"
    commands = secret_changes(old, old.replace("one", "two")).splitlines()
    assert commands[1] == " no ip ospf message-digest-key 1 md5 one"
    assert commands[-2:] == [" ip ospf message-digest-key 1 md5 two", "exit"]


def test_a_new_password_is_left_to_the_reload() -> None:
    assert secret_changes("", OLD) == ""


def test_vrfs_are_repeated_after_a_refusal() -> None:
    wanted = "vrf red\n vni 100\nexit-vrf\n"
    failed = wanted + "vrf blue\n vni 100\nexit-vrf\n"
    assert vrf_restatement(failed, wanted) == "no vrf blue\nvrf red\n vni 100\nexit-vrf\n"
