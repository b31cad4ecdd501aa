"""The bridge's state: recordings of FRR in, the bus out."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from frr_bridge.bridge import Bridge
from frr_bridge.session import Action, Input, State
from frr_bridge.wire.fpm import FpmFramer, Frames
from frr_bridge.wire.inline import InlineNexthop
from frr_bridge.wire.nexthop import ZebraNexthop
from frr_bridge.wire.offload import RTM_F_OFFLOAD, RTM_F_OFFLOAD_FAILED
from tests.fakes import shadow
from tests.fakes.batches import batch
from tests.fakes.zebra import MemoryBus
from tests.unit.frr_bridge.wire import build

VECTORS = Path(__file__).parents[2] / "vectors" / "fpm"

PE1_LINKS = (
    shadow.link(1, "lo"),
    shadow.link(3, "red", "vrf", table=1100),
    shadow.link(4, "br100", "bridge", 3),
    shadow.link(5, "vx100", "vxlan", 4, 100),
    shadow.link(6, "br110", "bridge", 3),
    shadow.link(7, "vx110", "vxlan", 6, 110),
    shadow.link(8, "dum0"),
    shadow.link(9, "eth1"),
)
DEFAULT = {"100.64.0.1/32", "192.168.1.0/30", "192.168.1.1/32", "100.64.0.2/32", "fe80::/64"}
TENANT_V4 = {"10.1.0.0/24", "10.1.0.1/32", "10.110.0.0/24", "10.110.0.1/32"}
TENANT_V6 = {"2001:db8:1::/64", "2001:db8:1::1/128", "2001:db8:2::/64", "fe80::/64"}
TENANT = TENANT_V4 | TENANT_V6


class World:
    """A bridge with a subscriber, and a daemon that a test can kill."""

    def __init__(self, credit: int = 1000) -> None:
        self.bus = MemoryBus(credit)
        self.dead = False
        self.dump_complete = True
        self.answers = b""
        self.replays = 0
        self.bridge = Bridge(
            self.bus,
            bgpd_died=lambda: self.dead,
            answer=self._answer,
            dump_complete=lambda: self.dump_complete,
            replay=self._replay,
        )

    def _answer(self, data: bytes) -> None:
        self.answers += data

    def _replay(self) -> None:
        self.replays += 1

    def frames(self, *messages: bytes, in_order: bool = True) -> None:
        self.bridge.receive_frames(frames(build.frames(*messages)), in_order=in_order)

    def stream(self, data: bytes) -> None:
        self.bridge.receive_frames(frames(data))

    def links(self, *links: object) -> None:
        for link in links or shadow.LINKS:
            self.bridge.receive_netlink(link)  # type: ignore[arg-type]

    def live(self) -> World:
        return self.session(b"")

    def session(self, replay: bytes) -> World:
        """Let zebra connect, replay its routes, and converge."""
        self.bridge.step(Input.CONNECTED)
        self.stream(replay)
        self.bridge.step(Input.REPLAYED)
        self.bridge.step(Input.CONVERGED)
        return self

    def flush(self) -> World:
        while self.bridge.flush():
            pass
        return self


def frames(data: bytes) -> Frames:
    return FpmFramer().feed(data)


def nexthop(identity: int, last: int = 2, oif: int = shadow.ETH1) -> ZebraNexthop:
    gateway = bytes([192, 168, 1, last])
    return ZebraNexthop(identity, False, nexthop=InlineNexthop(NexthopType.GATEWAY, gateway, oif))


def route(third: int = 0, identity: int = 11, table: int = 254) -> bytes:
    return build.route(bytes([20, 0, third, 0]), 24, build.by_id(identity), table=table)


def withdrawal(third: int = 0) -> bytes:
    return build.withdrawal(bytes([20, 0, third, 0]), 24)


def world(credit: int = 1000) -> World:
    """Return one that is live, with devices, nexthop 11 and one route, all announced."""
    made = World(credit)
    made.links()
    made.bridge.receive_netlink(nexthop(11))
    made.live()
    made.frames(route())
    return made.flush()


# -- recordings ------------------------------------------------------------------------------


def test_recorded_session_is_announced_completely() -> None:
    made = World()
    made.links(*PE1_LINKS)
    made.session((VECTORS / "frr-10.7.1-evpn-nhg-pe1.fpm").read_bytes()).flush()
    assert made.bridge.decode_errors == 0
    assert made.bus.prefixes() == DEFAULT
    assert made.bus.prefixes("red") == TENANT
    handle = made.bus.routes["red", "2001:db8:2::/64"]
    found = made.bus.records[Kind.NEXTHOP, handle]
    assert isinstance(found, Nexthop)
    assert (found.vtep, found.vni, found.onlink) == (bytes([100, 64, 0, 2]), 100, True)


def test_groups_and_plain_nexthops_announce_the_same_prefixes() -> None:
    announced: list[tuple[set[str], set[str]]] = []
    for kind in ("nhg", "plain"):
        made = World()
        made.links(*PE1_LINKS)
        made.session((VECTORS / f"frr-10.7.1-evpn-{kind}-pe1.fpm").read_bytes()).flush()
        announced.append((made.bus.prefixes(), made.bus.prefixes("red")))
    assert announced[0] == announced[1]


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.fpm")), ids=lambda path: path.stem)
def test_same_recording_gives_the_same_events_in_the_same_order(path: Path) -> None:
    """Invariant 5."""
    words: list[list[str]] = []
    for _ in range(2):
        made = World()
        made.links(*PE1_LINKS)
        made.session(path.read_bytes()).flush()
        words.append([repr(event) for event in made.bus.events])
    assert words[0] == words[1]
    assert words[0]


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.fpm")), ids=lambda path: path.stem)
def test_a_replay_of_the_same_changes_nothing(path: Path) -> None:
    """Invariant 4."""
    made = World()
    made.links(*PE1_LINKS)
    made.session(path.read_bytes()).flush()
    changes = made.bus.count(events.Changed)
    routes = dict(made.bus.routes)
    made.bridge.step(Input.LOST)
    made.session(path.read_bytes()).flush()
    assert made.bus.routes == routes
    assert made.bus.count(events.Changed) == changes


@pytest.mark.parametrize("cut", range(0, 2644, 97))
def test_a_session_that_ends_anywhere_removes_nothing(cut: int) -> None:
    """Invariant 1."""
    stream = (VECTORS / "frr-10.7.1-evpn-nhg-pe1.fpm").read_bytes()
    made = World()
    made.links(*PE1_LINKS)
    made.session(stream).flush()
    routes, records = dict(made.bus.routes), dict(made.bus.records)
    made.bridge.step(Input.LOST)
    made.bridge.step(Input.CONNECTED)
    made.stream(stream[:cut])
    made.flush()
    made.bridge.step(Input.LOST)
    made.flush()
    assert routes.items() <= made.bus.routes.items()
    assert records.items() <= made.bus.records.items()


@pytest.mark.parametrize("seed", range(20))
def test_mutated_recordings_raise_nothing(seed: int) -> None:
    """Invariant 6; framing is the server's, so only what frames hold is spoilt here."""
    source = random.Random(seed)
    stream = bytearray((VECTORS / "frr-10.7.1-evpn-nhg-pe1.fpm").read_bytes())
    offsets = frames(bytes(stream)).offsets.tolist()
    for _ in range(40):
        at = source.choice(offsets) + 4 + source.randrange(40)
        if at < len(stream):
            stream[at] = source.randrange(256)
    made = World()
    made.links(*PE1_LINKS)
    made.live()
    made.bridge.receive_frames(Frames(bytes(stream), np.array(offsets, np.int64)))
    made.flush()
    assert made.bridge.decode_errors > 0


# -- nexthops --------------------------------------------------------------------------------


def test_nexthop_is_announced_before_its_route() -> None:
    """Invariant 3."""
    kinds = [e.batch for e in world().bus.events if isinstance(e, events.Changed)]
    assert [getattr(one, "kind", Kind.ROUTE) for one in kinds] == [Kind.NEXTHOP, Kind.ROUTE]


def test_a_route_waits_for_its_nexthop_and_that_for_its_device() -> None:
    made = World().live()
    made.frames(route())
    made.bridge.receive_netlink(nexthop(11))
    made.flush()
    assert made.bus.routes == {}
    made.links()
    made.flush()
    assert made.bus.prefixes() == {"20.0.0.0/24"}


def test_fpm_does_not_replace_the_kernel_s_nexthop() -> None:
    made = world()
    made.bridge.receive_netlink(ZebraNexthop(31, False, members=((11, 1),)))
    announced = dict(made.flush().bus.records)
    made.bridge.nexthops.from_fpm(ZebraNexthop(31, False, members=((11, 1), (12, 1))))
    made.bridge.nexthops.from_fpm(ZebraNexthop(11, True))
    assert made.flush().bus.records == announced


def test_a_nexthop_for_bridge_entries_is_not_for_routes() -> None:
    made = world()
    before = dict(made.bus.records)
    made.bridge.receive_netlink(replace(nexthop(99, 9), fdb=True))
    assert made.flush().bus.records == before


def test_a_nexthop_goes_after_its_last_route() -> None:
    """Invariant 3."""
    made = world()
    made.bridge.receive_netlink(ZebraNexthop(11, True))
    made.bridge.collect()
    made.flush()
    assert len(made.bus.records) == 1
    made.frames(withdrawal())
    made.flush()
    made.bridge.receive_netlink(ZebraNexthop(12, True))
    made.bridge.collect()
    assert made.flush().bus.records == {}


def test_a_restarted_zebra_with_other_ids_changes_no_route() -> None:
    """Invariant 1."""
    made = world()
    routes, records = dict(made.bus.routes), dict(made.bus.records)
    made.bridge.step(Input.LOST)
    made.bridge.receive_netlink(ZebraNexthop(11, True))
    made.bridge.receive_netlink(nexthop(77))
    made.session(build.frames(route(identity=77)))
    made.bridge.collect()
    made.flush()
    assert (made.bus.routes, made.bus.records) == (routes, records)


# -- obeying, and not ------------------------------------------------------------------------


def test_a_live_session_is_obeyed_at_once() -> None:
    made = world()
    made.frames(withdrawal())
    assert made.flush().bus.routes == {}


@pytest.mark.parametrize(
    "inputs",
    [
        (Input.LOST, Input.CONNECTED),
        (Input.LOST, Input.CONNECTED, Input.REPLAYED),
        (Input.DIED,),
    ],
)
def test_withdrawals_are_held_while_in_doubt(inputs: tuple[Input, ...]) -> None:
    """Invariant 1."""
    made = world()
    for row in shadow.ROWS:
        made.bridge.receive_netlink(row)
    made.flush()
    routes, records = dict(made.bus.routes), dict(made.bus.records)
    for happened in inputs:
        made.bridge.step(happened)
    made.frames(withdrawal())
    for row in shadow.ROWS:
        made.bridge.receive_netlink(row._replace(deleted=True))
    made.flush()
    assert (made.bus.routes, made.bus.records) == (routes, records)
    assert made.bridge.stale > 0
    if inputs == (Input.DIED,):
        assert made.bridge.step(Input.EXPIRED) is Action.SWEEP
        made.flush()
        assert made.bus.routes == {}
        assert {record.kind for record in made.bus.records.values()} == {Kind.NEXTHOP}
        assert made.bridge.stale == 0


def test_a_dead_daemon_is_noticed_before_its_withdrawals_are_obeyed() -> None:
    """Invariant 1: the avalanche comes before any timer of ours."""
    made = world()
    for row in shadow.ROWS:
        made.bridge.receive_netlink(row)
    made.flush()
    kept = dict(made.bus.records)
    made.dead = True
    made.frames(withdrawal())
    for row in reversed(shadow.ROWS):
        made.bridge.receive_netlink(row._replace(deleted=True))
    made.flush()
    assert made.bus.prefixes() == {"20.0.0.0/24"}
    assert made.bus.records == kept


def test_a_mac_that_moves_here_is_news_even_in_doubt() -> None:
    made = world()
    for row in shadow.HOST_ROWS:
        made.bridge.receive_netlink(row)
    made.flush()
    made.dead = True
    here = shadow.on_bridge(shadow.AC110, shadow.BR110, shadow.HOST_MAC)
    made.bridge.receive_netlink(here)
    made.flush()
    assert not [r for r in made.bus.records.values() if isinstance(r, Mac)]


def test_rows_not_repeated_by_a_replay_are_swept_at_convergence() -> None:
    made = world()
    made.frames(route(1))
    made.bridge.step(Input.LOST)
    made.bridge.step(Input.CONNECTED)
    made.frames(route(1))
    made.bridge.step(Input.REPLAYED)
    assert made.flush().bus.prefixes() == {"20.0.0.0/24", "20.0.1.0/24"}
    made.bridge.step(Input.CONVERGED)
    assert made.flush().bus.prefixes() == {"20.0.1.0/24"}


# -- the bus ---------------------------------------------------------------------------------


def test_nothing_is_sent_without_a_subscriber() -> None:
    made = World()
    made.bus.subscribed = False
    made.links()
    made.live().flush()
    assert made.bus.events == []


def test_no_more_batches_are_sent_than_credit_allows() -> None:
    made = World(credit=1)
    made.links()
    made.bridge.receive_netlink(nexthop(11))
    made.bridge.receive_netlink(shadow.flood(shadow.VX110, shadow.VTEP))
    made.live()
    made.frames(route())
    for expected in (Flood, Nexthop):
        made.flush()
        assert type(list(made.bus.records.values())[-1]) is expected
        assert made.bus.routes == {}
        assert made.bus.count(events.Synced) == 0
        made.bus.credit = 1
    made.flush()
    assert made.bus.prefixes() == {"20.0.0.0/24"}
    made.bus.credit = 1
    made.flush()
    assert made.bus.count(events.Synced) == 1


def test_ten_flaps_without_credit_are_one_row() -> None:
    made = world()
    made.bus.credit = 0
    for _ in range(10):
        made.frames(route(1))
        made.frames(build.withdrawal(bytes([20, 0, 1, 0]), 24))
        made.flush()
    made.frames(route(2), withdrawal(0))
    before = len(made.bus.events)
    made.bus.credit = 9
    made.flush()
    assert len(made.bus.events) == before + 1
    assert made.bus.prefixes() == {"20.0.2.0/24"}


def test_synced_is_sent_once_and_only_when_live() -> None:
    made = World()
    made.links()
    for happened in (Input.CONNECTED, Input.REPLAYED):
        made.bridge.step(happened)
        made.flush()
    assert made.bus.count(events.Synced) == 0
    made.bridge.step(Input.CONVERGED)
    for _ in range(3):
        made.flush()
    assert made.bus.count(events.Synced) == 1
    assert made.bus.events[-1] == events.Synced()


def test_new_subscriber_gets_everything_again() -> None:
    made = world()
    for row in shadow.ROWS:
        made.bridge.receive_netlink(row)
    made.flush()
    routes, records = made.bus.routes, made.bus.records
    made.bus.replace_subscriber()
    made.bridge.repeat()
    made.flush()
    assert (made.bus.routes, made.bus.records) == (routes, records)
    assert made.bus.count(events.SessionChanged) == made.bus.count(events.Synced) == 1


def test_subscriber_during_a_replay_gets_no_synced() -> None:
    made = world()
    made.bridge.step(Input.LOST)
    made.bridge.repeat()
    made.bus.events.clear()
    made.flush()
    assert made.bus.count(events.Synced) == 0
    assert made.bus.prefixes() == {"20.0.0.0/24"}


def test_session_is_sent_only_when_it_changed() -> None:
    made = World()
    made.flush().flush()
    made.bridge.reason = "waiting for bgpd"
    made.flush().flush()
    made.live().flush()
    sent = [e for e in made.bus.events if isinstance(e, events.SessionChanged)]
    assert [(e.number, e.state, e.reason) for e in sent] == [
        (0, State.IDLE, ""),
        (0, State.IDLE, "waiting for bgpd"),
        (1, State.LIVE, "waiting for bgpd"),
    ]


# -- what zebra waits for --------------------------------------------------------------------


def flags(answers: bytes) -> list[int]:
    """Return rtm_flags of each answer."""
    return [int.from_bytes(payload[24:28], "little") for payload in frames(answers).payloads()]


def test_programmed_routes_are_acknowledged_to_zebra() -> None:
    made = world()
    made.bridge.programmed(batch("+ 20.0.0.0/24 5", "+ 20.0.1.0/24 0"))
    assert flags(made.answers) == [RTM_F_OFFLOAD, RTM_F_OFFLOAD_FAILED]
    made.bridge.programmed(batch("+ 20.0.0.0/24 5", vrf="gone"))
    assert len(flags(made.answers)) == 2


def test_a_repeated_route_is_acknowledged_without_asking_the_datapath() -> None:
    made = world()
    made.bridge.programmed(batch("+ 20.0.0.0/24 5"))
    made.answers = b""
    made.frames(route())
    assert made.answers == b""
    made.bridge.acknowledge = True
    made.frames(route(), route(1))
    assert flags(made.answers) == [RTM_F_OFFLOAD]


# -- the rest --------------------------------------------------------------------------------


def test_bad_messages_are_counted_and_the_rest_stands() -> None:
    """Invariant 6."""
    made = world()
    bad = bytearray(route(7))
    bad[16] = 99  # address family
    made.frames(bytes(bad), route(1), bytes(bad))
    made.flush()
    assert made.bridge.decode_errors == 2
    assert made.bus.prefixes() == {"20.0.0.0/24", "20.0.1.0/24"}
