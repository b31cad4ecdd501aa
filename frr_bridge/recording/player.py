"""Plays a recording into a `Bridge`: the same code, with a file in place of sockets.

Nothing here trusts the recording. Netlink and FPM go through the same decoders as bytes from the
sockets; an impossible mark is a RecordingError.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import pairwise

from dualpath.netlink.message import DecodeError
from frr_bridge.announcer import Bus
from frr_bridge.bridge import Bridge
from frr_bridge.recording import tape
from frr_bridge.recording.pcapng import Entry, Feed, RecordingError
from frr_bridge.rows import decode_rows
from frr_bridge.session import Input, State, reached
from frr_bridge.wire.fpm import FpmFramer, FramingError
from frr_bridge.wire.link import LinkMessage

log = logging.getLogger(__name__)

_DIED_WITHIN = f"{tape.INPUT}{Input.DIED}{tape.WITHIN}".encode()


class Player:
    """A bridge and its input. `entries` are of one file, or of several in order."""

    def __init__(self, bus: Bus) -> None:
        self.bridge = Bridge(
            bus,
            bgpd_died=self._bgpd_died,
            answer=lambda _: None,
            dump_complete=lambda: self._whole,
        )
        self.at_us = 0  # the time of the current entry
        self.links_changed = False
        self.remarks: list[str] = []  # what the recording lacks
        self._framer = FpmFramer()
        self._whole = False
        self._dumping = False
        self._behind = False
        self._dies = False  # within the current entry
        self._died = False  # its mark has not arrived yet
        self._part = 0
        self._continues = False  # the current part follows the previous one
        self._problem: RecordingError | None = None
        self._frames_lost = False  # until the next session, because the stream could not be read

    def play(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Process one entry after the other; yield each once it is done. Raises RecordingError."""
        for entry, following in pairwise(self._to_the_end(entries)):
            self._dies = following.feed is Feed.MARK and following.data == _DIED_WITHIN
            self.at_us = max(self.at_us, entry.at_us)
            self._one(entry)
            while self.bridge.flush():
                pass
            yield entry
        if self._problem:
            raise self._problem

    def _to_the_end(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield one entry more than there are, so that each has a successor."""
        try:
            yield from entries
        except RecordingError as error:
            self._problem = error  # once the previous entries are played
        yield Entry(0, Feed.MARK, b"")

    def _one(self, entry: Entry) -> None:
        match entry.feed:
            case Feed.FPM:
                self._fpm(entry.data)
            case Feed.NETLINK:
                self._netlink(entry.data)
            case Feed.MARK:
                self._mark(entry.data.decode(errors="backslashreplace"))

    def _fpm(self, data: bytes) -> None:
        if self._frames_lost:
            return
        if self.bridge.session.state is State.IDLE:
            raise RecordingError("bytes of FPM without a session")
        in_order, self._behind = self._whole and not self._behind, False
        try:
            frames = self._framer.feed(data)
        except FramingError as error:
            log.warning("FPM: %s: %s; the session ended here", error, error.raw[:64].hex())
            self._frames_lost = True
            return
        self.bridge.receive_frames(frames, in_order=in_order)

    def _netlink(self, rows: bytes) -> None:
        try:
            for row in decode_rows(rows):
                self.links_changed |= isinstance(row, LinkMessage)
                self.bridge.receive_netlink(row)
        except DecodeError as error:
            log.warning("netlink: a message is malformed: %s", error)

    def _mark(self, text: str) -> None:
        match text:
            case tape.DUMP_BEGIN:
                self._dumping, self._whole = True, False
                self.bridge.begin_dump()
            case tape.DUMP_END:
                if self._dumping:
                    self._dumping, self._whole = False, True
                    self.links_changed = True
                    self.bridge.end_dump()
            case tape.LOST:
                self._whole = False
            case tape.BEHIND:
                self._behind = True
            case tape.COLLECT:
                self.bridge.collect()
            case tape.CAUGHT_UP:
                self.bridge.caught_up()
            case _:
                self._mark_with_value(text)

    def _mark_with_value(self, text: str) -> None:
        if text.startswith(tape.PART):
            self._begin_part(text)
        elif text.startswith(tape.ACKNOWLEDGE):
            self.bridge.acknowledge = text.endswith("1")
        elif text.startswith(tape.STATE):
            self._reach(text)
        elif text.startswith(tape.INPUT):
            self._input(text)
        else:
            raise RecordingError(f"a mark that cannot be: {text[:40]!r}")

    def _begin_part(self, text: str) -> None:
        number = text.removeprefix(tape.PART)
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise RecordingError(f"a mark that cannot be: {text[:40]!r}")
        before, self._part = self._part, int(number)
        if before and self._part != before + 1:
            raise RecordingError(
                f"part {self._part} does not follow part {before}: another frr-bridge made it, or "
                "a file is missing between; replay it alone"
            )
        if not before and self._part > 1:
            self.remarks.append(
                f"the recording begins with part {self._part}: routes that FRR sent before are "
                "missing; replay the older file first, if there is one"
            )
        self._continues = before > 0
        self._framer = FpmFramer()  # a part begins with a whole frame

    def _reach(self, text: str) -> None:
        """Move to the state in which a part begins, unless the previous part ended in it."""
        try:
            state = State(text.removeprefix(tape.STATE))
        except ValueError:
            raise RecordingError(f"a mark that cannot be: {text[:40]!r}") from None
        if not self._continues and self.bridge.session.state is State.IDLE:
            for happened in reached(state):
                self.bridge.step(happened)

    def _input(self, text: str) -> None:
        within = text.endswith(tape.WITHIN)
        name = text.removeprefix(tape.INPUT).removesuffix(tape.WITHIN)
        if within and self._died:
            self._died = False
            return
        try:
            happened = Input(name)
            if happened is Input.CONNECTED:
                self._framer = FpmFramer()
                self._frames_lost = False
            self.bridge.step(happened)
        except (ValueError, KeyError):
            state = self.bridge.session.state
            raise RecordingError(f"a mark that cannot be: {text[:40]!r} while {state}") from None

    def _bgpd_died(self) -> bool:
        """Answer as bgpd's connection did when the entry was recorded."""
        if not self._dies:
            return False
        self._dies = False
        self._died = True
        self.bridge.step(Input.DIED)
        return True
