"""An overlay that receives messages, and the records that it reports."""

from __future__ import annotations

from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.records import Record
from frr_bridge.overlay.overlay import Overlay
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.recordlog import RecordLog
from tests.fakes.shadow import HOST, HOST_MAC, L2VNI, L3VNI, OTHER_VTEP, ROUTER_MAC, VTEP

HOST_RECORDS = {Mac(L2VNI, HOST_MAC, VTEP), Neighbor(L2VNI, HOST, HOST_MAC)}
ROUTER_RECORDS = {RemoteVtep(L3VNI, VTEP, ROUTER_MAC)}  # without a Mac record for its MAC
FLOOD_RECORDS = {Flood(L2VNI, VTEP), Flood(L2VNI, OTHER_VTEP)}
ALL_RECORDS = HOST_RECORDS | ROUTER_RECORDS | FLOOD_RECORDS


class Network:
    def __init__(self, *messages: LinkMessage | NeighborMessage) -> None:
        self.log = RecordLog()
        self.overlay = Overlay(self.log)
        self.receive(*messages)

    def receive(self, *messages: LinkMessage | NeighborMessage) -> None:
        for message in messages:
            if isinstance(message, LinkMessage):
                self.overlay.link(message)
            else:
                self.overlay.neighbor(message)

    def dump(self, *messages: LinkMessage | NeighborMessage) -> None:
        self.overlay.begin_dump()
        self.receive(*messages)
        self.overlay.end_dump()

    @property
    def records(self) -> set[Record]:
        return set(self.log.records.values())
