"""VXLAN over IPv6 without a UDP checksum, as hardware VTEPs send it (RFC 7348 section 5)."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import time

import pytest

from datapaths.kernel.layout import Layout
from datapaths.linux import netns
from dualpath.model.kinds import Kind
from dualpath.model.links import Vni
from tests.netns.layouts import upsert
from tests.netns.namespaces import link, run

pytestmark = pytest.mark.netns

LOCAL, REMOTE = "fd00:64::1", "fd00:1::2"
VNI = Vni(111, local=ipaddress.ip_address(LOCAL).packed, mac=bytes.fromhex("00f30000006e"))
OTHER = Vni(112, local=VNI.local)
DROPPING = f"type vxlan id {{}} dstport 4789 local {LOCAL} nolearning"
OURS = """alias 'dualpath:{"what":"vxlan"}'"""


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def tunnelled(destination: bytes, *, summed: bool) -> bytes:
    """Return an Ethernet frame with a VXLAN packet for VNI 111."""
    source = ipaddress.ip_address(REMOTE).packed
    inner = b"\xff" * 6 + bytes.fromhex("020000000077") + b"\x88\xb5" + bytes(46)
    payload = struct.pack("!II", 0x08000000, VNI.vni << 8) + inner
    udp = struct.pack("!HHHH", 50000, 4789, 8 + len(payload), 0) + payload
    if summed:
        pseudo = source + VNI.local + struct.pack("!II", len(udp), socket.IPPROTO_UDP)
        udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp)) + udp[8:]
    head = struct.pack("!IHBB", 0x60000000, len(udp), socket.IPPROTO_UDP, 64)
    return (
        destination + bytes.fromhex("020000000001") + b"\x86\xdd" + head + source + VNI.local + udp
    )


def received(space: str) -> int:
    """Count the frames that came out of the tunnel."""
    shown = json.loads(run(f"ip -n {space} -s -j link show vx111"))
    counted: int = shown[0]["stats64"]["rx"]["packets"]
    return counted


@pytest.mark.parametrize("summed", [True, False], ids=["a checksum", "no checksum"])
def test_vxlan_over_ipv6_is_received_with_and_without_a_checksum(
    layout: Layout, namespaces: tuple[str, str], summed: bool
) -> None:
    space = namespaces[0]
    run(f"ip -n {space} link add v0 type veth peer name v1")
    for command in ("link set v0 up", "link set v1 up", f"addr add {LOCAL}/128 dev lo"):
        run(f"ip -n {space} {command}")
    assert upsert(layout, VNI) == []
    frame = tunnelled(bytes.fromhex(link(space, "v0")["address"].replace(":", "")), summed=summed)
    with netns.entered(space), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("v1", 0))
        deadline = time.monotonic() + 5
        while not received(space) and time.monotonic() < deadline:
            sock.send(frame)
            time.sleep(0.05)
    assert received(space)


def test_sent_frames_have_a_checksum(layout: Layout, namespaces: tuple[str, str]) -> None:
    upsert(layout, VNI)
    data = link(namespaces[0], "vx111")["linkinfo"]["info_data"]
    assert (data["udp_zero_csum6_tx"], data["udp_zero_csum6_rx"]) == (False, True)


def test_ipv4_vxlan_devices_lack_the_option(layout: Layout, namespaces: tuple[str, str]) -> None:
    upsert(layout, Vni(113, local=bytes([10, 0, 0, 1])))
    data = link(namespaces[0], "vx113")["linkinfo"]["info_data"]
    assert not data.get("udp_zero_csum6_rx")


def test_devices_that_drop_zero_checksums_are_recreated_together(
    layout: Layout, namespaces: tuple[str, str]
) -> None:
    """They share a socket: devices that accept zero checksums conflict with those that do not."""
    upsert(layout, VNI, OTHER)
    for vni in (VNI, OTHER):
        run(f"ip -n {namespaces[0]} link del {vni.device}")
    for vni in (VNI, OTHER):
        run(f"ip -n {namespaces[0]} link add {vni.device} {DROPPING.format(vni.vni)}")
        run(f"ip -n {namespaces[0]} link set {vni.device} {OURS} master {vni.bridge} up")
    assert all(isinstance(vni, Vni) and not vni.local for vni in layout.dump(Kind.VNI))
    assert upsert(layout, VNI) == []
    assert upsert(layout, OTHER) == []
    assert layout.dump(Kind.VNI) == [VNI, OTHER]
