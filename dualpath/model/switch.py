"""The order and the progress of `dualpath switch`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    PREPARE = "prepare"  # start the other datapath, program it and audit it
    MOVE = "move"  # move the traffic of ports
    VERIFY = "verify"  # check that packets pass
    COMMIT = "commit"  # the other datapath speaks for the node
    FINISH = "finish"  # end the old one, or keep it
    ROLL_BACK = "roll-back"


class SwitchRefused(Exception):
    """The switch cannot begin, and nothing was done. The text says what to do."""


class SwitchFailed(Exception):
    """The switch was rolled back. The text says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """One call of `dualpath switch`."""

    to: str  # "kernel", "dpdk"
    ports: tuple[str, ...] = ()  # none: all
    keep: bool = False  # keep the old datapath programmed
    dry_run: bool = False
    back_after_s: float = 0.0  # undo it then, unless confirmed; 0: it needs no confirmation


Tell = Callable[[Step, str], None]
"""Receives progress in words."""
