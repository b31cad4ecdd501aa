"""Local hosts, as FRR is told of them."""

from __future__ import annotations

from controller.core.hosts import LocalHosts
from controller.model.events import Mirror
from controller.model.layer2 import Mac, Neighbor
from datapaths.base import LearnedMac, LearnedNeighbor

MAC, IP = bytes.fromhex("02000000000a"), bytes([10, 110, 0, 10])


def test_every_change_is_told() -> None:
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


def test_what_was_never_there_does_not_go() -> None:
    told: list[Mirror] = []
    hosts = LocalHosts(told.append)
    hosts.learn(LearnedMac(110, MAC, gone=True))
    hosts.learn(LearnedNeighbor(110, IP, MAC, gone=True))
    assert told == []


def test_a_new_bridge_is_told_all_of_it() -> None:
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
