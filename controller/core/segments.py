"""MACs behind Ethernet segments, for datapaths with and without such segments.

A datapath with ETHERNET_SEGMENT gets MACs that name their segment: a VTEP that joins or leaves is
one change. Another datapath gets each MAC with the first VTEP of its segment: if that VTEP leaves,
each MAC is a change. With 20,000 MACs behind VTEPs 1 and 2, that is 1 change against 20,000 (or
none, if VTEP 2 leaves).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.records import Key


class Segments:
    """Keeps FRR's segments and the MACs behind them. `balanced`: the datapath takes segments."""

    def __init__(self) -> None:
        self.balanced = True
        self._segments: dict[int, EthernetSegment] = {}
        self._macs: dict[Key, Mac] = {}  # behind a segment, as FRR sent them
        self._behind: dict[int, dict[Key, None]] = {}  # segment -> keys of its MACs

    def fork(self) -> Segments:
        """Return a copy of segments and MACs; the caller passes later ones to both."""
        other = Segments()
        other.balanced = self.balanced
        other._segments = dict(self._segments)
        other._macs = dict(self._macs)
        other._behind = {id_: dict(keys) for id_, keys in self._behind.items()}
        return other

    def learn(self, segment: EthernetSegment) -> Iterator[Mac]:
        """Store a segment; yield the MACs whose VTEP changes with it."""
        self._segments[segment.id] = segment
        if not self.balanced:
            for key in self._behind.get(segment.id, ()):
                yield self._translated(self._macs[key])

    def forget(self, segment: EthernetSegment) -> None:
        self._segments.pop(segment.id, None)

    def mac(self, from_frr: Mac) -> Mac:
        """Store a MAC; return it as the datapath should have it."""
        if self._macs:
            self.forget_mac(from_frr)
        if not from_frr.segment:
            return from_frr
        self._macs[from_frr.key] = from_frr
        self._behind.setdefault(from_frr.segment, {})[from_frr.key] = None
        return self._translated(from_frr)

    def forget_mac(self, mac: Mac) -> None:
        if before := self._macs.pop(mac.key, None):
            keys = self._behind[before.segment]
            del keys[mac.key]
            if not keys:
                del self._behind[before.segment]

    def all_macs(self) -> Iterator[Mac]:
        """Yield the MACs behind segments, as the datapath should have them."""
        return (self._translated(mac) for mac in list(self._macs.values()))

    def vteps(self, mac: Mac) -> tuple[bytes, ...]:
        """Return all VTEPs of a MAC's segment; () if it has none."""
        segment = self._segments.get(self.segment_of(mac))
        return segment.vteps if segment else ()

    def segment_of(self, mac: Mac) -> int:
        """Return the id of a MAC's segment, or 0."""
        return self._macs.get(mac.key, mac).segment

    def _translated(self, from_frr: Mac) -> Mac:
        vteps = self.vteps(from_frr)
        if self.balanced or not vteps:
            return from_frr
        return replace(from_frr, vtep=vteps[0], segment=0)
