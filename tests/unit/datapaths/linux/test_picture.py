"""Which changes of devices are reported, and under which kind."""

from __future__ import annotations

import socket
import sys

import pytest

from datapaths.linux.picture import ADDED, SETTINGS, TC, Picture
from datapaths.linux.wire import devices as wire
from datapaths.linux.wire.links import IFADDRMSG, IFINFOMSG
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message, attribute, messages, request, u32

INDEX = 7
MARK = 'dualpath:{"what":"vni"}'


def device(
    *,
    alias: str = MARK,
    name: str = "br110",
    kind: str = "bridge",
    mtu: int = 1500,
    flags: int = 1,
    data: bytes = b"",
    port: bytes = b"",
    settings: bytes = bytes(8),
    packets: int = 0,
    type_: int = n.RTM_NEWLINK,
) -> Message:
    info = attribute(n.IFLA_INFO_KIND, kind.encode()) + attribute(n.IFLA_INFO_DATA, data)
    info += attribute(n.IFLA_INFO_SLAVE_DATA, port)
    spec = attribute(socket.AF_INET6, attribute(wire.IFLA_INET6_CONF, settings))
    body = IFINFOMSG.pack(0, 0, 1, INDEX, flags, 0)
    body += attribute(n.IFLA_IFNAME, name.encode() + b"\0") + u32(n.IFLA_MTU, mtu)
    body += b"".join(attribute(kind, packets.to_bytes(96, "little")) for kind in wire.COUNTERS)
    body += attribute(n.IFLA_IFALIAS, alias.encode()) + attribute(n.IFLA_LINKINFO, info)
    return message(type_, body + attribute(wire.IFLA_AF_SPEC, spec))


def message(type_: int, body: bytes) -> Message:
    return next(messages(request(type_, 0, body)))


def holding(*devices: Message) -> Picture:
    picture = Picture()
    picture.load(devices)
    return picture


@pytest.mark.parametrize(
    "changed",
    [
        device(mtu=1400),
        device(flags=0),
        device(flags=wire.IFF_UP | wire.IFF_NOARP),
        device(alias="mine"),
        device(name="brfoo"),
        device(settings=bytes(7) + b"\1"),
        device(data=u32(4, 1000)),
        device(port=attribute(8, b"\1")),
        device(type_=n.RTM_DELLINK),
    ],
)
def test_change_of_an_owned_device_is_reported_once(changed: Message) -> None:
    picture = holding(device())
    assert picture.update(changed) == {"vni"}
    assert picture.update(changed) == set()


@pytest.mark.parametrize("changed", [device(mtu=1400), device(settings=bytes(7) + b"\1")])
def test_dump_reports_changes_without_a_notification(changed: Message) -> None:
    picture = holding(device())
    assert picture.load([device()]) == set()
    assert picture.load([changed]) == {"vni"}
    assert picture.load([]) == {"vni"}


def test_bridge_timers_are_not_a_change() -> None:
    assert holding(device(data=u32(19, 1))).update(device(data=u32(19, 2))) == set()


def moved(ticks: int, mtu: int = 1500) -> Message:
    """Return a bridge with this IFLA_BR_GC_TIMER, after this many packets."""
    timer = attribute(19, ticks.to_bytes(8, "little"))
    return device(data=timer, mtu=mtu, packets=ticks)


def test_device_is_not_decoded_again_because_of_timers_and_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture, decoded, decode = holding(moved(1)), list[Message](), wire.decode

    def counted(message: Message) -> tuple[int, wire.Device]:
        decoded.append(message)
        return decode(message)

    monkeypatch.setattr(wire, "decode", counted)
    assert picture.load([moved(2)]) == set()
    assert not decoded
    assert picture.load([moved(3, mtu=1400)]) == {"vni"}
    assert len(decoded) == 1


def test_devices_that_were_not_read_stay_as_they_were() -> None:
    picture = holding(device())
    assert picture.load_some([]) == set()
    assert picture.load_some([device(mtu=1400)], own={"br110"}) == set()
    assert picture.load_some([device(mtu=1300)]) == {"vni"}


@pytest.mark.parametrize(("anymac", "reported"), [(1, set()), (0, {"vni"})])
def test_mac_that_a_bridge_takes_from_a_port_is_no_change(anymac: int, reported: set[str]) -> None:
    def bridge(mac: bytes) -> Message:
        alias = f'dualpath:{{"what":"vni","anymac":{anymac}}}'
        return message(n.RTM_NEWLINK, device(alias=alias).body + attribute(n.IFLA_ADDRESS, mac))

    assert holding(bridge(bytes(6))).update(bridge(bytes(5) + b"\1")) == reported


def test_foreign_device_is_not_reported() -> None:
    picture = holding(device(alias="mine"))
    assert picture.update(device(alias="mine", mtu=1400)) == set()
    assert picture.load([]) == set()


def test_own_changes_are_recognized_by_device() -> None:
    picture = holding(device())
    assert picture.update(device(mtu=1400), own={"br110"}) == set()
    assert picture.load([device(mtu=1300)], own={"br110"}) == set()
    assert picture.update(device(mtu=1200), own={"br111"}) == {"vni"}


@pytest.mark.parametrize(("value", "reported"), [(b"\0", set()), (b"\1", {"vni"})])
def test_change_of_a_bridge_ports_settings_is_reported(value: bytes, reported: set[str]) -> None:
    picture = holding(device(kind="vxlan", port=attribute(8, b"\0")))
    body = IFINFOMSG.pack(socket.AF_BRIDGE, 0, 1, INDEX, 1, 0)
    body += attribute(wire.IFLA_PROTINFO, attribute(8, value))
    assert picture.update(message(n.RTM_NEWLINK, body)) == reported


@pytest.mark.parametrize(
    ("type_", "reported"), [(n.RTM_NEWADDR, {ADDED}), (n.RTM_DELADDR, {"vni"})]
)
def test_removed_address_is_reported_as_a_change_of_its_device(
    type_: int, reported: set[str]
) -> None:
    body = IFADDRMSG.pack(socket.AF_INET, 24, 0, 0, INDEX)
    assert holding(device()).update(message(type_, body)) == reported
    assert holding(device(alias="mine")).update(message(type_, body)) == set()


@pytest.mark.parametrize("type_", [n.RTM_DELTFILTER, n.RTM_DELQDISC])
def test_changed_tc_filter_is_reported_on_owned_devices_only(type_: int) -> None:
    body = wire.TCMSG.pack(0, INDEX, 0, 0, 0)
    assert holding(device()).update(message(type_, body)) == {TC}
    assert holding().update(message(type_, body)) == set()


@pytest.mark.parametrize(
    ("index", "reported"), [(INDEX, {"vni"}), (9, set()), (-1, {SETTINGS}), (-2, {SETTINGS})]
)
def test_changed_sysctl_is_reported_with_its_device_or_namespace(
    index: int, reported: set[str]
) -> None:
    value = index.to_bytes(4, sys.byteorder, signed=True)
    body = bytes(4) + attribute(wire.NETCONFA_IFINDEX, value)
    assert holding(device()).update(message(n.RTM_NEWNETCONF, body)) == reported
