"""MACs behind Ethernet segments, for datapaths that balance over VTEPs and for those that do not.

A datapath that takes ETHERNET_SEGMENT is given MACs that name their segment: a VTEP that comes or
goes is one change. Any other is given each MAC with the first VTEP of its segment, so that there
such a change is one for each MAC, if it is the first VTEP at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.records import Key


class Segments:
    """Remembers what FRR says; `balanced` is whether the datapath takes segments."""

    def __init__(self) -> None:
        self.balanced = True
        self._segments: dict[int, EthernetSegment] = {}
        self._macs: dict[Key, Mac] = {}  # behind a segment, as FRR says it
        self._behind: dict[int, dict[Key, None]] = {}  # segment -> keys of its MACs

    def learn(self, segment: EthernetSegment) -> Iterator[Mac]:
        """Take a segment; yield the MACs that the datapath must be given anew."""
        self._segments[segment.id] = segment
        if not self.balanced:
            for key in self._behind.get(segment.id, ()):
                yield self._given(self._macs[key])

    def forget(self, segment: EthernetSegment) -> None:
        self._segments.pop(segment.id, None)

    def mac(self, said: Mac) -> Mac:
        """Take a MAC; return it as the datapath is to have it."""
        self.forget_mac(said)
        if said.segment:
            self._macs[said.key] = said
            self._behind.setdefault(said.segment, {})[said.key] = None
        return self._given(said)

    def forget_mac(self, mac: Mac) -> None:
        if before := self._macs.pop(mac.key, None):
            keys = self._behind[before.segment]
            del keys[mac.key]
            if not keys:
                del self._behind[before.segment]

    def all_macs(self) -> Iterator[Mac]:
        """Yield the MACs behind segments, as the datapath is to have them."""
        return (self._given(mac) for mac in list(self._macs.values()))

    def vteps(self, mac: Mac) -> tuple[bytes, ...]:
        """Return all VTEPs of the segment behind which a MAC is; () when there is none."""
        said = self._macs.get(mac.key, mac)
        segment = self._segments.get(said.segment)
        return segment.vteps if segment else ()

    def segment_of(self, mac: Mac) -> int:
        """Return the id of the segment behind which a MAC is, or 0."""
        return self._macs.get(mac.key, mac).segment

    def _given(self, said: Mac) -> Mac:
        vteps = self.vteps(said)
        if self.balanced or not vteps:
            return said
        return replace(said, vtep=vteps[0], segment=0)
