"""The page of `dualpath top`, from two samples and the terminal's size. Pure.

A page has a head, sections and a foot. Lines without room are cut, and each section reports how
many rows it left out. The most important rows come first: sessions that are down, ports with the
most traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from controller.cli.columns import kind_text, span_text
from controller.cli.terminal import harmless
from dualpath.pb import inspect_pb2 as pb

GAP = "  "
LEAST = 3  # lines of a section: its heads and two rows, or one row and the number left out


class Style(Enum):
    PLAIN = auto()
    HEAD = auto()
    DIM = auto()
    GOOD = auto()
    BAD = auto()


@dataclass(frozen=True, slots=True)
class Line:
    text: str
    style: Style = Style.PLAIN


@dataclass(frozen=True, slots=True)
class Sample:
    """The daemon's answers at one moment."""

    at: float  # monotonic
    now: float  # since the epoch
    status: pb.StatusResponse
    ports: Sequence[pb.Port] = ()
    failed: Sequence[pb.Route] = ()  # some of the rows that the datapath refused


@dataclass(frozen=True, slots=True)
class _Section:
    heads: Sequence[str]
    rows: Sequence[tuple[Sequence[str], Style]]
    left: int = 1  # columns aligned to the left; the others contain numbers

    def lines(self, room: int) -> list[Line]:
        """Return at most `room` lines."""
        if room < 2 or not self.rows:
            return []
        shown = self.rows if len(self.rows) < room else self.rows[: room - 2]
        cells = [self.heads, *(row for row, _ in shown)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        styles = [Style.HEAD, *(style for _, style in shown)]
        lines = [
            Line(self._line(row, widths), style) for row, style in zip(cells, styles, strict=True)
        ]
        if left_out := len(self.rows) - len(shown):
            lines.append(Line(f"... and {left_out} more", Style.DIM))
        return lines

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        cells = (
            cell.ljust(width) if at < self.left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return GAP.join(cells).rstrip()

    @property
    def wanted(self) -> int:
        return len(self.rows) + 1 if self.rows else 0


def page(
    sample: Sample, before: Sample | None, width: int, height: int, note: str = ""
) -> list[Line]:
    """Return the lines for a terminal; `before` is an earlier sample of the same daemon.

    `note` is the reason why the sample is old; it replaces the list of keys in the foot.
    """
    head = list(_head(sample, before))
    foot = Line(note, Style.BAD) if note else Line("q quit   p pause   + - interval", Style.DIM)
    sections = [it for it in _sections(sample, before) if it.rows]
    room = _rooms([it.wanted for it in sections], height - len(head) - 1)
    lines = [*head]
    for section, some in zip(sections, room, strict=True):
        if found := section.lines(some - 1):
            lines += [Line(""), *found]
    lines = lines[: max(0, height - 1)]
    lines += [Line("")] * (height - 1 - len(lines))
    return [Line(harmless(it.text)[:width], it.style) for it in (*lines, foot)]


def _rooms(wanted: Sequence[int], height: int) -> list[int]:
    """Divide lines among sections, each after an empty line: fairly, and none more than it needs.

    Sections at the end get nothing if the terminal is too low for all.
    """
    fits = max(0, min(len(wanted), height // (LEAST + 1)))
    rooms = [LEAST + 1] * fits + [0] * (len(wanted) - fits)
    left = height - sum(rooms)
    while left > 0 and (open_ := [i for i in range(fits) if rooms[i] < wanted[i] + 2]):
        for index in open_[:left]:
            rooms[index] += 1
        left -= len(open_[:left])
    return rooms


def _head(sample: Sample, before: Sample | None) -> Iterable[Line]:
    status = sample.status
    up = span_text(sample.now - status.started_at.seconds)
    facts = (
        f"ready {'yes' if status.ready else 'NO'}",
        f"datapath {status.datapath}",
        f"session {status.session} {status.session_state}",
        f"up {up}",
        f"{_rate(sample, before, _sequence)} changes/s",
        f"repaired {status.repaired}",
    )
    yield Line("   ".join(facts), Style.GOOD if status.ready else Style.BAD)
    problem = status.not_ready or status.degraded or status.trial
    yield Line(problem, Style.BAD if problem else Style.PLAIN)


def _sections(sample: Sample, before: Sample | None) -> list[_Section]:
    return [_counts(sample), _sessions(sample), _ports(sample, before), _failures(sample)]


def _counts(sample: Sample) -> _Section:
    heads = ("ROWS", "DESIRED", "PROGRAMMED", "FAILED", "STALE", "UNMANAGED")
    rows = []
    for count in sample.status.counts:
        numbers = count.desired, count.programmed, count.failed, count.stale, count.unmanaged
        if any(numbers):
            bad = count.failed or count.desired != count.programmed
            style = Style.BAD if bad else Style.PLAIN
            rows.append(((kind_text(count.kind), *map(str, numbers)), style))
    rows.sort(key=lambda row: (row[1] is not Style.BAD, -int(row[0][1])))
    return _Section(heads, rows)


def _sessions(sample: Sample) -> _Section:
    heads = ("VRF", "BGP PEER", "STATE", "BFD", "AS", "SINCE", "RECEIVED", "SENT")
    rows = []
    for it in sorted(sample.status.sessions, key=lambda it: it.state == "Established"):
        since = span_text(sample.now - it.since.seconds) if it.HasField("since") else "-"
        numbers = str(it.remote_as), since, str(it.received), str(it.sent)
        up = it.state == "Established" and it.bfd in ("", "Up")
        cells = it.vrf, it.peer, it.state, it.bfd or "-", *numbers
        rows.append((cells, Style.PLAIN if up else Style.BAD))
    return _Section(heads, rows, left=4)


def _ports(sample: Sample, before: Sample | None) -> _Section:
    heads = ("PORT", "VRF", "LINK", "RX BIT/S", "RX PKT/S", "TX BIT/S", "TX PKT/S", "LOST/S")
    old = {port.name: port for port in before.ports} if before else {}
    seconds = sample.at - before.at if before else 0.0
    rows = []
    for port in sample.ports:
        link = port.link
        was = old[port.name].link if port.name in old else None
        *traffic, lost = _rates(link, was, seconds)
        state = ("up" if link.up else "DOWN") if port.HasField("link") else "-"
        where = port.vrf or (f"vni {port.vni}" if port.vni else "-")
        bad = state == "DOWN" or lost > 0
        cells = (port.name, where, state, *map(short, (*traffic, lost)))
        rows.append((traffic[0] + traffic[2], cells, Style.BAD if bad else Style.PLAIN))
    rows.sort(key=lambda row: (row[2] is not Style.BAD, -row[0]))
    return _Section(heads, [(cells, style) for _, cells, style in rows], left=3)


def _rates(link: pb.Link, was: pb.Link | None, seconds: float) -> list[float]:
    """Return bits and packets in, bits and packets out, and packets lost, per second."""
    counters = [_counters(link), _counters(was or link)]
    grown = (max(0, now - then) for now, then in zip(*counters, strict=True))
    return [number / seconds if seconds else 0.0 for number in grown]


def _counters(link: pb.Link) -> tuple[int, ...]:
    lost = link.rx_dropped + link.tx_errors
    return link.rx_bytes * 8, link.rx_packets, link.tx_bytes * 8, link.tx_packets, lost


def _failures(sample: Sample) -> _Section:
    rows = [((it.vrf, it.prefix, it.error), Style.BAD) for it in sample.failed]
    return _Section(("VRF", "REFUSED ROUTE", "WHY"), rows, left=3)


def _sequence(sample: Sample) -> int:
    return sample.status.sequence


def _rate(sample: Sample, before: Sample | None, read: Callable[[Sample], int]) -> str:
    if before is None or sample.at <= before.at:
        return "-"
    return short(max(0, read(sample) - read(before)) / (sample.at - before.at))


def short(number: float) -> str:
    """Return `999`, `1.5k`, `12M`: at most four characters up to 999T."""
    for unit in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.1f}{unit}" if unit and number < 9.95 else f"{number:.0f}{unit}"
        number /= 1000
    return f"{number:.0f}T"
