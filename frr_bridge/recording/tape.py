"""The contents of a recording, and a tape that records nothing.

A recording has the bytes of both feeds, and marks for everything else that decides: the same
recording must give the same result. A mark is a short text:

    part N              the recording begins, or continues in another file
    state NAME          the session's state there (`frr_bridge.session.State`)
    acknowledge 0|1     whether zebra waits for acknowledgements of its routes
    dump begin          netlink rows up to `dump end` are a dump of FRR's namespace
    dump end            it was complete
    lost                notifications were lost; another dump follows
    behind              the next FPM bytes arrived before netlink was processed
    input NAME          the session received this input (`frr_bridge.session.Input`)
    input NAME within   the same, while the bytes before this mark were processed
    collect             unused nexthops were forgotten
    caught up           every netlink message that belongs to the FPM bytes so far was processed
"""

from __future__ import annotations

from typing import Final

PART: Final = "part "
STATE: Final = "state "
ACKNOWLEDGE: Final = "acknowledge "
DUMP_BEGIN: Final = "dump begin"
DUMP_END: Final = "dump end"
LOST: Final = "lost"
BEHIND: Final = "behind"
INPUT: Final = "input "
WITHIN: Final = " within"
COLLECT: Final = "collect"
CAUGHT_UP: Final = "caught up"


class Tape:
    """Records nothing: recording is off."""

    def fpm(self, tail: bytes, data: bytes) -> None:
        """Note bytes of the FPM session; `tail` is the part of a frame that arrived before."""

    def netlink(self, rows: bytes) -> None:
        """Note whole netlink messages of FRR's namespace."""

    def mark(self, text: str) -> None:
        """Note one of the marks above."""

    def close(self) -> None:
        """Finish the recording."""
