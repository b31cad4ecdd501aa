"""Handles: what zebra's nexthop ids mean, in whatever order it sends them."""

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


class Recorder:
    """Handles with one interface after another becoming known, and the calls that they made."""

    def __init__(self, *interfaces: int) -> None:
        self.interfaces = set(interfaces)
        self.contents: dict[int, Nexthop] = {}
        self.changes = 0
        self.rebound: list[int] = []
        self.failed: list[int] = []
        self.handles = NexthopHandles(
            self._resolve, self._changed, self.rebound.append, self.failed.append
        )

    def _resolve(self, handle: int, nexthop: InlineNexthop) -> Nexthop | None:
        if nexthop.oif not in self.interfaces:
            return None
        return Nexthop(handle, nexthop.type, nexthop.gateway, f"eth{nexthop.oif}")

    def _changed(self, nexthop: Nexthop) -> None:
        members = (self.contents.get(member.id) for member in nexthop.members)
        assert all(members), "a group before its members"
        self.changes += self.contents.get(nexthop.id) != nexthop
        self.contents[nexthop.id] = nexthop

    def meaning(self, identity: int) -> object:
        """Return where a route with zebra's id goes, as gateways; None while it waits."""
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


def test_nexthop_is_known_once_zebra_describes_it() -> None:
    recorder = Recorder(2)
    handle = recorder.handles.handle(11)
    assert not recorder.handles.known(np.array([handle], np.uint32)).any()
    assert not recorder.handles.described(11)
    recorder.handles.learn(11, via(1))
    assert recorder.handles.known(np.array([handle], np.uint32)).all()
    assert recorder.handles.described(11)
    assert recorder.contents == {
        handle: Nexthop(handle, NexthopType.GATEWAY, bytes([10, 0, 0, 1]), "eth2")
    }


def test_the_same_input_twice_does_nothing_the_second_time() -> None:
    """Invariant 4."""
    recorder = Recorder(2)
    for _ in range(2):
        recorder.handles.learn(11, via(1))
        recorder.handles.learn(12, via(2))
        recorder.handles.learn_group(13, ((11, 1), (12, 1)))
        recorder.handles.retry(range(100))
    assert recorder.changes == 3
    assert recorder.rebound == []


def test_many_ids_at_once_get_the_handles_of_each() -> None:
    recorder = Recorder(2)
    ids = np.array([7, 5, 7, 9, 5], np.uint32)
    handles = recorder.handles.by_id(ids)
    assert handles.tolist() == [recorder.handles.handle(int(i)) for i in ids]
    assert len(set(handles.tolist())) == 3


def test_a_nexthop_waits_for_its_interface() -> None:
    recorder = Recorder()
    recorder.handles.learn(11, via(1))
    assert recorder.meaning(11) is None
    recorder.interfaces.add(2)
    recorder.handles.retry(range(100))
    assert recorder.meaning(11) == 1


def test_renamed_interface_is_announced() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.interfaces = {2}
    recorder.handles.states._resolve = lambda handle, nexthop: Nexthop(
        handle, nexthop.type, nexthop.gateway, "new"
    )
    recorder.handles.retry(range(100))
    assert recorder.contents[recorder.original(11)].device == "new"


def test_deleted_interface_keeps_its_nexthops() -> None:
    """Invariant 1: what was known stays until zebra says otherwise."""
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.interfaces.clear()
    recorder.handles.retry(range(100))
    assert recorder.meaning(11) == 1


def test_a_group_may_come_before_its_members() -> None:
    recorder = Recorder(2)
    recorder.handles.learn_group(31, ((26, 1), (32, 3)))
    recorder.handles.learn(26, via(1))
    assert recorder.meaning(31) is None
    recorder.handles.learn(32, via(2))
    assert recorder.meaning(31) == [(1, 1), (2, 3)]


def test_a_group_and_its_members_wait_for_an_interface() -> None:
    recorder = Recorder()
    recorder.handles.learn_group(31, ((26, 1),))
    recorder.handles.learn(26, via(1))
    recorder.interfaces.add(2)
    recorder.handles.retry(range(100))
    assert recorder.meaning(31) == [(1, 1)]


def test_a_lost_uplink_is_one_change() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(26, via(1))
    recorder.handles.learn(32, via(2))
    recorder.handles.learn_group(31, ((26, 1), (32, 1)))
    before = recorder.changes
    recorder.handles.learn_group(31, ((32, 1),))
    assert recorder.meaning(31) == [(2, 1)]
    assert recorder.changes == before + 1


def test_device_down_removes_its_members_from_groups() -> None:
    """The kernel shrinks them without a message; the last member stays until zebra changes it."""
    recorder = Recorder(2, 3)
    recorder.handles.learn(11, via(1, 2))
    recorder.handles.learn(12, via(2, 3))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    inline = InlineNexthop(NexthopType.GROUP, members=((via(1, 2), 1), (via(2, 3), 1)))
    by_value = recorder.handles.inline(inline)
    original = recorder.original(13)
    for _ in range(2):
        recorder.handles.remove_from_groups(3)
        recorder.handles.cut(99)
        assert recorder.meaning(13) == [(1, 1)]
    recorder.handles.remove_from_groups(2)
    recorder.handles.cut(99)
    assert recorder.meaning(13) == [(1, 1)]
    assert recorder.original(13) == original
    assert len(recorder.contents[by_value].members) == 2
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    assert recorder.meaning(13) == [(1, 1), (2, 1)]


def test_nexthop_known_only_from_fpm_survives_a_device_down() -> None:
    """The kernel never had it, so the kernel cannot have removed it."""
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(2))
    recorder.handles.ids.installed(12)
    recorder.handles.device_down(2)
    assert recorder.handles.described(11)
    assert not recorder.handles.described(12)


def test_group_stays_in_the_kernel_while_one_of_its_devices_does() -> None:
    recorder = Recorder(2, 3)
    recorder.handles.learn(11, via(1, 2))
    recorder.handles.learn(12, via(2, 3))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    for identity in (11, 12, 13):
        recorder.handles.ids.installed(identity)
    recorder.handles.device_down(2)
    assert [recorder.handles.described(identity) for identity in (11, 12, 13)] == [
        False,
        True,
        True,
    ]


def test_id_of_a_leg_that_becomes_a_group_leaves_older_groups_alone() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(2))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    recorder.handles.learn_group(11, ((12, 1),))
    assert recorder.meaning(13) == [(1, 1), (2, 1)]
    assert recorder.meaning(11) == [(2, 1)]


def test_a_restarted_zebra_gives_new_ids_and_yet_nothing_changes() -> None:
    """Invariant 1: routes are nexthop with the handles that the datapath knows."""
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(2))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    before = recorder.original(11), recorder.original(12), recorder.original(13)
    contents = dict(recorder.contents)
    for identity in (13, 12, 11):
        recorder.handles.forget(identity)
    recorder.handles.learn(21, via(2))
    recorder.handles.learn(11, via(1))
    recorder.handles.learn_group(22, ((11, 1), (21, 1)))
    assert (recorder.original(11), recorder.original(21), recorder.original(22)) == before
    assert recorder.contents == contents


def test_a_restarted_zebra_s_groups_may_come_first() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(2))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    group = recorder.original(13)
    for identity in (11, 12, 13):
        recorder.handles.forget(identity)
    recorder.handles.learn_group(21, ((22, 1), (23, 1)))
    recorder.handles.learn(22, via(1))
    recorder.handles.learn(23, via(2))
    assert recorder.original(21) == group


def test_an_id_that_starts_over_is_another_nexthop() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    old = recorder.original(11)
    recorder.handles.forget(11)
    assert not recorder.handles.described(11)
    recorder.handles.learn(11, via(2))
    assert recorder.original(11) != old
    assert recorder.contents[old].gateway[-1] == 1  # routes bound to it stay as they were


def test_aliases_part_when_one_changes() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(1))
    assert recorder.original(11) == recorder.original(12)
    recorder.handles.learn(11, via(2))
    assert (recorder.meaning(11), recorder.meaning(12)) == (2, 1)
    assert recorder.rebound == [recorder.handles.handle(12)]


def test_an_alias_that_changes_parts_alone() -> None:
    recorder = Recorder(2)
    for identity in (11, 12, 13):
        recorder.handles.learn(identity, via(1))
    recorder.handles.learn(12, via(2))
    assert [recorder.meaning(identity) for identity in (11, 12, 13)] == [1, 2, 1]
    assert recorder.rebound == [recorder.handles.handle(12)]
    assert recorder.original(11) == recorder.original(13)


def test_a_group_follows_the_member_that_zebra_named() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(21, via(1))  # an alias, as after a restart of zebra
    recorder.handles.learn_group(22, ((21, 1),))
    recorder.handles.learn(11, via(9))  # zebra uses the old number for something else
    assert recorder.meaning(22) == [(1, 1)]


def test_groups_that_were_the_same_part_with_their_members() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(21, via(1))
    recorder.handles.learn_group(12, ((11, 1),))
    recorder.handles.learn_group(22, ((21, 1),))
    assert recorder.original(12) == recorder.original(22)
    recorder.handles.learn(11, via(9))
    assert recorder.meaning(12) == [(9, 1)]
    assert recorder.meaning(22) == [(1, 1)]


def test_a_nexthop_inside_its_route_is_the_same_for_the_same() -> None:
    recorder = Recorder(2)
    one = recorder.handles.inline(via(1))
    assert recorder.handles.inline(via(1)) == one
    assert recorder.handles.inline(via(2)) != one
    group = InlineNexthop(NexthopType.GROUP, members=((via(1), 1), (via(2), 2)))
    handle = recorder.handles.inline(group)
    assert recorder.contents[handle].members == (Member(one, 1), Member(2, 2))


def test_drop_types_need_no_handle() -> None:
    recorder = Recorder()
    assert recorder.handles.inline(InlineNexthop(NexthopType.BLACKHOLE)) == BLACKHOLE
    drops = np.array([BLACKHOLE, FIRST_RESERVED + 5], np.uint32)
    assert recorder.handles.known(drops).all()
    assert recorder.handles.originals(drops).tolist() == drops.tolist()


def test_a_nexthop_by_id_and_one_inside_a_route_are_one() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    inline = recorder.handles.inline(via(1))
    assert recorder.handles.originals(np.array([inline], np.uint32))[0] == recorder.original(11)


def test_deleted_nexthop_is_collected_once_no_route_uses_it() -> None:
    """Invariant 3: a nexthop outlives the last route that uses it."""
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(12, via(2))
    recorder.handles.learn_group(13, ((11, 1), (12, 1)))
    group, member = recorder.original(13), recorder.original(12)
    for identity in (11, 12, 13):
        recorder.handles.forget(identity)
    assert recorder.handles.collect({group}) == []
    assert [nexthop.id for nexthop in recorder.handles.collect({member})] != []
    assert [nexthop.id for nexthop in recorder.handles.collect(set())] == [member]
    recorder.handles.learn(11, via(1))
    assert recorder.meaning(11) == 1
    assert recorder.original(11) not in {group, member}  # a handle is never used again


def test_handle_whose_id_is_gone_counts_as_unnamed() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.collect(set())
    assert not recorder.handles.unnamed
    recorder.handles.forget(11)
    assert recorder.handles.unnamed


def test_a_live_alias_keeps_its_original() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    original = recorder.original(11)
    recorder.handles.forget(11)
    recorder.handles.learn(21, via(1))
    assert recorder.handles.collect(set()) == []
    assert recorder.original(21) == original


def test_a_dead_alias_leaves_nothing_behind() -> None:
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn(21, via(1))
    recorder.handles.forget(21)
    recorder.handles.collect(set())
    recorder.handles.learn(11, via(2))
    assert recorder.rebound == []


def test_undescribed_ids_are_forgotten_with_their_last_route() -> None:
    recorder = Recorder(2)
    used, unused, member = recorder.handles.by_id(np.array([5, 6, 7], np.uint32)).tolist()
    recorder.handles.learn_group(13, ((7, 1),))
    recorder.handles.collect({used})
    assert recorder.handles.handle(5) == used
    assert recorder.handles.handle(6) != unused
    assert recorder.handles.handle(7) == member


def test_a_group_of_itself_is_never_known() -> None:
    recorder = Recorder(2)
    recorder.handles.learn_group(31, ((31, 1),))
    recorder.handles.learn_group(32, ((33, 1),))
    recorder.handles.learn_group(33, ((32, 1),))
    recorder.handles.retry(range(100))
    assert [recorder.meaning(i) for i in (31, 32, 33)] == [None, None, None]
    assert recorder.handles.collect(set()) == []


def test_groups_of_one_another_are_never_known() -> None:
    """No kernel has them; what is nexthop over TCP may."""
    recorder = Recorder(2)
    for _ in range(2):
        recorder.handles.learn_group(7, ((7, 1), (8, 1)))
        recorder.handles.learn_group(8, ((7, 1), (8, 1)))
        recorder.handles.learn(9, via(1))
        recorder.handles.retry(range(100))
    assert (recorder.meaning(7), recorder.meaning(8), recorder.meaning(9)) == (None, None, 1)
    recorder.handles.learn_group(8, ((9, 1),))
    assert (recorder.meaning(7), recorder.meaning(8)) == (None, [(1, 1)])


def test_group_that_shrinks_to_one_vtep_keeps_its_handle() -> None:
    """Routes have been nexthop with it."""
    recorder = Recorder(2)
    recorder.handles.states._resolve = lambda handle, nexthop: Nexthop(
        handle, nexthop.type, nexthop.gateway, vni=100
    )
    recorder.handles.learn(4, via(1))
    recorder.handles.learn(5, via(2))
    recorder.handles.learn_group(8, ((4, 1), (5, 1)))
    before = recorder.original(8)
    recorder.handles.learn_group(8, ((4, 1),))
    assert recorder.original(8) == before
    assert recorder.meaning(8) == [(1, 1)]


def test_groups_alike_become_known_with_their_only_vtep() -> None:
    recorder = Recorder(2)
    recorder.handles.states._resolve = lambda handle, nexthop: Nexthop(
        handle, nexthop.type, nexthop.gateway, vni=100
    )
    recorder.handles.learn_group(8, ((4, 1),))
    recorder.handles.learn_group(6, ((4, 1),))
    recorder.handles.learn(4, via(1))
    assert [recorder.meaning(identity) for identity in (4, 6, 8)] == [1, 1, 1]
    recorder.handles.learn(5, via(2))
    recorder.handles.learn_group(8, ((4, 1), (5, 1)))
    recorder.handles.learn_group(6, ((5, 1),))
    assert (recorder.meaning(8), recorder.meaning(6)) == ([(1, 1), (2, 1)], 2)


def test_announced_members_live_until_the_group_is_announced_again() -> None:
    """Invariant 3: of the new member nothing is known, so the old one still carries traffic."""
    recorder = Recorder(2)
    recorder.handles.learn(11, via(1))
    recorder.handles.learn_group(20, ((11, 1),))
    recorder.handles.learn_group(20, ((12, 1),))
    recorder.handles.forget(11)
    assert recorder.handles.collect(set()) == []
    recorder.handles.learn(12, via(2))
    assert recorder.meaning(20) == [(2, 1)]
    assert [nexthop.gateway[-1] for nexthop in recorder.handles.collect(set())] == [1]


def test_handles_grow_beyond_the_first_table() -> None:
    recorder = Recorder(2)
    for identity in range(1, 3000):
        recorder.handles.learn(identity, via(identity % 250, 2))
    handles = recorder.handles.by_id(np.arange(1, 3000, dtype=np.uint32))
    assert recorder.handles.known(handles).all()
    assert len(np.unique(recorder.handles.originals(handles))) == 250


IDS = st.integers(1, 6)
STEP = st.one_of(
    st.tuples(st.just("single"), IDS, st.integers(1, 3)),
    st.tuples(st.just("group"), st.integers(7, 9), st.lists(IDS, min_size=1, max_size=3)),
    st.tuples(st.just("forget"), st.integers(1, 9), st.none()),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
def test_nexthop_means_what_zebra_described_last(
    steps: list[tuple[str, int, object]],
) -> None:
    """Whatever ids zebra reuses: each leads where zebra's last description of it leads.

    A group that now has a member of which nothing is known stays what it was.
    """
    recorder = Recorder(2)
    singles: dict[int, int] = {}
    groups: dict[int, dict[int, int]] = {}  # id -> handle of each member: fixed when nexthop
    means: dict[int, int] = {}  # handle -> gateway
    for step, identity, what in steps:
        if step == "single" and isinstance(what, int):
            recorder.handles.learn(identity, via(what))
            singles[identity] = what
            means[recorder.handles.handle(identity)] = what
        elif step == "group" and isinstance(what, list):
            recorder.handles.learn_group(identity, tuple((member, 1) for member in what))
            groups[identity] = {i: recorder.handles.handle(m) for i, m in enumerate(what)}
        else:
            recorder.handles.forget(identity)
            singles.pop(identity, None)
            groups.pop(identity, None)
    for identity, gateway in singles.items():
        assert recorder.meaning(identity) == gateway
    for identity, members in groups.items():
        gateways = [means.get(member) for member in members.values()]
        if None not in gateways:  # else it stays what it was
            assert recorder.meaning(identity) == [(gateway, 1) for gateway in gateways]


def test_weights_above_the_limit_keep_their_proportions() -> None:
    recorder = Recorder(2)
    for identity in (11, 12, 13):
        recorder.handles.learn(identity, via(identity))
    recorder.handles.learn_group(31, ((11, 65536), (12, 16384), (13, 1)))
    assert recorder.meaning(31) == [(11, 256), (12, 64), (13, 1)]
