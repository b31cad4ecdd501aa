"""Handles under a zebra that says anything in any order: what is known stays whole."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest

from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.netlink.message import DecodeError
from frr_bridge.handles import NexthopHandles
from frr_bridge.wire.inline import InlineNexthop, Unsupported

SINGLES = range(1, 6)
GROUPS = range(6, 10)
LINKS = range(1, 4)  # the second is the bridge of a VNI
RUNS = 12
STEPS = 60


class Zebra:
    """Says what comes to its mind, and knows what it said."""

    def __init__(self, seed: int, members: range) -> None:
        self.random = random.Random(seed)
        self.members = members
        self.links = {1, 2}
        self.told: dict[int, Nexthop] = {}
        self.used: set[int] = set()
        self.handles = NexthopHandles(
            self._resolve, self._changed, lambda handle: None, self._failed
        )

    def _resolve(self, handle: int, said: InlineNexthop) -> Nexthop | None:
        if said.oif not in self.links:
            return None
        overlay = said.oif == 2
        device = "" if overlay else f"eth{said.oif}"
        return Nexthop(handle, said.type, said.gateway, device, vni=100 if overlay else 0)

    def _changed(self, nexthop: Nexthop) -> None:
        for member in nexthop.members:
            assert self.told[member.id].type is not NexthopType.GROUP
        self.told[nexthop.id] = nexthop

    def _failed(self, handle: int) -> None:
        del self.told[handle]

    def step(self) -> None:
        steps = (self._single, self._single, self._group, self._group, self._forget, self._fail)
        self.random.choice((*steps, self._down, self._link, self._route, self._collect))()

    def _single(self) -> None:
        gateway = bytes([10, 0, 0, self.random.choice((1, 2))])
        said = InlineNexthop(NexthopType.GATEWAY, gateway, self.random.choice(LINKS), 0, True)
        self.handles.learn(self.random.choice(SINGLES), said)

    def _fail(self) -> None:
        reason = self.random.choice(["MPLS encapsulation", "no nexthop"])
        said = Unsupported(reason, DecodeError(reason, offset=0))
        self.handles.learn(self.random.randrange(1, 10), said)

    def _group(self) -> None:
        members = self.random.sample(self.members, self.random.choice((1, 2)))
        self.handles.learn_group(self.random.choice(GROUPS), tuple((m, 1) for m in members))

    def _forget(self) -> None:
        self.handles.forget(self.random.randrange(1, 10))

    def _down(self) -> None:
        self.handles.lost_device(self.random.choice(LINKS))

    def _link(self) -> None:
        self.links ^= {self.random.choice(LINKS)}
        self.handles.retry()

    def _route(self) -> None:
        self.used.add(self.handles.handle(self.random.randrange(1, 10)))

    def _collect(self) -> None:
        self.used = set(self.random.sample(sorted(self.used), len(self.used) // 2))
        for gone in self.handles.collect(self.used):
            del self.told[gone.id]


def known(zebra: Zebra, handle: int) -> bool:
    return bool(zebra.handles.known(np.array([handle], np.uint32))[0])


def waits_in_vain(zebra: Zebra) -> Iterator[int]:
    """Yield the ids that are not known although all that they need is."""
    handles = zebra.handles
    for identity, handle in handles._by_id.items():
        said = handles._said.get(handle)
        if isinstance(said, Unsupported):
            ready = True
        elif isinstance(said, InlineNexthop):
            ready = said.oif in zebra.links
        else:
            legs = [leg for leg, _ in said or ()]
            ready = bool(legs) and all(
                known(zebra, leg) and not isinstance(handles._said[leg], tuple) for leg in legs
            )
        if ready and not known(zebra, handle):
            yield identity


def must_fail(zebra: Zebra, handle: int) -> bool:
    """Say whether a nexthop cannot be used, or has a leg that cannot."""
    said = zebra.handles._said.get(handle)
    if isinstance(said, tuple):
        legs = [zebra.handles._leg(leg) for leg, _ in said]
        return any(isinstance(zebra.handles._said.get(leg), Unsupported) for leg in legs)
    return isinstance(said, Unsupported)


def check(zebra: Zebra) -> None:
    handles = zebra.handles
    assert not list(waits_in_vain(zebra))
    for handle in {*handles._by_id.values(), *zebra.used}:
        original = int(handles._stands_for[handle])
        assert handles._stands_for[original] == original
        assert original == handle or handle in handles._aliases[original]
        fails = bool(handles._fails[original])
        assert known(zebra, handle) == (original in zebra.told or fails)
        assert not (fails and original in zebra.told)
        assert fails == must_fail(zebra, original)
    for nexthop in zebra.told.values():
        assert all(member.id in zebra.told for member in nexthop.members)


@pytest.mark.parametrize("members", [SINGLES, range(1, 10)], ids=["of nexthops", "of groups too"])
def test_nothing_that_zebra_says_breaks_what_is_known(members: range) -> None:
    for seed in range(RUNS):
        zebra = Zebra(seed, members)
        for _ in range(STEPS):
            zebra.step()
            check(zebra)
