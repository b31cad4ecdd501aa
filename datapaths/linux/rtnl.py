"""pyroute2, for devices, addresses and rules of one namespace: the one module that imports it.

pyroute2 knows every attribute of every kind of device, and costs 40 to 65 us a message. So it is
used for what grows with interfaces; routes, MACs and neighbors go through `dualpath.netlink`.

pyroute2's errors do not leave this module: a refusal is an OSError with the kernel's errno, as in
`dualpath.netlink`. Its messages do. They are untyped, and `linkinfo` decodes them.
"""

from __future__ import annotations

import errno
import os
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted, NetlinkError

from dualpath.netlink.socket import INTERRUPTED_DUMPS

BY_KERNEL = {"dump_filter": lambda _: True}
"""Pass it to a dump with attributes: the kernel filters the rows, and pyroute2 need not."""


class Rtnl:
    """A netlink socket in the network namespace of the thread that creates it. Blocks."""

    def __init__(self) -> None:
        self._ipr = IPRoute(strict_check=True)  # strict: the kernel applies a dump's filter

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._ipr.close()

    def call(self, doing: str, what: str, command: str, **attributes: Any) -> list[Any]:  # noqa: ANN401  pyroute2 is not typed
        """Call `ipr.WHAT(COMMAND, **attributes)`; return the messages.

        Raises OSError, "cannot DOING: ..." as text, when the kernel refuses. Interrupted dumps are
        repeated.
        """
        method = getattr(self._ipr, what)
        for _ in range(INTERRUPTED_DUMPS):
            try:
                return list(method(command, **attributes) or ())
            except NetlinkDumpInterrupted:
                continue
            except NetlinkError as error:
                code = int(error.code)
                raise OSError(code, f"cannot {doing}: {os.strerror(code)}") from error
        text = f"cannot {doing}: the table changed in each of {INTERRUPTED_DUMPS} dumps"
        raise OSError(errno.EAGAIN, text)
