"""What a dump of FRR's namespace does to the bridge's state."""

from __future__ import annotations

from dataclasses import replace

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop
from dualpath.netlink.numbers import IFF_RUNNING, IFF_UP
from frr_bridge.session import Input
from frr_bridge.wire.nexthop import ZebraNexthop
from tests.fakes import shadow
from tests.unit.frr_bridge.test_bridge import World, nexthop, route, world

UP = IFF_UP | IFF_RUNNING


def test_dump_withdraws_the_rows_that_it_does_not_repeat() -> None:
    w = world().live()
    for message in shadow.ROWS:
        w.bridge.receive_netlink(message)
    w.bridge.receive_netlink(nexthop(11))
    w.bridge.receive_netlink(nexthop(12, 3))
    w.flush()
    w.bridge.begin_dump()
    w.links()
    w.bridge.receive_netlink(nexthop(12, 3))
    assert not w.bridge.records[Kind.MAC]._withdrawn, "a dump withdraws nothing before its end"
    w.bridge.end_dump()
    w.bridge.collect()
    w.flush()
    (left,) = w.bus.records.values()
    assert isinstance(left, Nexthop)
    assert left.gateway[-1] == 3


def test_nexthop_that_a_dump_does_not_show_is_withdrawn_without_another_message() -> None:
    w = world()
    w.bridge.receive_netlink(nexthop(12, 3))
    w.bridge.collect()
    assert len(w.flush().bus.records) == 2
    w.bridge.begin_dump()
    w.links(*(replace(link, flags=UP) for link in shadow.LINKS))  # else they take it along
    w.bridge.receive_netlink(nexthop(11))
    w.bridge.end_dump()
    w.bridge.collect()
    assert len(w.flush().bus.records) == 1


def test_dead_daemon_s_nexthops_are_held_until_the_sweep() -> None:
    """Invariant 1."""
    w = world()
    w.bridge.receive_netlink(nexthop(12, 3))
    w.bridge.step(Input.DIED)
    w.bridge.receive_netlink(ZebraNexthop(12, True))
    w.bridge.collect()
    assert len(w.flush().bus.records) == 2
    w.bridge.step(Input.CONVERGED)
    w.bridge.collect()
    assert len(w.flush().bus.records) == 1


def test_stale_message_over_fpm_does_not_undo_the_kernel_s() -> None:
    w = world()
    w.bridge.receive_netlink(nexthop(12, 3))
    w.bridge.nexthops.from_fpm(nexthop(12, 4))
    found = {n.gateway[-1] for n in w.flush().bus.records.values() if isinstance(n, Nexthop)}
    assert found == {2, 3}


def test_nexthop_that_zebra_deletes_is_withdrawn_without_another_message() -> None:
    w = world()
    w.bridge.receive_netlink(nexthop(12, 3))
    w.bridge.collect()
    w.bridge.receive_netlink(ZebraNexthop(12, True))
    w.bridge.collect()
    assert len(w.flush().bus.records) == 1


def test_nexthop_known_only_from_fpm_outlives_a_dump() -> None:
    """Its kernel may have none: then only FPM says when it is gone."""
    w = world()
    w.bridge.nexthops.from_fpm(nexthop(21, 3))
    w.bridge.begin_dump()
    w.links()
    w.bridge.end_dump()
    w.frames(route(1, 21))
    assert w.flush().bus.prefixes() == {"20.0.0.0/24", "20.0.1.0/24"}


def test_synced_waits_for_a_complete_dump() -> None:
    """Synced sweeps rows that were not announced: MACs that no dump has shown yet would be lost."""
    w = World()
    w.dump_complete = False
    w.live()
    assert w.flush().bus.count(events.Synced) == 0
    w.dump_complete = True
    assert w.flush().bus.count(events.Synced) == 1


def test_session_s_reason_names_a_namespace_that_cannot_be_read() -> None:
    w = world().live()
    w.bridge.reason, w.bridge.trouble = "bgpd died", "cannot read FRR's namespace"
    w.flush()
    sent = [e for e in w.bus.events if isinstance(e, events.SessionChanged)]
    assert sent[-1].reason == "bgpd died; cannot read FRR's namespace"
