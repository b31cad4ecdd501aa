"""Decide by counters whether packets still pass after ports were moved to another datapath. Pure.

In shared wiring the NICs stay with the kernel. It counts the packets that enter and leave a port,
whichever datapath forwards them. The second datapath counts the packets that it gets from each
port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datapaths.base import PortState

FEW = 50  # packets in a window: FRR's own may be as many, and they pass by any datapath
KEPT = 0.5  # the least share of leaving packets, compared with before


@dataclass(frozen=True, slots=True)
class Sample:
    """Packets that entered and left by each port so far, and those that the second datapath saw."""

    entered: Mapping[str, int]
    left: Mapping[str, int]
    seen: Mapping[str, int]

    @classmethod
    def of(cls, nics: Sequence[PortState], second: Sequence[PortState]) -> Sample:
        return cls(
            {port.name: port.rx_packets for port in nics},
            {port.name: port.tx_packets for port in nics},
            {port.name: port.rx_packets for port in second},
        )

    def since(self, before: Sample) -> Sample:
        return Sample(
            _grown(self.entered, before.entered),
            _grown(self.left, before.left),
            _grown(self.seen, before.seen),
        )


def problem(before: Sample, after: Sample, to_second: Sequence[str]) -> str:
    """Compare a window before a move with one of equal length after it; return "" if packets pass.

    `to_second` are the ports that moved to the second datapath.
    """
    for port in to_second:
        if after.entered.get(port, 0) >= FEW and not after.seen.get(port, 0):
            return f"{after.entered[port]} packets entered by {port}, and it saw none of them"
    entered, left = sum(before.entered.values()), sum(before.left.values())
    enter, leave = sum(after.entered.values()), sum(after.left.values())
    if entered < FEW or left < FEW:
        return ""
    expected = left * min(1.0, enter / entered) * KEPT
    if leave < expected:
        return f"{leave} packets left while {enter} entered; before, {left} and {entered}"
    return ""


def passed(after: Sample, ports: Sequence[str], window_s: float) -> str:
    """Return a window's packets as text."""
    entered = sum(after.entered.get(port, 0) for port in ports)
    left = sum(after.left.values())
    return f"{entered} packets entered by {', '.join(ports)}, {left} left, in {window_s:.0f} s"


def _grown(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: max(0, value - before.get(name, 0)) for name, value in now.items()}
