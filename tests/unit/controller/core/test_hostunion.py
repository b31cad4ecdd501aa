"""Local hosts of two datapaths."""

from __future__ import annotations

from controller.core.hostunion import HostUnion
from datapaths.base import LearnedMac, LearnedNeighbor
from dualpath.model.events import Mirror
from dualpath.model.layer2 import Mac, Neighbor

MAC, OTHER = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
ADDRESS = bytes([10, 0, 0, 1])


def test_host_is_gone_when_the_last_datapath_forgets_it() -> None:
    told: list[Mirror] = []
    union = HostUnion(told.append, 0)
    for plane in ("kernel", "dpdk"):
        union.of(plane).learn(LearnedMac(110, MAC))
        union.of(plane).learn(LearnedNeighbor(110, ADDRESS, MAC))
    told.clear()
    union.of("kernel").learn(LearnedMac(110, MAC, gone=True))
    union.of("kernel").learn(LearnedNeighbor(110, ADDRESS, MAC, gone=True))
    assert [(it.gone_macs, it.gone_neighbors) for it in told] == [((), ()), ((), ())]
    union.drop("dpdk")
    assert told[-1].gone_macs == (Mac(110, MAC),)
    assert told[-1].gone_neighbors == (Neighbor(110, ADDRESS, MAC),)


def test_address_gets_the_mac_that_the_other_datapath_knows() -> None:
    told: list[Mirror] = []
    union = HostUnion(told.append, 0)
    union.of("kernel").learn(LearnedNeighbor(110, ADDRESS, OTHER))
    union.of("dpdk").learn(LearnedNeighbor(110, ADDRESS, MAC))
    union.of("kernel").learn(LearnedNeighbor(110, ADDRESS, OTHER, gone=True))
    assert told[-1].neighbors == (Neighbor(110, ADDRESS, MAC),)
    assert told[-1].gone_neighbors == ()


def test_whole_set_is_that_of_both() -> None:
    told: list[Mirror] = []
    union = HostUnion(told.append, 0)
    union.of("kernel").learn(LearnedMac(110, MAC))
    union.of("kernel").caught_up()
    assert told[-1] == Mirror(whole=True, macs=(Mac(110, MAC),))
    union.of("dpdk").learn(LearnedMac(110, OTHER))
    union.repeat()
    assert told[-1].whole is False  # the second has not reported all
    union.of("dpdk").caught_up()
    assert told[-1].whole
    assert set(told[-1].macs) == {Mac(110, MAC), Mac(110, OTHER)}
