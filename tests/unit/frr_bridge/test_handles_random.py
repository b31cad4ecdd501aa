"""Handles under a zebra that sends anything in any order: what is known stays consistent."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from dualpath.model.nexthops import Nexthop, NexthopHandle, NexthopType
from dualpath.netlink.message import DecodeError
from frr_bridge.handles import NexthopHandles
from frr_bridge.wire.inline import InlineNexthop, Unsupported

SINGLES = range(1, 6)
GROUPS = range(6, 10)
LINKS = range(1, 4)  # the second is the bridge of a VNI
RUNS = 12
STEPS = 60


class Zebra:
    """Takes random steps, and keeps what the handles announced."""

    def __init__(self, seed: int, members: range) -> None:
        self.random = random.Random(seed)
        self.members = members
        self.links = {1, 2}
        self.announced: dict[int, Nexthop] = {}
        self.used: set[NexthopHandle] = set()
        self.handles = NexthopHandles(
            self._resolve, self._changed, lambda handle: None, self._failed
        )

    def _resolve(self, handle: int, nexthop: InlineNexthop) -> Nexthop | None:
        if nexthop.oif not in self.links:
            return None
        overlay = nexthop.oif == 2
        device = "" if overlay else f"eth{nexthop.oif}"
        return Nexthop(handle, nexthop.type, nexthop.gateway, device, vni=100 if overlay else 0)

    def _changed(self, nexthop: Nexthop) -> None:
        for member in nexthop.members:
            assert self.announced[member.id].type is not NexthopType.GROUP
        self.announced[nexthop.id] = nexthop

    def _failed(self, handle: int) -> None:
        del self.announced[handle]

    def step(self) -> None:
        steps = (self._single, self._single, self._group, self._group, self._forget, self._fail)
        others = self._down, self._cut, self._link, self._route, self._collect
        self.random.choice((*steps, *others))()

    def _single(self) -> None:
        gateway = bytes([10, 0, 0, self.random.choice((1, 2))])
        nexthop = InlineNexthop(NexthopType.GATEWAY, gateway, self.random.choice(LINKS), 0, True)
        self.handles.learn(self.random.choice(SINGLES), nexthop)

    def _fail(self) -> None:
        reason = self.random.choice(["MPLS encapsulation", "no nexthop"])
        nexthop = Unsupported(reason, DecodeError(reason, offset=0))
        self.handles.learn(self.random.randrange(1, 10), nexthop)

    def _group(self) -> None:
        members = self.random.sample(self.members, self.random.choice((1, 2)))
        self.handles.learn_group(self.random.choice(GROUPS), tuple((m, 1) for m in members))

    def _forget(self) -> None:
        self.handles.forget(self.random.randrange(1, 10))

    def _down(self) -> None:
        self.handles.remove_from_groups(self.random.choice(LINKS))
        self._cut()

    def _cut(self) -> None:
        self.handles.cut(self.random.randrange(4))

    def _link(self) -> None:
        link = self.random.choice(LINKS)
        self.links ^= {link}
        self.handles.retry([link])

    def _route(self) -> None:
        self.used.add(self.handles.handle(self.random.randrange(1, 10)))

    def _collect(self) -> None:
        self.used = set(self.random.sample(sorted(self.used), len(self.used) // 2))
        for gone in self.handles.collect(set(self.used)):
            del self.announced[gone.id]


def known(zebra: Zebra, handle: int) -> bool:
    return bool(zebra.handles.known(np.array([handle], np.uint32))[0])


def stuck(zebra: Zebra) -> Iterator[int]:
    """Yield the ids that are not known although everything that they need is."""
    handles = zebra.handles
    for identity, handle in handles.ids:
        contents = handles.states.contents.get(handle)
        if isinstance(contents, Unsupported):
            ready = True
        elif isinstance(contents, InlineNexthop):
            ready = contents.oif in zebra.links
        else:
            members = handles.states.contents.members(handle)
            ready = bool(members) and all(
                known(zebra, member) and not handles.states.contents.is_group(member)
                for member in members
            )
        if ready and not known(zebra, handle):
            yield identity


def must_fail(zebra: Zebra, handle: NexthopHandle) -> bool:
    """Report whether a nexthop cannot be used, or has a member that cannot."""
    contents = zebra.handles.states.contents
    if contents.is_group(handle):
        members = [zebra.handles.states._original(member) for member in contents.members(handle)]
        return any(isinstance(contents.get(member), Unsupported) for member in members)
    return isinstance(contents.get(handle), Unsupported)


def check(zebra: Zebra) -> None:
    handles, aliases = zebra.handles, zebra.handles.states.aliases
    assert not list(stuck(zebra))
    for handle in {*(handle for _, handle in handles.ids), *zebra.used}:
        original = aliases.original(handle)
        assert aliases.original(original) == original
        assert handle in aliases.same(original)
        fails = bool(handles.states._fails[original])
        assert known(zebra, handle) == (original in zebra.announced or fails)
        assert not (fails and original in zebra.announced)
        assert fails == must_fail(zebra, original)
    for nexthop in zebra.announced.values():
        assert all(member.id in zebra.announced for member in nexthop.members)


@pytest.mark.parametrize("members", [SINGLES, range(1, 10)], ids=["of nexthops", "of groups too"])
def test_no_sequence_of_zebra_s_messages_makes_handles_inconsistent(members: range) -> None:
    for seed in range(RUNS):
        zebra = Zebra(seed, members)
        for _ in range(STEPS):
            zebra.step()
            check(zebra)
