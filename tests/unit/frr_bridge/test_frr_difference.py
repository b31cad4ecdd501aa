"""By which lines FRR differs: read off frr-reload.py as FRR 10.7.1 has it."""

from __future__ import annotations

from frr_bridge.frr_difference import Difference, parse

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
