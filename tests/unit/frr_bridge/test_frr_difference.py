"""By which lines FRR differs: read off frr-reload.py as FRR 10.7.1 has it."""

from __future__ import annotations

import pytest

from frr_bridge.frr_difference import Difference, parse, shutdowns

ONE_NETWORK = """\

Lines To Delete
===============
router bgp 65001 vrf t42
 address-family ipv4 unicast
  no network 10.33.42.0/24
 exit
exit

Lines To Add
============
router bgp 65001 vrf t42
 address-family ipv4 unicast
  network 10.34.0.0/24
 exit
exit
service integrated-vtysh-config
"""
A_TENANT_GOES = """\

Lines To Delete
===============
vrf t1
 no vni 1001
exit
no router bgp 65001 vrf t1
"""


def test_a_line_of_bgps_is_small_and_its_commands_are_a_file() -> None:
    found = parse(ONE_NETWORK)
    assert found.small
    assert (
        found.commands
        == """\
router bgp 65001 vrf t42
 address-family ipv4 unicast
  no network 10.33.42.0/24
 exit
exit
router bgp 65001 vrf t42
 address-family ipv4 unicast
  network 10.34.0.0/24
 exit
exit
"""
    )
    assert "network 10.34.0.0/24" in found.lines
    assert "exit" not in found.lines


def test_a_tenant_that_goes_is_not_small() -> None:
    """bgpd refuses to let go of it while zebra has its VNI, and a file reaches both at once."""
    assert not parse(A_TENANT_GOES).small


def test_no_heading_is_no_difference() -> None:
    assert parse("frr-reload.py: something\n") == Difference()
    assert parse("Lines To Add\n============\nservice integrated-vtysh-config\n").lines == []


CONF = """\
hostname pe1
router bgp 1
 neighbor 10.0.0.1 remote-as 2
 neighbor eth1 interface remote-as external
 address-family ipv4 unicast
  network 10.9.0.0/24
 exit-address-family
exit
router bgp 1 vrf red
 neighbor 10.0.0.9 remote-as 2
exit
"""


def with_line(after: str, line: str) -> str:
    return CONF.replace(f"{after}\n", f"{after}\n{line}\n")


def test_sessions_that_are_shut_are_all_that_differs() -> None:
    one = with_line(" neighbor 10.0.0.1 remote-as 2", " neighbor 10.0.0.1 shutdown")
    both = one.replace("external\n", "external\n neighbor eth1 shutdown\n")
    assert shutdowns(CONF, both).commands == (
        "router bgp 1\n neighbor 10.0.0.1 shutdown\nexit\n"
        "router bgp 1\n neighbor eth1 shutdown\nexit\n"
    )
    tenant = with_line(" neighbor 10.0.0.9 remote-as 2", " neighbor 10.0.0.9 shutdown")
    assert shutdowns(CONF, tenant).commands == (
        "router bgp 1 vrf red\n neighbor 10.0.0.9 shutdown\nexit\n"
    )


@pytest.mark.parametrize(
    "after",
    [
        CONF,
        "",
        with_line("hostname pe1", " neighbor 10.0.0.1 shutdown"),
        with_line(" neighbor 10.0.0.1 remote-as 2", " no neighbor 10.0.0.1 shutdown"),
        with_line(" neighbor 10.0.0.1 remote-as 2", " neighbor 10.0.0.1 shutdown message bye"),
        with_line("hostname pe1", "log syslog"),
        with_line("exit", "router bgp 2\n neighbor 10.0.0.1 shutdown\nexit"),
        with_line(" neighbor 10.0.0.1 remote-as 2", " neighbor 10.0.0.1 shutdown").replace(
            "9.0", "8.0"
        ),
        with_line(" neighbor 10.0.0.1 remote-as 2", " neighbor 10.0.0.1 shutdown").replace(
            " neighbor 10.0.0.9 remote-as 2\n", ""
        ),
    ],
)
def test_whatever_else_differs_is_no_mere_shutdown(after: str) -> None:
    assert shutdowns(CONF, after) == Difference()


def test_a_session_that_is_no_longer_shut_is_no_shutdown() -> None:
    shut = with_line(" neighbor 10.0.0.1 remote-as 2", " neighbor 10.0.0.1 shutdown")
    assert shutdowns(shut, CONF) == Difference()
