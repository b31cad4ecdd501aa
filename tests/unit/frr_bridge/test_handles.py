"""Handles: what zebra's nexthop ids mean, whatever zebra does with them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dualpath.model.nexthops import (
    BLACKHOLE,
    FIRST_RESERVED,
    Member,
    Nexthop,
    NexthopType,
)
from frr_bridge.handles import NexthopHandles
from frr_bridge.wire.inline import InlineNexthop


def via(last: int, oif: int = 2) -> InlineNexthop:
    return InlineNexthop(NexthopType.GATEWAY, bytes([10, 0, 0, last]), oif)


class Heard:
    """Handles with one interface after another becoming known, and what they told."""

    def __init__(self, *interfaces: int) -> None:
        self.interfaces = set(interfaces)
        self.contents: dict[int, Nexthop] = {}
        self.changes = 0
        self.rebound: list[int] = []
        self.failed: list[int] = []
        self.handles = NexthopHandles(
            self._resolve, self._changed, self.rebound.append, self.failed.append
        )

    def _resolve(self, handle: int, said: InlineNexthop) -> Nexthop | None:
        if said.oif not in self.interfaces:
            return None
        return Nexthop(handle, said.type, said.gateway, f"eth{said.oif}")

    def _changed(self, nexthop: Nexthop) -> None:
        members = (self.contents.get(member.id) for member in nexthop.members)
        assert all(members), "a group before its members"
        self.changes += self.contents.get(nexthop.id) != nexthop
        self.contents[nexthop.id] = nexthop

    def meaning(self, identity: int) -> object:
        """Return where a route with zebra's id goes, as sets of gateways; None is not yet."""
        handle = self.handles.handle(identity)
        if not self.handles.known(np.array([handle], np.uint32))[0]:
            return None
        return self._meaning(int(self.handles.originals(np.array([handle], np.uint32))[0]))

    def _meaning(self, handle: int) -> object:
        nexthop = self.contents[handle]
        if nexthop.type is NexthopType.GROUP:
            return [(self._meaning(member.id), member.weight) for member in nexthop.members]
        return nexthop.gateway[-1]

    def original(self, identity: int) -> int:
        handles = self.handles.by_id(np.array([identity], np.uint32))
        return int(self.handles.originals(handles)[0])


def test_a_nexthop_is_known_once_zebra_says_what_it_is() -> None:
    heard = Heard(2)
    handle = heard.handles.handle(11)
    assert not heard.handles.known(np.array([handle], np.uint32)).any()
    assert not heard.handles.described(11)
    heard.handles.learn(11, via(1))
    assert heard.handles.known(np.array([handle], np.uint32)).all()
    assert heard.handles.described(11)
    assert heard.contents == {
        handle: Nexthop(handle, NexthopType.GATEWAY, bytes([10, 0, 0, 1]), "eth2")
    }


def test_the_same_input_twice_does_nothing_the_second_time() -> None:
    """Invariant 4."""
    heard = Heard(2)
    for _ in range(2):
        heard.handles.learn(11, via(1))
        heard.handles.learn(12, via(2))
        heard.handles.learn_group(13, ((11, 1), (12, 1)))
        heard.handles.retry()
    assert heard.changes == 3
    assert heard.rebound == []


def test_many_ids_at_once_get_the_handles_of_each() -> None:
    heard = Heard(2)
    ids = np.array([7, 5, 7, 9, 5], np.uint32)
    handles = heard.handles.by_id(ids)
    assert handles.tolist() == [heard.handles.handle(int(i)) for i in ids]
    assert len(set(handles.tolist())) == 3


def test_a_nexthop_waits_for_its_interface() -> None:
    heard = Heard()
    heard.handles.learn(11, via(1))
    assert heard.meaning(11) is None
    heard.interfaces.add(2)
    heard.handles.retry()
    assert heard.meaning(11) == 1


def test_a_renamed_interface_is_told() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.interfaces = {2}
    heard.handles._resolve = lambda handle, said: Nexthop(handle, said.type, said.gateway, "new")
    heard.handles.retry()
    assert heard.contents[heard.original(11)].device == "new"


def test_an_interface_that_goes_takes_no_nexthop_with_it() -> None:
    """Invariant 1: what was known stays until zebra says otherwise."""
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.interfaces.clear()
    heard.handles.retry()
    assert heard.meaning(11) == 1


def test_a_group_may_come_before_its_members() -> None:
    heard = Heard(2)
    heard.handles.learn_group(31, ((26, 1), (32, 3)))
    heard.handles.learn(26, via(1))
    assert heard.meaning(31) is None
    heard.handles.learn(32, via(2))
    assert heard.meaning(31) == [(1, 1), (2, 3)]


def test_a_group_and_its_members_wait_for_an_interface() -> None:
    heard = Heard()
    heard.handles.learn_group(31, ((26, 1),))
    heard.handles.learn(26, via(1))
    heard.interfaces.add(2)
    heard.handles.retry()
    assert heard.meaning(31) == [(1, 1)]


def test_a_lost_uplink_is_one_change() -> None:
    heard = Heard(2)
    heard.handles.learn(26, via(1))
    heard.handles.learn(32, via(2))
    heard.handles.learn_group(31, ((26, 1), (32, 1)))
    before = heard.changes
    heard.handles.learn_group(31, ((32, 1),))
    assert heard.meaning(31) == [(2, 1)]
    assert heard.changes == before + 1


def test_a_device_that_went_down_takes_its_legs_out_of_groups() -> None:
    """The kernel shrinks them without a word; the last leg stays until zebra says more."""
    heard = Heard(2, 3)
    heard.handles.learn(11, via(1, 2))
    heard.handles.learn(12, via(2, 3))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    inline = InlineNexthop(NexthopType.GROUP, members=((via(1, 2), 1), (via(2, 3), 1)))
    by_value = heard.handles.inline(inline)
    original = heard.original(13)
    for _ in range(2):
        heard.handles.remove_from_groups(3)
        assert heard.meaning(13) == [(1, 1)]
    heard.handles.remove_from_groups(2)
    assert heard.meaning(13) == [(1, 1)]
    assert heard.original(13) == original
    assert len(heard.contents[by_value].members) == 2
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    assert heard.meaning(13) == [(1, 1), (2, 1)]


def test_nexthop_that_only_fpm_told_of_survives_its_device() -> None:
    """The kernel never had it, so the kernel cannot have removed it."""
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(2))
    heard.handles.ids.installed(12)
    heard.handles.device_down(2)
    assert heard.handles.described(11)
    assert not heard.handles.described(12)


def test_group_stays_in_the_kernel_while_one_of_its_devices_does() -> None:
    heard = Heard(2, 3)
    heard.handles.learn(11, via(1, 2))
    heard.handles.learn(12, via(2, 3))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    for identity in (11, 12, 13):
        heard.handles.ids.installed(identity)
    heard.handles.device_down(2)
    assert [heard.handles.described(identity) for identity in (11, 12, 13)] == [False, True, True]


def test_id_of_a_leg_that_becomes_a_group_leaves_older_groups_alone() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(2))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    heard.handles.learn_group(11, ((12, 1),))
    assert heard.meaning(13) == [(1, 1), (2, 1)]
    assert heard.meaning(11) == [(2, 1)]


def test_a_restarted_zebra_gives_new_ids_and_yet_nothing_changes() -> None:
    """Invariant 1: routes are said with the handles that the datapath knows."""
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(2))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    before = heard.original(11), heard.original(12), heard.original(13)
    contents = dict(heard.contents)
    for identity in (13, 12, 11):
        heard.handles.forget(identity)
    heard.handles.learn(21, via(2))
    heard.handles.learn(11, via(1))
    heard.handles.learn_group(22, ((11, 1), (21, 1)))
    assert (heard.original(11), heard.original(21), heard.original(22)) == before
    assert heard.contents == contents


def test_a_restarted_zebra_s_groups_may_come_first() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(2))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    group = heard.original(13)
    for identity in (11, 12, 13):
        heard.handles.forget(identity)
    heard.handles.learn_group(21, ((22, 1), (23, 1)))
    heard.handles.learn(22, via(1))
    heard.handles.learn(23, via(2))
    assert heard.original(21) == group


def test_an_id_that_starts_over_is_another_nexthop() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    old = heard.original(11)
    heard.handles.forget(11)
    assert not heard.handles.described(11)
    heard.handles.learn(11, via(2))
    assert heard.original(11) != old
    assert heard.contents[old].gateway[-1] == 1  # routes bound to it stay as they were


def test_aliases_part_when_one_changes() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(1))
    assert heard.original(11) == heard.original(12)
    heard.handles.learn(11, via(2))
    assert (heard.meaning(11), heard.meaning(12)) == (2, 1)
    assert heard.rebound == [heard.handles.handle(12)]


def test_an_alias_that_changes_parts_alone() -> None:
    heard = Heard(2)
    for identity in (11, 12, 13):
        heard.handles.learn(identity, via(1))
    heard.handles.learn(12, via(2))
    assert [heard.meaning(identity) for identity in (11, 12, 13)] == [1, 2, 1]
    assert heard.rebound == [heard.handles.handle(12)]
    assert heard.original(11) == heard.original(13)


def test_a_group_follows_the_member_that_zebra_named() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(21, via(1))  # an alias, as after a restart of zebra
    heard.handles.learn_group(22, ((21, 1),))
    heard.handles.learn(11, via(9))  # zebra uses the old number for something else
    assert heard.meaning(22) == [(1, 1)]


def test_groups_that_were_the_same_part_with_their_members() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(21, via(1))
    heard.handles.learn_group(12, ((11, 1),))
    heard.handles.learn_group(22, ((21, 1),))
    assert heard.original(12) == heard.original(22)
    heard.handles.learn(11, via(9))
    assert heard.meaning(12) == [(9, 1)]
    assert heard.meaning(22) == [(1, 1)]


def test_a_nexthop_inside_its_route_is_the_same_for_the_same() -> None:
    heard = Heard(2)
    one = heard.handles.inline(via(1))
    assert heard.handles.inline(via(1)) == one
    assert heard.handles.inline(via(2)) != one
    group = InlineNexthop(NexthopType.GROUP, members=((via(1), 1), (via(2), 2)))
    handle = heard.handles.inline(group)
    assert heard.contents[handle].members == (Member(one, 1), Member(2, 2))


def test_what_drops_needs_no_handle() -> None:
    heard = Heard()
    assert heard.handles.inline(InlineNexthop(NexthopType.BLACKHOLE)) == BLACKHOLE
    drops = np.array([BLACKHOLE, FIRST_RESERVED + 5], np.uint32)
    assert heard.handles.known(drops).all()
    assert heard.handles.originals(drops).tolist() == drops.tolist()


def test_a_nexthop_by_id_and_one_inside_a_route_are_one() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    inline = heard.handles.inline(via(1))
    assert heard.handles.originals(np.array([inline], np.uint32))[0] == heard.original(11)


def test_what_zebra_dropped_is_collected_once_no_route_uses_it() -> None:
    """Invariant 3: a nexthop outlives the last route that uses it."""
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(12, via(2))
    heard.handles.learn_group(13, ((11, 1), (12, 1)))
    group, member = heard.original(13), heard.original(12)
    for identity in (11, 12, 13):
        heard.handles.forget(identity)
    assert heard.handles.collect({group}) == []
    assert [nexthop.id for nexthop in heard.handles.collect({member})] != []
    assert [nexthop.id for nexthop in heard.handles.collect(set())] == [member]
    heard.handles.learn(11, via(1))
    assert heard.meaning(11) == 1
    assert heard.original(11) not in {group, member}  # a handle is never used again


def test_handle_whose_id_is_gone_counts_as_unnamed() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.collect(set())
    assert not heard.handles.unnamed
    heard.handles.forget(11)
    assert heard.handles.unnamed


def test_a_live_alias_keeps_its_original() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    original = heard.original(11)
    heard.handles.forget(11)
    heard.handles.learn(21, via(1))
    assert heard.handles.collect(set()) == []
    assert heard.original(21) == original


def test_a_dead_alias_leaves_nothing_behind() -> None:
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn(21, via(1))
    heard.handles.forget(21)
    heard.handles.collect(set())
    heard.handles.learn(11, via(2))
    assert heard.rebound == []


def test_ids_that_nobody_explains_are_forgotten_with_their_last_route() -> None:
    heard = Heard(2)
    used, unused, member = heard.handles.by_id(np.array([5, 6, 7], np.uint32)).tolist()
    heard.handles.learn_group(13, ((7, 1),))
    heard.handles.collect({used})
    assert heard.handles.handle(5) == used
    assert heard.handles.handle(6) != unused
    assert heard.handles.handle(7) == member


def test_a_group_of_itself_is_never_known() -> None:
    heard = Heard(2)
    heard.handles.learn_group(31, ((31, 1),))
    heard.handles.learn_group(32, ((33, 1),))
    heard.handles.learn_group(33, ((32, 1),))
    heard.handles.retry()
    assert [heard.meaning(i) for i in (31, 32, 33)] == [None, None, None]
    assert heard.handles.collect(set()) == []


def test_groups_of_one_another_are_never_known() -> None:
    """No kernel has them; what is said over TCP may."""
    heard = Heard(2)
    for _ in range(2):
        heard.handles.learn_group(7, ((7, 1), (8, 1)))
        heard.handles.learn_group(8, ((7, 1), (8, 1)))
        heard.handles.learn(9, via(1))
        heard.handles.retry()
    assert (heard.meaning(7), heard.meaning(8), heard.meaning(9)) == (None, None, 1)
    heard.handles.learn_group(8, ((9, 1),))
    assert (heard.meaning(7), heard.meaning(8)) == (None, [(1, 1)])


def test_group_that_shrinks_to_one_vtep_keeps_its_handle() -> None:
    """Routes have been said with it."""
    heard = Heard(2)
    heard.handles._resolve = lambda handle, said: Nexthop(handle, said.type, said.gateway, vni=100)
    heard.handles.learn(4, via(1))
    heard.handles.learn(5, via(2))
    heard.handles.learn_group(8, ((4, 1), (5, 1)))
    before = heard.original(8)
    heard.handles.learn_group(8, ((4, 1),))
    assert heard.original(8) == before
    assert heard.meaning(8) == [(1, 1)]


def test_groups_alike_become_known_with_their_only_vtep() -> None:
    heard = Heard(2)
    heard.handles._resolve = lambda handle, said: Nexthop(handle, said.type, said.gateway, vni=100)
    heard.handles.learn_group(8, ((4, 1),))
    heard.handles.learn_group(6, ((4, 1),))
    heard.handles.learn(4, via(1))
    assert [heard.meaning(identity) for identity in (4, 6, 8)] == [1, 1, 1]
    heard.handles.learn(5, via(2))
    heard.handles.learn_group(8, ((4, 1), (5, 1)))
    heard.handles.learn_group(6, ((5, 1),))
    assert (heard.meaning(8), heard.meaning(6)) == ([(1, 1), (2, 1)], 2)


def test_what_a_group_was_said_with_lives_until_it_is_said_anew() -> None:
    """Invariant 3: of the new member nothing is known, so the old one still carries traffic."""
    heard = Heard(2)
    heard.handles.learn(11, via(1))
    heard.handles.learn_group(20, ((11, 1),))
    heard.handles.learn_group(20, ((12, 1),))
    heard.handles.forget(11)
    assert heard.handles.collect(set()) == []
    heard.handles.learn(12, via(2))
    assert heard.meaning(20) == [(2, 1)]
    assert [nexthop.gateway[-1] for nexthop in heard.handles.collect(set())] == [1]


def test_handles_grow_beyond_the_first_table() -> None:
    heard = Heard(2)
    for identity in range(1, 3000):
        heard.handles.learn(identity, via(identity % 250, 2))
    handles = heard.handles.by_id(np.arange(1, 3000, dtype=np.uint32))
    assert heard.handles.known(handles).all()
    assert len(np.unique(heard.handles.originals(handles))) == 250


IDS = st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.just("single"), IDS, st.integers(1, 3)),
    st.tuples(st.just("group"), st.integers(7, 9), st.lists(IDS, min_size=1, max_size=3)),
    st.tuples(st.just("forget"), st.integers(1, 9), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_a_nexthop_always_means_what_zebra_said_last(
    steps: list[tuple[str, int, object]],
) -> None:
    """Whatever ids zebra uses again: each leads where zebra's last word on it leads.

    A group that now has a member of which nothing is known stays what it was.
    """
    heard = Heard(2)
    singles: dict[int, int] = {}
    groups: dict[int, dict[int, int]] = {}  # id -> handle of each member: fixed when said
    means: dict[int, int] = {}  # handle -> gateway
    for step, identity, what in steps:
        if step == "single" and isinstance(what, int):
            heard.handles.learn(identity, via(what))
            singles[identity] = what
            means[heard.handles.handle(identity)] = what
        elif step == "group" and isinstance(what, list):
            heard.handles.learn_group(identity, tuple((member, 1) for member in what))
            groups[identity] = {i: heard.handles.handle(m) for i, m in enumerate(what)}
        else:
            heard.handles.forget(identity)
            singles.pop(identity, None)
            groups.pop(identity, None)
    for identity, gateway in singles.items():
        assert heard.meaning(identity) == gateway
    for identity, members in groups.items():
        gateways = [means.get(member) for member in members.values()]
        if None not in gateways:  # else it stays what it was
            assert heard.meaning(identity) == [(gateway, 1) for gateway in gateways]


def test_weights_beyond_what_a_datapath_takes_keep_their_proportions() -> None:
    heard = Heard(2)
    for identity in (11, 12, 13):
        heard.handles.learn(identity, via(identity))
    heard.handles.learn_group(31, ((11, 65536), (12, 16384), (13, 1)))
    assert heard.meaning(31) == [(11, 256), (12, 64), (13, 1)]
