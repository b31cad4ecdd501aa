"""Writes a recording while frr-bridge works; an error ends only the recording.

The event loop only builds packets and queues them; a thread writes, because a disk may hang. Two
limits:

    a file   of `limit` bytes becomes FILE.1, which replaces an older one, and FILE begins again
    memory   a disk that is 32 MiB behind ends the recording

A file that begins in the middle of a session starts with marks of the session's state, and with a
new dump of FRR's namespace. It does not repeat routes: replay FILE.1 first to have them.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue

from frr_bridge.recording import pcapng, tape
from frr_bridge.recording.pcapng import RecordingError
from frr_bridge.recording.scrub import scrub
from frr_bridge.recording.tape import Tape

log = logging.getLogger(__name__)

LIMIT = 64 << 20
_BEHIND = 32 << 20
_END_S = 2.0  # to write the queued packets, at the end
_OLDER = ".1"


class Recorder(Tape):
    """Records into a file, from now on. Raises OSError or RecordingError.

    `state` returns the marks that a file begins with; `dump` asks for a dump of FRR's namespace.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.state: Callable[[], Sequence[str]] = tuple
        self.dump: Callable[[], object] = lambda: None
        self.path = path
        self._limit = limit
        self._files = _Files(path)
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()  # None: start another file
        self._queued = 0
        self._written = 0
        self._size = 0  # of the present file
        self._part = 0
        self._session = 0
        self._position = 0  # in the FPM session's bytes
        self._ended = False
        self._failed = False
        self._dumping = False  # a requested dump, of any size, does not count towards the limit
        self._offset_us = time.time_ns() // 1000 - time.monotonic_ns() // 1000
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._begin_file()
        self._thread.start()
        log.info("recording both feeds into %s, at most twice %d MiB", path, limit >> 20)

    def fpm(self, tail: bytes, data: bytes) -> None:
        if self._begin_another():
            self._position -= len(tail)  # a file begins with a whole frame
            data = tail + data
        packets = pcapng.fpm(self._now_us(), self._session, self._position, data)
        self._position += len(data)
        self._put(packets)

    def netlink(self, rows: bytes) -> None:
        self._begin_another()
        self._put(pcapng.netlink(self._now_us(), scrub(rows)))

    def mark(self, text: str) -> None:
        if text == f"{tape.INPUT}connected":
            self._session += 1
            self._position = 0
        self._put(pcapng.mark(self._now_us(), text))
        if text == tape.DUMP_END and self._dumping:
            self._dumping = False
            self._size = 0

    def close(self) -> None:
        """Write the queued packets, as far as the disk accepts them soon."""
        if not self._ended:
            self._ended = True
            self._queue.put(b"")
        self._thread.join(_END_S)

    def _now_us(self) -> int:
        """Return the wall clock at the start plus the time since: it never goes back."""
        return self._offset_us + time.monotonic_ns() // 1000

    def _put(self, packets: bytes) -> None:
        if self._ended:
            return
        self._size += len(packets)
        self._queued += len(packets)
        if self._queued - self._written > _BEHIND:
            self._fail(f"the disk is {_BEHIND >> 20} MiB behind")
            return
        self._queue.put(packets)

    def _begin_another(self) -> bool:
        """Start another file when the current one is full; return whether it was."""
        if self._ended or self._size < self._limit * (2 if self._dumping else 1):
            return False
        self._queue.put(None)
        self._begin_file()
        if not self._dumping:
            self._dumping = True
            self.dump()
        return True

    def _begin_file(self) -> None:
        self._size = 0
        self._part += 1
        self._put(pcapng.head())
        for text in (f"{tape.PART}{self._part}", *self.state()):
            self._put(pcapng.mark(self._now_us(), text))

    def _fail(self, why: str) -> None:
        self._ended = True
        self._queue.put(b"")
        if not self._failed:
            self._failed = True
            log.warning("%s: %s; the recording ends here, frr-bridge continues", self.path, why)

    # -- the thread -----------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while (packets := self._queue.get()) != b"":
                if packets is None:
                    self._files.next()
                    continue
                self._files.write(packets)
                self._written += len(packets)
        except (OSError, RecordingError) as error:
            self._fail(getattr(error, "strerror", "") or str(error))
        finally:
            self._files.close()


class _Files:
    """The current file. It and its predecessor are found by name in a directory held open."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._file = self._begin()
        except BaseException:
            os.close(self._directory)
            raise

    def write(self, packets: bytes) -> None:
        left = memoryview(packets)
        while left:
            left = left[os.write(self._file, left) :]

    def next(self) -> None:
        """Begin another file."""
        os.close(self._file)
        self._file = -1
        self._file = self._begin()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        os.close(self._directory)

    def _begin(self) -> int:
        """Create the file; keep an existing one as the older file."""
        self._check(self._name + _OLDER)
        if self._check(self._name):
            os.rename(
                self._name,
                self._name + _OLDER,
                src_dir_fd=self._directory,
                dst_dir_fd=self._directory,
            )
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._name, flags, 0o600, dir_fd=self._directory)
        os.fchmod(file, 0o600)  # regardless of the umask
        return file

    def _check(self, name: str) -> bool:
        """Return whether a file exists; refuse one that is not a recording."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            file = os.open(name, flags, dir_fd=self._directory)
        except FileNotFoundError:
            return False
        try:
            plain = stat.S_ISREG(os.fstat(file).st_mode)
            start = os.read(file, 64) if plain else b"?"
        finally:
            os.close(file)
        if start and not pcapng.is_recording(start):
            raise RecordingError(f"{name} exists and is not a recording; choose another file")
        return True
