"""The log as a Dualpath program writes it, with its limits and a clock of its own."""

from __future__ import annotations

import io
import logging
import re

from dualpath.process.logs import INTERVAL_S, Bounded, TextFormatter


class Written:
    """Lines of everything that is logged between `with` and its end."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self._now = 1000.0
        target = logging.StreamHandler(self._text)
        target.setFormatter(TextFormatter())
        self._handler = Bounded(target, lambda: self._now)

    def __enter__(self) -> Written:
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)

    @property
    def lines(self) -> list[str]:
        """Every line so far, and the summaries of an interval."""
        self._now += INTERVAL_S
        self._handler.flush()
        return self._text.getvalue().splitlines()

    @property
    def rows(self) -> int:
        """How many rows the lines are about."""
        return sum(map(_rows, self.lines))


def _rows(line: str) -> int:
    if summary := re.search(r": ([\d,]+) more like this", line):
        return int(summary[1].replace(",", ""))
    others = re.search(r" and ([\d,]+) more: ", line)
    return 1 + (int(others[1].replace(",", "")) if others else 0)
