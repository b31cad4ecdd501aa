"""On which devices `dualpath trace` captures, and which packets."""

from __future__ import annotations

import ipaddress
import struct
import subprocess
from collections import Counter
from pathlib import Path
from shutil import which

import pytest

from controller.cli import trace
from controller.cli.trace import Tap, taps
from dualpath.pb import inspect_pb2 as pb
from tests.unit.controller.cli.conftest import Daemon

OUTER = (
    "host 192.0.2.12 and udp port 4790 and udp[12:4] & 0xffffff00 = 0x6400 and"
    " ((udp[28:2] = 0x800 and ((udp[42:4] = 0xa020304) or (udp[46:4] = 0xa020304)))"
    " or (udp[28:2] = 0x806 and ((udp[44:4] = 0xa020304) or (udp[54:4] = 0xa020304))))"
)
VNIS = [
    pb.Vni(vni=100, vrf="red", bridge="br100", device="vx100", port=4790),
    pb.Vni(vni=210, vrf="red", bridge="br210", device="vx210"),
]
PORTS = [
    pb.Port(name="pe-e-100", type=pb.Port.TYPE_HOST, vrf="red"),
    pb.Port(name="pe-e-200", type=pb.Port.TYPE_HOST, vrf="blue"),
    pb.Port(name="pe-l-210", type=pb.Port.TYPE_HOST, vni=210),
    pb.Port(name="pe-l-300", type=pb.Port.TYPE_HOST, vni=300),
    pb.Port(name="eth1", type=pb.Port.TYPE_NIC, vrf="default"),
]


def answer(vrf: str, *paths: pb.Path) -> pb.ExplainResponse:
    return pb.ExplainResponse(vrf=vrf, address="10.2.3.4", desired=pb.Lookup(paths=paths))


def test_tunnelled_packet_is_captured_inside_and_outside() -> None:
    path = pb.Path(vni=100, vtep="192.0.2.12", ports=["eth1", "eth2"])
    assert list(taps(answer("red", path), VNIS, PORTS)) == [
        Tap("pe-e-100", "host 10.2.3.4"),
        Tap("pe-l-210", "host 10.2.3.4"),
        Tap("br100", "host 10.2.3.4"),
        Tap("vx100", "host 10.2.3.4"),
        Tap("eth1", OUTER),
        Tap("eth2", OUTER),
    ]


def test_packet_without_a_tunnel_is_captured_once() -> None:
    path = pb.Path(ports=["eth1"])
    assert list(taps(answer("default", path), [], PORTS)) == [Tap("eth1", "host 10.2.3.4")]


def test_trace_follows_the_programmed_route_that_frr_lost() -> None:
    found = pb.ExplainResponse(vrf="red", address="10.2.3.4")
    found.programmed.paths.add(vni=210, vtep="192.0.2.12", ports=["eth1"])
    [tap] = [tap for tap in taps(found, VNIS, PORTS) if tap.device == "eth1"]
    assert tap.expression.startswith("host 192.0.2.12 and udp port 4789 and udp[12:4]")


def test_devices_and_namespace_come_from_the_daemon(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)

    def watch(*arguments: object) -> Counter[str]:
        looked.extend(arguments)
        return Counter({"h1": 2, "eth1": 0})

    monkeypatch.setattr(trace, "watch", watch)
    result = daemon.run("trace", "10.2.9.9", "--vrf", "red", "--seconds", "3")
    assert (result.code, result.err) == (0, "")
    assert result.out == "seen: h1 2, eth1 0\n"
    netns, found, seconds = looked
    assert (netns, seconds) == ("dualpath", 3)
    assert Tap("h1", "host 10.2.9.9") in found  # type: ignore[operator]  # a list of taps


def test_untraceable_address_is_reported_in_one_sentence(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "only root" in daemon.run("trace", "10.2.9.9", "--vrf", "red").err
    assert "no VRF 'blue'" in daemon.run("trace", "10.2.9.9", "--vrf", "blue").err


PCAP = struct.Struct("=IHHiIII")  # struct pcap_file_header, pcap/pcap.h
PACKET = struct.Struct("=IIII")  # seconds, microseconds, captured, length
ETHER = bytes(12)


def udp(source: int, target: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(payload), 0) + payload


def ip(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    """Return an Ethernet frame with a packet, IPv4 or IPv6 as the addresses are."""
    ends = [ipaddress.ip_address(end) for end in (source, target)]
    packed = ends[0].packed + ends[1].packed
    if ends[0].version == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0)
        return ETHER + b"\x08\x00" + head + packed + payload
    head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
    return ETHER + b"\x86\xdd" + head + packed + payload


def vxlan(vtep: str, vni: int, frame: bytes) -> bytes:
    ours = "100.64.0.1" if "." in vtep else "2001:db8::1"
    return ip(ours, vtep, 17, udp(5000, 4789, struct.pack("!II", 8 << 24, vni << 8) + frame))


def arp(sender: str, asked: str) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    ends = [bytes(6) + ipaddress.ip_address(end).packed for end in (sender, asked)]
    return ETHER + b"\x08\x06" + head + ends[0] + ends[1]


@pytest.mark.skipif(not which("tcpdump"), reason="tcpdump is not installed")
@pytest.mark.parametrize("vtep", ["100.64.0.2", "2001:db8::2"])
@pytest.mark.parametrize(
    ("address", "other"), [("10.2.3.4", "10.9.9.9"), ("2001:db8:2::4", "2001:db8:9::9")]
)
def test_the_filter_matches_only_the_address_in_the_vni(
    tmp_path: Path, vtep: str, address: str, other: str
) -> None:
    ours = [
        vxlan(vtep, 100, ip(address, other, 1, bytes(8))),
        vxlan(vtep, 100, ip(other, address, 1, bytes(8))),
        *([vxlan(vtep, 100, arp(other, address))] if "." in address else []),
    ]
    others = [
        vxlan(vtep, 101, ip(address, other, 1, bytes(8))),
        vxlan(vtep, 100, ip(other, other, 1, bytes(8))),
        ip(address, other, 1, bytes(8)),
    ]
    file = tmp_path / "packets.pcap"
    records = (PACKET.pack(0, 0, len(one), len(one)) + one for one in (*ours, *others))
    file.write_bytes(PCAP.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))
    expression = trace.tunnelled(address, vtep, 100, 4789)
    command = ["tcpdump", "-n", "-t", "--count", "-r", str(file), expression]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(ours)} packets\n"
