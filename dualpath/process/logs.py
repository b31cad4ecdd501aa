"""Logging of all daemons: text or JSON lines on standard error, limited per place in the code.

Most lines are caused from outside: by a route, a message, a connection. A peer that sends 100,000
bad messages must not fill a disk. So each place in the code that logs is limited, per level. The
first FIRST lines are written. Further ones are only counted, and every INTERVAL_S a summary line
has their number and the last of them. After an interval with fewer than FIRST lines, lines are
written again: a peer with an occasional bad message suppresses nothing. Callers just log.

    12:00:00  nexthop 1: ENODEV        ten lines like this
    12:00:30  99,990 more like this in 30 s; the last one: nexthop 100000: ENODEV

Rejected: a limit for the whole process, where one place would suppress all others. A limit by text:
a text often contains an address, so each would be a new one.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from dualpath.model.redact import redact_prose

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
TALKATIVE = ("asyncio", "grpc", "pyroute2")
"""Libraries that log every message at DEBUG."""

FIRST = 10
INTERVAL_S = 30.0
LENGTH = 4000  # characters of a message; a bad message's hexadecimal can have 130,000

WHOLE = {"whole": True}
"""Pass it as `extra` for lines about the administrator's own input: they are not limited."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class TextFormatter(logging.Formatter):
    """Formats each message as one line: text from FRR or a peer cannot start a new line.

    With `timed`, lines begin with the time. systemd's journal stores the time itself.
    """

    def __init__(self, *, timed: bool = False) -> None:
        text = "%(levelname)s %(name)s: %(message)s"
        super().__init__(f"%(asctime)s {text}" if timed else text, "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _CONTROL.sub(_escaped, _shown(record))
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:
        text = redact_prose(super().formatException(ei))  # type: ignore[arg-type]  # as it is given
        return "\n".join(f"  {_CONTROL.sub(_escaped, line)}" for line in text.split("\n"))


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and `exception` if any."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shown(record),
        }
        if record.exc_info:
            entry["exception"] = redact_prose(self.formatException(record.exc_info))
        return json.dumps(entry)


class Bounded(logging.Handler):
    """Passes records on to `target`, within the limits.

    The attribute `rows` of a record is the number of rows that it is about, 1 by default.
    """

    def __init__(
        self, target: logging.Handler, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._target = target
        self._clock = clock
        self._places: dict[tuple[str, int, int], _Place] = {}

    def emit(self, record: logging.LogRecord) -> None:
        now = self._clock()
        key = record.pathname, record.lineno, record.levelno
        place = self._places.setdefault(key, _Place(now))
        self._summarize(place, now)
        if getattr(record, "whole", False) or place.allows(record, now):
            self._target.handle(record)

    def flush(self) -> None:
        """Write the summaries that are due; call it about once a second."""
        with self._locked():
            for place in self._places.values():
                self._summarize(place, self._clock())

    def close(self) -> None:
        """Write all summaries, and close."""
        with self._locked():
            for place in self._places.values():
                self._summarize(place, float("inf"))
        super().close()

    def _locked(self) -> logging._Lock:  # type: ignore[name-defined]  # the stubs lack it
        assert self.lock is not None
        return self.lock

    def _summarize(self, place: _Place, now: float) -> None:
        if summary := place.summary(now, self._clock()):
            self._target.handle(summary)


class _Place:
    """A line of code and a level, with its written and suppressed lines of one interval."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._written = 0
        self._held = 0  # suppressed lines
        self._rows = 0  # rows that these are about
        self._last: logging.LogRecord | None = None

    def allows(self, record: logging.LogRecord, now: float) -> bool:
        """Return whether a record may be written; count it when it may not."""
        if now - self._began >= INTERVAL_S:  # and no line was suppressed in it: see `summary`
            self._began, self._written = now, 0
        if self._written < FIRST:
            self._written += 1
            return True
        self._held += 1
        self._rows += getattr(record, "rows", 1)
        self._last = record
        return False

    def summary(self, due: float, now: float) -> logging.LogRecord | None:
        """Return the summary line at the end of an interval with suppressed lines; else None.

        While as many lines come, the next interval has only its summary. The target formats the
        text, and handles errors in it.
        """
        if self._last is None or due - self._began < INTERVAL_S:
            return None
        last = self._last
        values = dict(last.__dict__)
        counted = f"{self._rows:,} more like this in {now - self._began:.0f} s; the last one: "
        values["msg"] = f"{counted}{last.msg}"
        values["exc_info"] = values["exc_text"] = None
        self._written = FIRST if self._held >= FIRST else 0
        self._began, self._held, self._rows, self._last = now, 0, 0, None
        return logging.makeLogRecord(values)


def add_options(add: Callable[..., object]) -> None:
    """Add --log-level and --log-format by a parser's `add_argument`."""
    add("--log-level", choices=LEVELS, default="info", help="(%(default)s)")
    add("--log-format", choices=FORMATS, default="text", help="(%(default)s)")


def start(level: str, form: str) -> None:
    """Log from now on."""
    handler = logging.StreamHandler()
    text = TextFormatter(timed=sys.stderr.isatty())
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[Bounded(handler)])
    for name in TALKATIVE if level == "debug" else ():
        logging.getLogger(name).setLevel(logging.INFO)


def summarize() -> None:
    """Write the summaries that are due. Call it about once a second."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _shown(record: logging.LogRecord) -> str:
    text = redact_prose(record.getMessage())
    return text if len(text) <= LENGTH else f"{text[:LENGTH]}... ({len(text):,} characters)"


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
