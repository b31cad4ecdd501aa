"""The machine's neighbor tables, one for ARP and one for ND: usage and limits.

The kernel counts the rows of all namespaces together, against limits of the first namespace
(net/core/neighbour.c, neigh_alloc). Above `gc_thresh2` it evicts rows that are in use; above
`gc_thresh3` it creates no new row. Rows with NTF_EXT_LEARNED, such as remote neighbors, do not
count against the limits, but the number of entries includes them.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datapaths.linux.netns import entered
from dualpath.model.view import NeighborTable

FIRST_NETNS = "/proc/1/ns/net"
SYSCTL = Path("/proc/sys/net")
STATISTICS = Path("/proc/thread-self/net/stat")
TABLES = {"ipv4": "arp_cache", "ipv6": "ndisc_cache"}
SHARES = {"gc_thresh3": 1.0, "gc_thresh2": 0.75, "gc_thresh1": 0.25}  # written in this order

DEFAULT_LIMIT = 65536  # an existing row takes about 400 bytes

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Raised:
    """The result of raising the limits."""

    changed: Mapping[str, int]  # sysctl to its new value
    refused: Mapping[str, int]  # sysctl to the value that could not be written
    reason: str = ""


def raise_limits(most: int) -> Raised:
    """Raise the limits of both tables to at least `most` rows. Never lowers one."""
    try:
        return _in_first(lambda: raise_below(SYSCTL, most))
    except OSError as error:
        refused = {
            _name(f, key): int(most * share) for f in TABLES for key, share in SHARES.items()
        }
        return Raised({}, refused, os.strerror(error.errno or errno.EIO))


def raise_below(sysctl: Path, most: int) -> Raised:
    """Raise the limits below a directory. Skip a family that the kernel lacks."""
    changed: dict[str, int] = {}
    refused: dict[str, int] = {}
    reason = ""
    for family in TABLES:
        if not (sysctl / family).exists():
            continue
        for key, share in SHARES.items():
            path, wanted = sysctl / family / "neigh/default" / key, int(most * share)
            try:
                if int(path.read_text()) < wanted:
                    path.write_text(f"{wanted}\n")
                    changed[_name(family, key)] = wanted
            except OSError as error:
                refused[_name(family, key)] = wanted
                reason = os.strerror(error.errno or errno.EIO)
    return Raised(changed, refused, reason)


def limits_to_raise(most: int) -> Mapping[str, int]:
    """Return the limits that `raise_limits` would raise, and to what; change nothing."""
    try:
        return _in_first(lambda: dict(_below(SYSCTL, most)))
    except OSError:
        return {}


def _below(sysctl: Path, most: int) -> Iterator[tuple[str, int]]:
    for family in TABLES:
        for key, share in SHARES.items():
            path, wanted = sysctl / family / "neigh/default" / key, int(most * share)
            if path.exists() and int(path.read_text()) < wanted:
                yield _name(family, key), wanted


def usage() -> Sequence[NeighborTable]:
    """Return how full the tables are; () without access to the first namespace."""
    try:
        return _in_first(lambda: usage_below(SYSCTL, STATISTICS))
    except OSError:
        return ()


def usage_below(sysctl: Path, statistics: Path) -> Sequence[NeighborTable]:
    """Read the usage below two directories. Raises OSError."""
    found: list[NeighborTable] = []
    for family, table in TABLES.items():
        if (statistics / table).exists():
            entries, refused = _counted((statistics / table).read_text())
            limit = int((sysctl / family / "neigh/default/gc_thresh3").read_text())
            found.append(NeighborTable(family, entries, limit, refused))
    return found


def _counted(text: str) -> tuple[int, int]:
    """Decode a file of /proc/net/stat: return entries and refusals.

    The file has a line for each CPU, in hexadecimal.
    """
    names, *rows = (line.split() for line in text.splitlines())
    refused = names.index("table_fulls") if "table_fulls" in names else None
    entries = int(rows[0][names.index("entries")], 16)  # the same in each line
    return entries, sum(int(row[refused], 16) for row in rows) if refused is not None else 0


def _name(family: str, key: str) -> str:
    return f"net.{family}.neigh.default.{key}"


def _in_first(call: Callable[[], T]) -> T:
    """Run `call` in the machine's first namespace, the only one that has these settings."""
    if (SYSCTL / "ipv4/neigh/default/gc_thresh3").exists():
        return call()
    with entered(FIRST_NETNS):
        return call()


def ensure_limits(most: int) -> None:
    """Raise the machine's neighbor tables to at least `most` rows; 0 changes nothing."""
    if not most:
        return
    raised = raise_limits(most)
    if raised.changed:
        log.info("raised limits of the machine's neighbor tables: %s", _text(raised.changed))
    if raised.refused:
        log.warning(
            "cannot raise the limits of the machine's neighbor tables (%s); hosts above the limits "
            "are not learned. Run on the machine: sysctl -w %s",
            raised.reason,
            _text(raised.refused, " "),
        )


def _text(values: Mapping[str, int], between: str = ", ") -> str:
    return between.join(f"{name}={value}" for name, value in values.items())
