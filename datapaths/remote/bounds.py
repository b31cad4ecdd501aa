"""Limits for the memory that one agent may use in the controller. No I/O.

An agent is another process, may run on another host, and may be written by other people. Each limit
turns a flood into an error that names the agent; the next call starts from zero.

    one message        4 MiB: gRPC's default, and the contract's. Two bytes are an empty port, so
                       parsed it takes up to 300 MiB, for as long as the call lasts.
    lists in a reply   65,536 ports, facts, ... in all
    a dump             512 MiB and 1,048,576 records (21 million routes) within 300 s
    a learned stream   1,048,576 MACs and neighbors; it has no end, and its messages wait in gRPC's
                       flow control until the controller reads them
    a text             1,000 characters; the rest is cut off, because it is for people

Rejected: a limit on messages only. A stream of small ones fills the memory as well.
"""

from __future__ import annotations

MESSAGE_BYTES = 4 * 1024 * 1024
MOST_ENTRIES = 65_536
DUMP_BYTES = 512 * 1024 * 1024
DUMP_RECORDS = 1 << 20
MOST_LEARNED = 1 << 20
MOST_TEXT = 1000


class OutOfBounds(ValueError):
    """A reply, or a stream of replies, exceeds a limit."""


def check_count(count: int, what: str) -> None:
    """Raise OutOfBounds when a reply has more than MOST_ENTRIES of something."""
    if count > MOST_ENTRIES:
        raise OutOfBounds(f"{count} {what}; the limit is {MOST_ENTRIES}")


def cut(text: str) -> str:
    """Return a text, cut to at most MOST_TEXT characters, because it is for people."""
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 3]}..."


class DumpMeter:
    """Adds up the messages of one dump."""

    def __init__(self) -> None:
        self._bytes = 0
        self._records = 0

    def add(self, size: int, records: int) -> None:
        """Count a message, and its rows unless they are routes. Raises OutOfBounds."""
        self._bytes += size
        self._records += records
        if self._bytes > DUMP_BYTES:
            raise OutOfBounds(f"a dump of more than {DUMP_BYTES >> 20} MiB")
        if self._records > DUMP_RECORDS:
            raise OutOfBounds(f"a dump of more than {DUMP_RECORDS} records")
