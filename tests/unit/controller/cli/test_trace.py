"""On which devices `dualpath trace` captures, and which packets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.cli import trace
from controller.cli.trace import Tap, taps
from dualpath.pb import inspect_pb2 as pb
from tests.unit.controller.cli.conftest import Daemon

VNIS = [
    pb.Vni(vni=100, vrf="red", bridge="br100", device="vx100", port=4790),
    pb.Vni(vni=210, vrf="red", bridge="br210", device="vx210"),
]
PORTS = [
    pb.Port(name="pe-e-100", type=pb.Port.TYPE_HOST, vrf="red"),
    pb.Port(name="pe-e-200", type=pb.Port.TYPE_HOST, vrf="blue"),
    pb.Port(name="eth1", type=pb.Port.TYPE_NIC, vrf="default"),
]


def answer(vrf: str, *paths: pb.Path) -> pb.ExplainResponse:
    return pb.ExplainResponse(vrf=vrf, address="10.2.3.4", desired=pb.Lookup(paths=paths))


def test_tunnelled_packet_is_captured_inside_and_outside() -> None:
    path = pb.Path(vni=100, vtep="192.0.2.12", ports=["eth1", "eth2"])
    assert list(taps(answer("red", path), VNIS, PORTS)) == [
        Tap("pe-e-100", "host 10.2.3.4"),
        Tap("br100", "host 10.2.3.4"),
        Tap("vx100", "host 10.2.3.4"),
        Tap("eth1", "host 192.0.2.12 and udp port 4790"),
        Tap("eth2", "host 192.0.2.12 and udp port 4790"),
    ]


def test_packet_without_a_tunnel_is_captured_once() -> None:
    path = pb.Path(ports=["eth1"])
    assert list(taps(answer("default", path), [], PORTS)) == [Tap("eth1", "host 10.2.3.4")]


def test_trace_follows_the_programmed_route_that_frr_lost() -> None:
    found = pb.ExplainResponse(vrf="red", address="10.2.3.4")
    found.programmed.paths.add(vni=210, vtep="192.0.2.12", ports=["eth1"])
    assert Tap("eth1", "host 192.0.2.12 and udp port 4789") in list(taps(found, VNIS, PORTS))


def test_devices_and_namespace_come_from_the_daemon(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(trace, "watch", lambda *arguments: looked.extend(arguments))
    result = daemon.run("trace", "10.2.9.9", "--vrf", "red", "--seconds", "3")
    assert (result.code, result.err) == (0, "")
    assert "eth1            host 192.0.2.12 and udp port 4789\n" in result.out
    netns, found, seconds = looked
    assert (netns, seconds) == ("dualpath", 3)
    assert Tap("h1", "host 10.2.9.9") in found  # type: ignore[operator]  # a list of taps


def test_untraceable_address_is_reported_in_one_sentence(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "only root" in daemon.run("trace", "10.2.9.9", "--vrf", "red").err
    assert "no VRF is called 'blue'" in daemon.run("trace", "10.2.9.9", "--vrf", "blue").err
    daemon.view.state = replace(daemon.view.state, datapath="dpdk")
    result = daemon.run("trace", "10.2.9.9", "--vrf", "red")
    assert (result.code, result.err.count("grcli trace")) == (1, 1)
