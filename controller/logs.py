"""How our processes log: lines for people, or JSON for programs. Always on standard error."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
TALKATIVE = ("asyncio", "grpc", "pyroute2")
"""Libraries that say at DEBUG what they do with every message, in which our lines would drown."""


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message, and `exception` if any."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        said = {
            "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


def add_options(add: Callable[..., object]) -> None:
    """Add --log-level and --log-format by a parser's `add_argument`."""
    add("--log-level", choices=LEVELS, default="info", help="(%(default)s)")
    add("--log-format", choices=FORMATS, default="text", help="(%(default)s)")


def start(level: str, form: str) -> None:
    """Log from now on."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in TALKATIVE if level == "debug" else ():
        logging.getLogger(name).setLevel(logging.INFO)
