"""Logs rows that the datapath refuses: one line per reason, however many rows it has."""

from __future__ import annotations

import logging

from dualpath.model.kinds import Kind
from dualpath.model.records import Key

log = logging.getLogger(__name__)

IN_FULL = 3  # up to this number of rows, each row of one reason has its own line


class Refusals:
    """Refused rows that are not logged yet."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[Kind, Key], str] = {}

    def note(self, kind: Kind, key: Key, reason: str) -> None:
        self._reasons[kind, key] = reason

    def forget(self, kind: Kind, key: Key) -> None:
        """Remove a row that the datapath accepted later."""
        self._reasons.pop((kind, key), None)

    def report(self) -> None:
        """Log the rows. The log limits its lines; here 100,000 rows must not take a second."""
        alike: dict[tuple[Kind, str], list[Key]] = {}
        for (kind, key), reason in self._reasons.items():
            alike.setdefault((kind, reason), []).append(key)
        self._reasons.clear()
        for (kind, reason), keys in alike.items():
            if len(keys) <= IN_FULL:
                for key in keys:
                    log.warning("%s %s: %s", kind.name, key, reason)
            else:
                more = {"rows": len(keys)}
                text = "%s %s and %s more: %s"
                log.warning(text, kind.name, keys[0], f"{len(keys) - 1:,}", reason, extra=more)
