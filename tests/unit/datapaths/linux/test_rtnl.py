"""The one module with pyroute2 turns its errors into OSErrors and repeats interrupted dumps."""

from __future__ import annotations

import errno

import pytest
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

from datapaths.linux.rtnl import Rtnl
from dualpath.netlink.socket import INTERRUPTED_DUMPS


class Changing:
    """A kernel whose table changes during a given number of dumps."""

    def __init__(self, interrupted: int) -> None:
        self.left = interrupted

    def link(self, command: str) -> tuple[str, ...]:
        assert command == "dump"
        if self.left:
            self.left -= 1
            raise NetlinkDumpInterrupted
        return ("lo",)

    def close(self) -> None: ...


def changing(interrupted: int) -> Rtnl:
    rtnl = Rtnl()
    rtnl.close()
    rtnl._ipr = Changing(interrupted)
    return rtnl


def test_refusal_is_an_oserror_that_names_the_operation() -> None:
    with Rtnl() as rtnl, pytest.raises(OSError, match="cannot read nosuch0: No such") as refused:
        rtnl.call("read nosuch0", "link", "get", ifname="nosuch0")
    assert refused.value.errno == errno.ENODEV


def test_interrupted_dump_is_repeated() -> None:
    assert changing(3).call("list devices", "link", "dump") == ["lo"]


def test_dump_that_is_always_interrupted_is_an_oserror() -> None:
    with pytest.raises(OSError, match="list devices") as refused:
        changing(INTERRUPTED_DUMPS).call("list devices", "link", "dump")
    assert refused.value.errno == errno.EAGAIN
