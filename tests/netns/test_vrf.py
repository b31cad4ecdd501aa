"""Tests that need VRF devices: tenants in the layout, twins in a VRF, shadows of L3VNIs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from datapaths.kernel.layout import Layout
from datapaths.linux import netns, overlay
from datapaths.linux.links import Links
from datapaths.linux.shadows import Shadows, shadow_of
from datapaths.linux.twins import Twins
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.records import RecordBatch
from tests.netns.layouts import addresses, bridged
from tests.netns.namespaces import fresh, kernel_has_vrf, ping, run, watching
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns

RED = Vrf("red", 1100)
VTEP = bytes([100, 64, 0, 1])
L3 = Vni(100, layer=3, vrf="red", local=VTEP, mac=bytes.fromhex("020000000064"))
L2 = Vni(
    110,
    vrf="red",
    local=VTEP,
    mac=bytes.fromhex("00f30000006f"),
    gateways=(Address.parse("10.110.0.1/24"), Address.parse("fd00:110::1/64")),
)


def leg(host: str) -> Port:
    end = HostEnd(host, "eth0", addresses=addresses("192.168.9.2/24", "fd00:9::2/64"))
    own = addresses("192.168.9.1/24", "fd00:9::1/64")
    return Port("pe0", vrf="red", addresses=own, mtu=1450, host=end, twin=True)


@pytest.fixture(scope="module", autouse=True)
def _vrf() -> None:
    if not kernel_has_vrf():
        pytest.skip("this kernel has no VRF devices")


@pytest.fixture
def namespaces() -> Iterator[tuple[str, ...]]:
    with fresh("fwd", "ctl", "host") as names:
        yield names


@pytest.fixture
def layout(namespaces: tuple[str, ...]) -> Layout:
    forwarding, _, host = namespaces
    layout = Layout(forwarding, host)
    layout.prepare()
    for records in ((RED,), (L3, L2), (leg(host), bridged(host))):
        assert layout.apply(RecordBatch(records[0].kind, upserts=records)) == []
    return layout


@pytest.fixture
def twins(layout: Layout, namespaces: tuple[str, ...]) -> Twins:
    forwarding, control, host = namespaces
    assert Shadows(control).ensure_base(shadow_of((RED,), (L3, L2), ())) == []
    twins = Twins(forwarding, control)
    assert twins.ensure((leg(host), bridged(host))) == []
    return twins


@rule("Layout.vrf", "Layout.bridge", "Layout.leg.routed")
def test_tenant_reads_back_as_its_records(layout: Layout, namespaces: tuple[str, ...]) -> None:
    assert layout.dump(Kind.VRF) == [RED]
    assert layout.dump(Kind.VNI) == [L3, L2]
    assert layout.dump(Kind.PORT) == [leg(namespaces[2]), bridged(namespaces[2])]


def test_foreign_vrf_is_neither_adopted_nor_removed(namespaces: tuple[str, ...]) -> None:
    run(f"ip -n {namespaces[0]} link add red type vrf table 7")
    layout = Layout(namespaces[0], namespaces[2])
    [failure] = layout.apply(RecordBatch(Kind.VRF, upserts=(RED,)))
    assert failure.errno == errno.EEXIST
    assert layout.apply(RecordBatch(Kind.VRF, withdrawals=(RED,))) == []
    assert "table 7" in run(f"ip -n {namespaces[0]} -d link show red")


@rule("Layout.twice")
def test_second_apply_writes_nothing(layout: Layout, namespaces: tuple[str, ...]) -> None:
    with watching(namespaces[0]) as events:
        for records in ((RED,), (L3, L2), (leg(namespaces[2]), bridged(namespaces[2]))):
            assert layout.apply(RecordBatch(records[0].kind, upserts=records)) == []
        assert events() == []


def test_vrf_table_ends_with_unreachable(layout: Layout, namespaces: tuple[str, ...]) -> None:
    for family in ("-4", "-6"):
        shown = run(f"ip -n {namespaces[0]} {family} route show table 1100 default")
        assert "unreachable default" in shown
        assert f"metric {overlay.UNREACHABLE_METRIC}" in shown


def test_withdrawn_vrf_that_was_down_leaves_an_empty_table(
    layout: Layout, namespaces: tuple[str, ...]
) -> None:
    run(f"ip -n {namespaces[0]} link set red down")
    (found,) = layout.dump(Kind.VRF)
    assert layout.apply(RecordBatch(Kind.VRF, withdrawals=(found,))) == []
    for family in ("-4", "-6"):
        assert run(f"ip -n {namespaces[0]} {family} route show table 1100", check=False) == ""


@rule("Layout.leg.routed", "Layout.gateway")
def test_hosts_of_one_tenant_reach_each_other(layout: Layout, namespaces: tuple[str, ...]) -> None:
    host = namespaces[2]
    run(f"ip -n {host} addr add 10.110.0.9/24 dev br-hs-110")
    run(f"ip -n {host} addr add fd00:110::9/64 dev br-hs-110 nodad")
    for address in ("192.168.9.1", "fd00:9::1", "10.110.0.1", "fd00:110::1"):
        assert ping(host, address), address


def test_port_that_changes_its_vrf_keeps_its_addresses(
    layout: Layout, namespaces: tuple[str, ...]
) -> None:
    blue = Vrf("blue", 1200)
    moved = replace(leg(namespaces[2]), vrf="blue")
    assert layout.apply(RecordBatch(Kind.VRF, upserts=(blue,))) == []
    assert layout.apply(RecordBatch(Kind.PORT, upserts=(moved,))) == []
    assert moved in layout.dump(Kind.PORT)
    assert ping(namespaces[2], "fd00:9::1")


def test_vrf_with_a_changed_table_keeps_its_members(
    layout: Layout, namespaces: tuple[str, ...]
) -> None:
    assert layout.apply(RecordBatch(Kind.VRF, upserts=(Vrf("red", 1101),))) == []
    assert layout.dump(Kind.VRF) == [Vrf("red", 1101)]
    assert layout.dump(Kind.VNI) == [L3, L2]
    assert layout.dump(Kind.PORT) == [leg(namespaces[2]), bridged(namespaces[2])]


@rule("Layout.remove")
def test_withdrawal_leaves_nothing(layout: Layout, namespaces: tuple[str, ...]) -> None:
    for records in ((leg(namespaces[2]), bridged(namespaces[2])), (L3, L2), (RED,)):
        assert layout.apply(RecordBatch(records[0].kind, withdrawals=records)) == []
    with Links(namespaces[0]) as links:
        assert [link.name for link in links.all()] == ["lo"]
    for family in ("-4", "-6"):
        assert run(f"ip -n {namespaces[0]} {family} route show table 1100", check=False) == ""


def test_bgpd_in_a_vrf_is_reached_through_its_twin(
    twins: Twins, namespaces: tuple[str, ...]
) -> None:
    _, control, host = namespaces
    for address in ("192.168.9.1", "fd00:9::1"):
        assert reached(control, host, address), address
        assert ping(host, address)


def reached(control: str, host: str, address: str) -> bool:
    """Connect from the host to a listener in FRR's VRF, and send data."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(control):
        listener = socket.socket(family, socket.SOCK_STREAM)
    with netns.entered(host):
        caller = socket.socket(family, socket.SOCK_STREAM)
    with listener, caller:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red\0")
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 179))
        listener.listen()
        listener.settimeout(3)
        caller.settimeout(3)
        with suppress(TimeoutError):
            caller.connect((address, 179))
            with listener.accept()[0] as session:
                session.sendall(b"open")
                return caller.recv(16) == b"open"
    return False


def test_twins_exist_for_routed_ports_only_and_in_their_vrf(twins: Twins) -> None:
    [twin] = twins.dump()
    assert (twin.name, twin.vrf, twin.carrier) == ("pe0", "red", True)
    assert set(leg("").addresses) < set(twin.addresses)


def test_second_ensure_of_twins_writes_nothing(twins: Twins, namespaces: tuple[str, ...]) -> None:
    with watching(namespaces[0]) as here, watching(namespaces[1]) as there:
        assert twins.ensure((leg(namespaces[2]), bridged(namespaces[2]))) == []
        assert (here(), there()) == ([], [])


def test_shadow_devices_of_a_tenant_read_back(twins: Twins, namespaces: tuple[str, ...]) -> None:
    shadow = shadow_of((RED,), (L3, L2), ())
    shadows = Shadows(namespaces[1])
    assert shadows.ensure_overlay(shadow) == []
    assert shadows.dump() == shadow
    with watching(namespaces[1]) as events:
        assert shadows.ensure_base(shadow) == []
        assert shadows.ensure_overlay(shadow) == []
        assert events() == []
    assert twins.dump() != []
    assert shadows.ensure_base(shadow_of((), (), ())) == []
    assert shadows.dump() == shadow_of((), (), ())
