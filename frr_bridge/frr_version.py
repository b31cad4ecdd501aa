"""Which FRR is installed, and whether Dualpath can work with it. Pure.

8.4   Debian 12, Ubuntu 24.04: forwards, with the limits that docs/OPERATIONS.md lists
10.3  Debian 13: everything
10.7  Debian sid: everything; the release that most tests run
"""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = re.compile(r"\bversion (\d+)\.(\d+)")  # of `zebra --version`, lib/libfrr.c print_version
_PAGE = "see docs/OPERATIONS.md#frr-versions"


class Version(NamedTuple):
    """An FRR release, without its patch level."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST = Version(8, 4)
ACKNOWLEDGED = Version(10, 7)
"""The first release whose zebra accepts FPM acknowledgements. FRR 10.3 looks each one up in table
ZEBRA_ROUTE_TABLE_UNKNOWN, finds none and drops it (zebra/zebra_rib.c, rib_process_dplane_notify);
releases between the two were not tested."""
FULL = Version(10, 3)


def parse(output: str) -> Version | None:
    """Return the release that `zebra --version` prints, or None when it prints none."""
    match = _NUMBER.search(output)
    return Version(int(match[1]), int(match[2])) if match else None


def refusal(version: Version | None) -> str:
    """Return why Dualpath cannot run this FRR, "" if it can. Accept an unknown release."""
    if version is None or version >= OLDEST:
        return ""
    return (
        f"FRR {version} found; Dualpath needs {OLDEST} or later, and {FULL} for all it does: "
        f"install FRR from Debian 13 or from deb.frrouting.org ({_PAGE})"
    )


def limits(version: Version | None) -> str:
    """Return the sentence about what this FRR cannot do, "" if it does everything."""
    if version is None or version >= FULL:
        return ""
    return (
        f"FRR {version} found; some features need {FULL} or later, "
        f"as in Debian 13 and at deb.frrouting.org ({_PAGE})"
    )


def stuck(version: Version | None, *, offload: bool) -> str:
    """Return why no route would ever leave zebra's queue, or "".

    `offload`: zebra runs with --asic-offload=notify_on_offload.
    """
    if not offload or version is None or version >= ACKNOWLEDGED:
        return ""
    return (
        f"zebra runs with --asic-offload=notify_on_offload, which FRR {version} never completes: "
        "its routes stay queued; remove that option from zebra_options in /etc/frr/daemons and "
        f"restart FRR ({_PAGE})"
    )
