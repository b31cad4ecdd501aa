"""Log rows that the datapath refuses: one line for a reason, however many rows it is given for."""

from __future__ import annotations

import logging

from dualpath.model.kinds import Kind
from dualpath.model.records import Key

log = logging.getLogger(__name__)

IN_FULL = 3  # rows with one reason, each with a line of its own


class Refusals:
    """Rows that were refused, and are not logged yet."""

    def __init__(self) -> None:
        self._why: dict[tuple[Kind, Key], str] = {}

    def note(self, kind: Kind, key: Key, why: str) -> None:
        self._why[kind, key] = why

    def forget(self, kind: Kind, key: Key) -> None:
        """Drop a row that the datapath has taken after all."""
        self._why.pop((kind, key), None)

    def report(self) -> None:
        """Log them. A lower layer bounds the lines; here 100,000 rows must not take a second."""
        alike: dict[tuple[Kind, str], list[Key]] = {}
        for (kind, key), why in self._why.items():
            alike.setdefault((kind, why), []).append(key)
        self._why.clear()
        for (kind, why), keys in alike.items():
            if len(keys) <= IN_FULL:
                for key in keys:
                    log.warning("%s %s: %s", kind.name, key, why)
            else:
                more = {"rows": len(keys)}
                text = "%s %s and %s more: %s"
                log.warning(text, kind.name, keys[0], f"{len(keys) - 1:,}", why, extra=more)
