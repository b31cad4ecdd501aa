"""Feeds mutated recordings of real FPM sessions to the framer and both decoders.

Run as `python -m tests.fuzz.fpm [--count N] [--seed S]`. Nothing but a FramingError may escape,
both decoders must agree on every buffer, and memory must not grow. Ends with one line of figures,
and with exit code 1 if memory grew.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from dualpath.model.routes import U8, U32
from frr_bridge.wire import columns
from frr_bridge.wire.columns import Decoded, TableRoutes, decode
from frr_bridge.wire.fpm import HEADER, FpmFramer, Frames, FramingError
from frr_bridge.wire.neighbor import NeighborMessage
from tests.unit.frr_bridge.wire.build import DictHandles

VECTORS = Path(__file__).parents[1] / "vectors" / "fpm"
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 28, 30, 127, 128, 254, 255)
SESSION = 200  # messages; each session is one connection, with handles of its own
ALLOWED_KIB = 16 << 10  # growth of the resident set after the first tenth


@dataclass(slots=True)
class Report:
    """What happened, added up."""

    messages: int = 0
    sessions: int = 0
    framing_errors: int = 0
    routes: int = 0
    others: int = 0
    decode_errors: int = 0
    ignored: int = 0
    grown_kib: int = 0
    took_s: float = 0.0
    reasons: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{self.messages} messages in {self.sessions} sessions, {self.took_s:.0f} s: "
            f"{self.routes} routes, {self.others} others, {self.decode_errors} bad messages "
            f"of {len(self.reasons)} kinds, {self.ignored} of no meaning, "
            f"{self.framing_errors} sessions ended by framing; memory grew {self.grown_kib} KiB"
        )


def recorded() -> list[bytes]:
    """Return every frame of every recording."""
    frames: list[bytes] = []
    for path in sorted(VECTORS.glob("*.fpm")):
        stream = path.read_bytes()
        offsets = FpmFramer().feed(stream).offsets.tolist()
        frames += [stream[at : at + HEADER.unpack_from(stream, at)[2]] for at in offsets]
    return frames


def run(count: int, seed: int) -> Report:
    """Mutate `count` messages. Raises whatever must not escape, and AssertionError."""
    source = random.Random(seed)
    corpus = recorded()
    report = Report()
    began = time.monotonic()
    at_first = 0
    while report.messages < count:
        frames = [_mutated(source, source.choice(corpus), corpus) for _ in range(SESSION)]
        report.messages += len(frames)
        report.sessions += 1
        _session(source, _spoilt(source, frames), report)
        if not at_first and report.messages * 10 >= count:
            at_first = _resident_kib()
    report.grown_kib = _resident_kib() - at_first
    report.took_s = time.monotonic() - began
    return report


def _resident_kib() -> int:
    """Return the resident set's peak: what grows for ever moves it."""
    gc.collect()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _mutated(source: random.Random, frame: bytes, corpus: list[bytes]) -> bytes:
    """Damage what is in a frame, but not how the frame is cut out of the stream."""
    payload = bytearray(frame[HEADER.size :])
    for _ in range(source.choice((0, 1, 1, 2, 4))):
        _damage(source, payload, corpus)
    return HEADER.pack(1, 1, HEADER.size + len(payload)) + payload


def _damage(source: random.Random, payload: bytearray, corpus: list[bytes]) -> None:
    at = source.randrange(len(payload) + 1)
    match source.randrange(7):
        case 0 if at < len(payload):
            payload[at] = source.choice(INTERESTING)
        case 1 if at < len(payload):
            payload[at] ^= 1 << source.randrange(8)
        case 2:
            del payload[at:]
        case 3:
            del payload[at : at + source.randrange(1, 9)]
        case 4:
            payload[at:at] = source.randbytes(source.randrange(1, 9))
        case 5:
            payload += source.choice(corpus)[HEADER.size :]
        case _:  # a length: of the message or of an attribute, most often on a word
            payload[at & ~3 : (at & ~3) + 2] = source.randrange(1 << 16).to_bytes(2, "little")


def _spoilt(source: random.Random, frames: list[bytes]) -> bytes:
    """Join frames; in one session of ten, damage a frame's header too."""
    if source.randrange(10) == 0:
        at = source.randrange(len(frames))
        header = bytearray(frames[at])
        header[source.randrange(HEADER.size)] = source.choice(INTERESTING)
        frames[at] = bytes(header)
    return b"".join(frames)


def _session(source: random.Random, stream: bytes, report: Report) -> None:
    framer, handles = FpmFramer(), DictHandles()
    at = 0
    while at < len(stream):
        size = source.choice((1, 100, 1500, 16384))
        try:
            frames = framer.feed(stream[at : at + size])
        except FramingError:
            report.framing_errors += 1
            return
        _decode(frames, handles, report)
        at += size


def _decode(frames: Frames, handles: DictHandles, report: Report) -> None:
    decoded = decode(frames.buffer, frames.offsets, handles)
    with patch.object(columns, "FEW", 2):
        quick = decode(frames.buffer, frames.offsets, handles)
    with patch.object(columns, "FEW", 1 << 30):
        slow = decode(frames.buffer, frames.offsets, handles)
    assert _plain(decoded) == _plain(quick) == _plain(slow), "decoders disagree"
    report.routes += sum(map(len, decoded.routes))
    report.others += len(decoded.others)
    report.decode_errors += len(decoded.errors)
    report.reasons.update(error.reason for error in decoded.errors)
    report.ignored += decoded.ignored


def _columns(table: TableRoutes) -> tuple[U8 | U32, ...]:
    return (
        table.ops,
        table.prefixes,
        table.lengths,
        table.protocols,
        table.nexthops,
    )


def _plain(decoded: Decoded) -> object:
    """Return what was decoded as values that can be compared."""
    tables = [
        (t.table, t.family, [column.tobytes() for column in _columns(t)]) for t in decoded.routes
    ]
    # Two errors are never equal.
    others = [
        o._replace(error=None) if isinstance(o, NeighborMessage) else o for o in decoded.others
    ]
    return tables, others, [str(e) for e in decoded.errors], decoded.ignored


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run(options.count, options.seed)
    sys.stdout.write(f"{report}\n")
    return int(report.grown_kib > ALLOWED_KIB)


if __name__ == "__main__":
    sys.exit(main())
