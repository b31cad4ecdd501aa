"""Routing rules that separate the VRFs and the underlay of the forwarding namespace.

The kernel's first rule looks up every packet in the table `local`, whatever its VRF. So a tenant
could reach the router's underlay addresses. This module moves that rule behind the rule of VRFs
(l3mdev), as the kernel's documentation of VRF advises. A bridge without VRF and gateway must route
nothing: a blackhole rule drops IP packets that a host sends to the bridge's own MAC.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

from datapaths.linux.linkreader import LinkReader, called_for
from datapaths.linux.wire.links import FIB_RULE_HDR, rules_request
from dualpath.model.routes import RTPROT_DUALPATH
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message

FAMILIES = (socket.AF_INET, socket.AF_INET6)
RTPROT_KERNEL = 2  # linux/rtnetlink.h
RT_TABLE_LOCAL = 255
FR_ACT_TO_TBL, FR_ACT_BLACKHOLE = 1, 6  # linux/fib_rules.h
FIB_RULE_INVERT = 2
BLACKHOLE_PRIORITY = 900  # for devices that must not route; before L3MDEV_PRIORITY
L3MDEV_PRIORITY = 1000  # drivers/net/vrf.c FIB_RULE_PREF
LOCAL_PRIORITY = 32765  # right before the table `main`


_SELECTORS = (
    *(n.FRA_FWMARK, n.FRA_OIFNAME, n.FRA_TUN_ID, n.FRA_UID_RANGE),
    *(n.FRA_IP_PROTO, n.FRA_SPORT_RANGE, n.FRA_DPORT_RANGE),
)


class Rule(NamedTuple):
    """A routing rule, with the fields in which ours differ."""

    family: int
    priority: int
    action: int = FR_ACT_TO_TBL
    table: int = 0
    l3mdev: int = 0
    iif: str = ""


class Rules:
    """The rules of one namespace: read once, then updated by our own changes."""

    def __init__(self, links: LinkReader, writes: Callable[[str], bool]) -> None:
        self._links = links
        self._writes = writes  # lists a change, and returns whether to carry it out
        self._rules: set[Rule] | None = None
        self._for_local: set[Rule] = set()  # of `_rules`, those that look up the table `local`
        self._routed: set[int] = set()  # the families of `_rules`

    def ensure_vrfs_first(self) -> None:
        """Put the rule of VRFs before that of the table `local`, without a moment of neither."""
        for family in self._families():
            self._add(_l3mdev(family), RTPROT_KERNEL)
            self._move_local(family)

    def ensure_blackhole(self, device: str) -> None:
        """Drop IP packets that a device receives for the router itself."""
        for family in self._families():
            self._add(_blackhole(family, device), RTPROT_DUALPATH)
            self._move_local(family)

    def remove_blackhole(self, device: str) -> None:
        for family in FAMILIES:
            self._remove(_blackhole(family, device))

    def _move_local(self, family: int) -> None:
        self._add(_local(family, LOCAL_PRIORITY), RTPROT_DUALPATH)
        for early in self._early(family):
            self._remove(early)

    def _early(self, family: int) -> Iterator[Rule]:
        """Yield rules for the table `local` that come before the rule of VRFs."""
        for rule in list(self._for_local):
            if rule.priority < L3MDEV_PRIORITY and rule == _local(family, rule.priority):
                yield rule

    def _families(self) -> list[int]:
        """Return the families that this kernel routes: those that have a rule."""
        self._all()
        return [family for family in FAMILIES if family in self._routed]

    def _all(self) -> set[Rule]:
        if self._rules is None:
            self._rules = {rule for family in FAMILIES for rule in self._dump(family)}
            self._for_local = {rule for rule in self._rules if rule.table == RT_TABLE_LOCAL}
            self._routed = {rule.family for rule in self._rules}
        return self._rules

    def _dump(self, family: int) -> Iterator[Rule]:
        try:
            for message in self._links.dump("list routing rules", rules_request(family)):
                if rule := _read(message):
                    yield rule
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                raise

    def _add(self, rule: Rule, protocol: int) -> None:
        if rule not in self._all():
            self._change("add", rule, errno.EEXIST, protocol=protocol)

    def _remove(self, rule: Rule) -> None:
        if rule in self._all():
            self._change("del", rule, errno.ENOENT)

    def _change(self, command: str, rule: Rule, fine: int, **more: int) -> None:
        if not self._writes(f"routing rule {rule.priority} {rule.iif}".rstrip()):
            return
        attributes: dict[str, object] = {"table": rule.table, **more}
        if rule.l3mdev:
            attributes["l3mdev"] = rule.l3mdev
        if rule.iif:
            attributes["iifname"] = rule.iif
        try:
            self._links.rtnl.call(
                f"{command} routing rule {rule.priority}",
                "rule",
                command,
                family=rule.family,
                priority=rule.priority,
                action=rule.action,
                **attributes,
            )
        except OSError as error:
            if error.errno != fine:
                raise
        for known in (self._all(), *([self._for_local] if rule.table == RT_TABLE_LOCAL else [])):
            (known.add if command == "add" else known.discard)(rule)


def _read(message: Message) -> Rule | None:
    """Decode RTM_NEWRULE; None for a rule with selectors that our rules never have."""
    with called_for("read a routing rule"):
        family, *lengths, table, _, _, action, flags = message.fixed(FIB_RULE_HDR)
        got = message.attributes(FIB_RULE_HDR)
        if any(lengths) or flags & FIB_RULE_INVERT or any(kind in got for kind in _SELECTORS):
            return None
        return Rule(
            family,
            got.u32(n.FRA_PRIORITY),
            action,
            got.u32(n.FRA_TABLE, table),
            got.u8(n.FRA_L3MDEV),
            got.text(n.FRA_IIFNAME),
        )


def _l3mdev(family: int) -> Rule:
    return Rule(family, L3MDEV_PRIORITY, l3mdev=1)


def _local(family: int, priority: int) -> Rule:
    return Rule(family, priority, table=RT_TABLE_LOCAL)


def _blackhole(family: int, device: str) -> Rule:
    return Rule(family, BLACKHOLE_PRIORITY, FR_ACT_BLACKHOLE, iif=device)
