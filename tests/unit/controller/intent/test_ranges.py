"""Every number, length and default of the resources: both ends of each range, and just beyond."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import pytest

from tests.unit.controller.intent.build import (
    GOOD,
    Yaml,
    manifest,
    neighbor,
    resources,
    session,
    underlay,
)
from tests.unit.controller.intent.rulebook import cases

Make = Callable[[Any], Yaml]


def accepted(given: Yaml) -> bool:
    return not resources(given).rejected


def neighbor_bfd(field: str) -> Make:
    return lambda value: neighbor(bfd={field: value})


def hosted(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("L3VNI", "red", hostSession=session(**changes))


def nic(name: str) -> Yaml:
    return underlay(
        interfaces=[{"type": "NetworkDevice", "networkDevice": {"interfaceName": name}}]
    )


def bridged(name: str) -> Yaml:
    bridge = {"lifecycle": "External", "name": name}
    return manifest("L2VNI", "s", hostMaster={"type": "LinuxBridge", "linuxBridge": bridge})


def multihop(ttl: int) -> Yaml:
    return neighbor(properties=[{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": ttl}}])


NUMBERS: dict[str, tuple[Make, int, int]] = {
    "Underlay.asn: asn": (lambda v: underlay(asn=v), 1, 2**32 - 1),
    "Underlay.gracefulRestart: restart time": (
        lambda v: underlay(gracefulRestart={"restartTimeSeconds": v}),
        1,
        4095,
    ),
    "Underlay.gracefulRestart: stale path time": (
        lambda v: underlay(gracefulRestart={"stalePathTimeSeconds": v}),
        1,
        4095,
    ),
    "Neighbor.asn-or-type: asn": (lambda v: neighbor(asn=v), 1, 2**32 - 1),
    "Neighbor.port: port": (lambda v: neighbor(port=v), 0, 16384),
    "Neighbor.ebgpMultiHop: ttl": (multihop, 1, 255),
    "Session.connectTime: neighbor": (lambda v: neighbor(connectTimeSeconds=v), 1, 65535),
    "Session.connectTime: host": (lambda v: hosted(connectTimeSeconds=v), 1, 65535),
    "Session.timers: hold": (
        lambda v: neighbor(holdTimeSeconds=v, keepaliveTimeSeconds=0),
        3,
        65535,
    ),
    "Session.bfd: receive": (neighbor_bfd("receiveInterval"), 10, 60000),
    "Session.bfd: transmit": (neighbor_bfd("transmitInterval"), 10, 60000),
    "Session.bfd: multiplier": (neighbor_bfd("detectMultiplier"), 2, 255),
    "Session.bfd: ttl": (neighbor_bfd("minimumTTL"), 1, 254),
    "VNI.vni: L3VNI": (lambda v: manifest("L3VNI", "red", vni=v), 1, 2**24 - 1),
    "VNI.vni: L2VNI": (lambda v: manifest("L2VNI", "s", vni=v), 1, 2**24 - 1),
    "VNI.vxlanPort: L3VNI": (lambda v: manifest("L3VNI", "red", vxlanPort=v), 1, 65535),
    "VNI.vxlanPort: L2VNI": (lambda v: manifest("L2VNI", "s", vxlanPort=v), 1, 65535),
    "HostSession.asn: asn": (lambda v: hosted(asn=v), 1, 2**32 - 1),
    "HostSession.hostASN-or-hostType: hostASN": (lambda v: hosted(hostASN=v), 1, 2**32 - 1),
    "RawFRRConfig.priority: priority": (
        lambda v: manifest("RawFRRConfig", "r", priority=v),
        0,
        2**31 - 1,
    ),
}


@pytest.mark.parametrize("case", cases(NUMBERS))
def test_number_is_accepted_at_both_ends_of_its_range_and_rejected_beyond(case: str) -> None:
    make, low, high = NUMBERS[case]
    assert accepted(make(low))
    assert accepted(make(high))
    assert not accepted(make(low - 1))
    assert not accepted(make(high + 1))


# Case and maximum length; the minimum is 1.
LENGTHS: dict[str, tuple[Make, int]] = {
    "Underlay.interfaceName: length": (lambda n: nic("e" * n), 15),
    "Underlay.neighbors: count": (
        lambda n: underlay(
            neighbors=[{"asn": 65000, "address": f"192.168.1.{i}"} for i in range(n)]
        ),
        128,
    ),
    "Session.password: length": (lambda n: neighbor(password="x" * n), 80),
    "L3VNI.vrf: length": (lambda n: manifest("L3VNI", "red", vrf="r" * n), 15),
    "L2VNI.hostMaster: name": (lambda n: bridged("b" * n), 15),
    "RawFRRConfig.rawConfig: length": (
        lambda n: manifest("RawFRRConfig", "r", rawConfig="!" * n),
        100_000,
    ),
}


@pytest.mark.parametrize("case", cases(LENGTHS))
def test_required_text_is_accepted_up_to_its_maximum_length(case: str) -> None:
    make, limit = LENGTHS[case]
    assert not accepted(make(0))
    assert accepted(make(1))
    assert accepted(make(limit))


TOO_LONG = {case: row for case, row in LENGTHS.items() if not case.startswith("RawFRRConfig")}


@pytest.mark.parametrize("case", cases(TOO_LONG))
def test_value_above_its_maximum_length_is_rejected(case: str) -> None:
    make, limit = LENGTHS[case]
    assert not accepted(make(limit + 1))


TARGETS = {
    f"VNI.routeTargets: {kind} {field}": (kind, field)
    for kind in ("L3VNI", "L2VNI")
    for field in ("importRTs", "exportRTs")
}


@pytest.mark.parametrize("case", cases(TARGETS))
def test_a_hundred_route_targets_are_accepted(case: str) -> None:
    kind, field = TARGETS[case]
    many = [f"65000:{i}" for i in range(101)]
    enough: dict[str, Any] = {field: many[:100]}
    too_many: dict[str, Any] = {field: many}
    assert accepted(manifest(kind, "name", **enough))
    assert not accepted(manifest(kind, "name", **too_many))


DEFAULTS: dict[str, tuple[Yaml, str, object]] = {
    "Underlay.routerIDCIDR: default": (underlay(), "router_id_cidr", "10.0.0.0/24"),
    "Underlay.clusterID: default": (
        underlay(routeReflector={}),
        "route_reflector.cluster_id",
        "192.0.2.1",
    ),
    "Underlay.gracefulRestart: restart time": (
        underlay(gracefulRestart={}),
        "graceful_restart.restart_time_seconds",
        "120",
    ),
    "Underlay.gracefulRestart: stale path time": (
        underlay(gracefulRestart={}),
        "graceful_restart.stale_path_time_seconds",
        "360",
    ),
    "Underlay.gracefulRestart: off": (underlay(), "graceful_restart", "None"),
    "VNI.vxlanPort: L3VNI": (manifest("L3VNI", "red"), "vxlan_port", "4789"),
    "VNI.vxlanPort: L2VNI": (manifest("L2VNI", "s"), "vxlan_port", "4789"),
    "RawFRRConfig.priority: default": (manifest("RawFRRConfig", "r"), "priority", "0"),
}


@pytest.mark.parametrize("case", cases(DEFAULTS))
def test_absent_field_has_its_default(case: str) -> None:
    given, path, value = DEFAULTS[case]
    (resource,) = resources(given).items
    assert str(attrgetter(path)(resource.spec)) == value


REQUIRED = {
    "HostSession.asn: missing": hosted(asn=None),
    "Underlay.neighbors: missing": underlay(neighbors=None),
    "Underlay.interfaces: missing": underlay(interfaces=None),
    "Neighbor.peer: missing": underlay(neighbors=[{"asn": GOOD["Underlay"]["asn"]}]),
    "RawFRRConfig.rawConfig: missing": manifest("RawFRRConfig", "r", rawConfig=None),
}


@pytest.mark.parametrize("case", cases(REQUIRED))
def test_missing_required_field_is_rejected(case: str) -> None:
    assert not accepted(REQUIRED[case])
