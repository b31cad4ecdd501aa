"""Which local hosts are sent to FRR."""

from __future__ import annotations

import pytest

from controller.core.hosts import LocalHosts
from datapaths.base import LearnedMac, LearnedNeighbor
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor
from dualpath.model.view import HostCount

LIMIT = 8192
MAC, IP = bytes.fromhex("02000000000a"), bytes([10, 110, 0, 10])


def test_every_change_is_announced() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append)
    hosts.learn(LearnedMac(110, MAC))
    hosts.learn(LearnedNeighbor(110, IP, MAC))
    hosts.learn(LearnedNeighbor(110, IP, MAC, gone=True))
    hosts.learn(LearnedMac(110, MAC, gone=True))
    mac, neighbor = Mac(110, MAC), Neighbor(110, IP, MAC)
    assert told == [
        Mirror(macs=(mac,)),
        Mirror(neighbors=(neighbor,)),
        Mirror(gone_neighbors=(neighbor,)),
        Mirror(gone_macs=(mac,)),
    ]


def test_a_row_that_was_never_programmed_is_not_withdrawn() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append)
    hosts.learn(LearnedMac(110, MAC, gone=True))
    hosts.learn(LearnedNeighbor(110, IP, MAC, gone=True))
    assert told == []


def test_a_new_bridge_gets_every_host() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append)
    hosts.learn(LearnedMac(110, MAC))
    hosts.learn(LearnedMac(120, MAC))
    hosts.learn(LearnedMac(120, MAC, gone=True))
    hosts.learn(LearnedNeighbor(110, IP, MAC))
    hosts.repeat()
    assert not told[-1].whole
    hosts.caught_up()
    assert told[-1] == Mirror(
        whole=True, macs=(Mac(110, MAC),), neighbors=(Neighbor(110, IP, MAC),)
    )


def learned(
    vni: int, kind: str, number: int, *, gone: bool = False
) -> LearnedMac | LearnedNeighbor:
    if kind == "mac":
        return LearnedMac(vni, number.to_bytes(6), gone=gone)
    address = number.to_bytes(4 if kind == "ipv4" else 16)
    return LearnedNeighbor(vni, address, MAC, gone=gone)


def advertised(told: list[Mirror]) -> set[object]:
    """Return the hosts that FRR knows after these messages."""
    known: set[object] = set()
    for one in told:
        if one.whole:
            known.clear()
        known -= {*(m.key for m in one.gone_macs), *(n.key for n in one.gone_neighbors)}
        known |= {*(m.key for m in one.macs), *(n.key for n in one.neighbors)}
    return known


@pytest.mark.parametrize("kind", ["mac", "ipv4", "ipv6"])
def test_a_tenant_that_forges_hosts_starves_no_other(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append, LIMIT)
    for number in range(20_000):
        hosts.learn(learned(100, kind, number))
    for number in range(10):
        hosts.learn(learned(200, kind, number))
    assert list(hosts.counts()) == [
        HostCount(100, kind, LIMIT, 20_000 - LIMIT),
        HostCount(200, kind, 10, 0),
    ]
    assert len(advertised(told)) == LIMIT + 10
    assert len(caplog.messages) == 1
    assert "VNI 100" in caplog.text
    hosts.caught_up()
    assert len(advertised(told)) == LIMIT + 10


@pytest.mark.parametrize("kind", ["mac", "ipv4", "ipv6"])
def test_who_waits_takes_the_place_of_one_that_goes(kind: str) -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append, 2)
    for number in (1, 2, 3, 4):
        hosts.learn(learned(100, kind, number))
    before = advertised(told)
    hosts.learn(learned(100, kind, 3, gone=True))  # pending, and never sent
    assert advertised(told) == before
    hosts.learn(learned(100, kind, 1, gone=True))
    assert list(hosts.counts()) == [HostCount(100, kind, 2, 0)]
    assert len(advertised(told) - before) == 1
    for number in (2, 4):
        hosts.learn(learned(100, kind, number, gone=True))
    assert list(hosts.counts()) == []
    assert advertised(told) == set()


def test_kinds_of_one_vni_have_limits_of_their_own() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append, 5)
    for kind in ("ipv6", "ipv4", "mac"):
        for number in range(5):
            hosts.learn(learned(100, kind, number))
    assert len(advertised(told)) == 15


def test_a_host_that_moves_to_another_mac_keeps_its_place() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append, 1)
    hosts.learn(LearnedNeighbor(110, IP, MAC))
    hosts.learn(LearnedNeighbor(110, IP, bytes(6)))
    assert told[-1] == Mirror(neighbors=(Neighbor(110, IP, bytes(6)),))


def test_without_a_limit_every_host_is_announced() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append)
    for number in range(1500):
        hosts.learn(learned(100, "ipv6", number))
    assert len(advertised(told)) == 1500
