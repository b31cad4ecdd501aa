"""Which shadow devices the control namespace needs, by the records of the forwarding namespace."""

from __future__ import annotations

from datapaths.linux.shadows import Shadow, access_port, shadow_of
from dualpath.model.links import Address, Port, Vni, Vrf

RED, BLUE = Vrf("red", 1), Vrf("blue", 2)
L3, L2 = Vni(100, layer=3, vrf="red"), Vni(110, vrf="red")
VTEPS = Address.parse("100.64.0.1/32"), Address.parse("fd00::1/128")


def test_shadow_devices_do_not_depend_on_the_order_of_records() -> None:
    ports = (Port("eth1", twin=True), Port("lo", addresses=VTEPS, loopback=True))
    one = shadow_of((RED, BLUE), (L2, L3), ports)
    assert one == shadow_of((BLUE, RED), (L3, L2), reversed(ports))
    assert one == Shadow((BLUE, RED), (L3, L2), VTEPS)


def test_only_the_loopbacks_addresses_are_copied_to_a_shadow() -> None:
    ports = (Port("eth1", addresses=VTEPS, twin=True),)
    assert shadow_of((), (), ports).loopback == ()


def test_access_port_name_fits_the_largest_vni() -> None:
    assert len(f"{access_port(16777215)}-x") <= 15
