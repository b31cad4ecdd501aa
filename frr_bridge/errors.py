"""What a decoder may raise, and nothing else: bytes from a socket end in one of these."""

from __future__ import annotations


class DecodeError(Exception):
    """Bytes that cannot be what the protocol says. Skip the message, then resync."""

    def __init__(self, reason: str, *, offset: int, raw: bytes = b"") -> None:
        super().__init__(f"{reason} (byte {offset})")
        self.reason = reason  # the same text for the same kind of mistake: log each once
        self.offset = offset  # into the buffer that was decoded
        self.raw = raw  # the beginning of the bad message, for the log


class FramingError(DecodeError):
    """The stream itself is lost. Drop the connection; zebra will replay."""
