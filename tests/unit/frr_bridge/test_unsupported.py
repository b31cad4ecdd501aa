"""Updates that no datapath can use: the row fails with its reason, and the old way goes."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from dualpath.model.kinds import Kind
from dualpath.model.nexthops import NexthopType, unsupported_reason
from dualpath.netlink.message import DecodeError, attribute, encode_message, header
from dualpath.netlink.neighborcolumns import NDMSG
from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    NDA_DST,
    NDA_LLADDR,
    NDA_NH_ID,
    NDA_VLAN,
    NHA_ENCAP,
    NHA_ENCAP_TYPE,
    NHA_GATEWAY,
    NHA_ID,
    NHA_OIF,
    NTF_EXT_LEARNED,
    NTF_SELF,
    NUD_REACHABLE,
    RTA_ENCAP,
    RTA_ENCAP_TYPE,
    RTM_NEWNEIGH,
    RTM_NEWNEXTHOP,
)
from frr_bridge.wire.inline import InlineNexthop, Unsupported
from frr_bridge.wire.neighbor import NeighborMessage, decode_neighbor
from frr_bridge.wire.nexthop import NHMSG, ZebraNexthop, decode_nexthop
from tests.fakes import shadow
from tests.fakes.logs import Written
from tests.unit.frr_bridge.test_bridge import World, nexthop, route, world
from tests.unit.frr_bridge.wire import build

PREFIX = "20.0.0.0/24"
PLACE = bytes([20, 0, 0, 0])
V6 = bytes.fromhex("20010db8") + bytes(12)
LABEL = attribute(1, bytes.fromhex("00019140"))


def encapsulated(kind: int, inner: bytes = LABEL) -> bytes:
    return attribute(RTA_ENCAP_TYPE, struct.pack("=H", kind)) + attribute(RTA_ENCAP, inner)


def gateway() -> bytes:
    return build.gateway(bytes([192, 168, 1, 9]), shadow.ETH1)


def reason(made: World, prefix: str = PREFIX) -> str:
    """Return why a route that the subscriber knows cannot be used, "" when it can."""
    return unsupported_reason(made.flush().bus.routes["default", prefix])


UPDATES = {
    "MPLS": build.route(PLACE, 24, gateway() + encapsulated(1)),
    "seg6": build.route(PLACE, 24, gateway() + encapsulated(5, attribute(1, bytes(40)))),
    "seg6local": build.route(PLACE, 24, gateway() + encapsulated(7)),
    "other than VXLAN": build.route(PLACE, 24, gateway() + encapsulated(101)),
    "route type": build.route(PLACE, 24, build.device(shadow.ETH1), kind=9),
    "no nexthop": build.route(PLACE, 24),
    "malformed": build.route(PLACE, 24, attribute(5, bytes(3))),
    "VNI": build.route(PLACE, 24, gateway() + build.encap(1 << 24)),
}
LEGS = build.route(
    PLACE,
    24,
    build.multipath(
        (1, 0, shadow.ETH1, attribute(5, bytes([192, 168, 1, 2]))),
        (1, 0, shadow.ETH1, attribute(5, bytes([192, 168, 1, 3])) + encapsulated(1)),
    ),
)


@pytest.mark.parametrize("why", UPDATES)
@pytest.mark.parametrize("copies", [1, 40], ids=["alone", "in a block"])
def test_route_that_becomes_unusable_is_announced_with_its_reason(why: str, copies: int) -> None:
    made = world()
    made.frames(*[UPDATES[why]] * copies)
    assert why in reason(made)
    assert made.bridge.decode_errors == copies
    made.frames(route())
    assert reason(made) == ""


def test_one_leg_that_cannot_be_used_fails_the_route() -> None:
    made = world()
    made.frames(LEGS)
    assert reason(made) == "MPLS encapsulation"


def test_ipv6_routes_fail_alike() -> None:
    made = world()
    made.frames(build.route(V6, 32, build.gateway(bytes(15) + b"\1", shadow.ETH1)))
    assert reason(made, "2001:db8::/32") == ""
    made.frames(build.route(V6, 32, build.device(shadow.ETH1) + encapsulated(1)))
    assert reason(made, "2001:db8::/32") == "MPLS encapsulation"


def test_a_source_specific_route_does_not_touch_the_plain_one() -> None:
    made = world()
    made.frames(build.route(PLACE, 24, gateway() + attribute(2, PLACE)))
    assert reason(made) == ""
    assert made.bridge.decode_errors == 1


def test_an_unusable_route_can_be_withdrawn() -> None:
    made = world()
    made.frames(UPDATES["MPLS"], build.withdrawal(PLACE, 24))
    made.flush()
    assert made.bus.routes == {}


# -- nexthop objects -------------------------------------------------------------------------


def labelled(identity: int) -> ZebraNexthop:
    """Return a nexthop with an MPLS label, as decoded from the kernel's message."""
    body = NHMSG.pack(2, 0, 11, 0, 0) + build.u32(NHA_ID, identity)
    body += attribute(NHA_GATEWAY, bytes([192, 168, 1, 9])) + build.u32(NHA_OIF, shadow.ETH1)
    body += attribute(NHA_ENCAP_TYPE, struct.pack("=H", 1)) + attribute(NHA_ENCAP, LABEL)
    buffer = encode_message(RTM_NEWNEXTHOP, 0, 0, body)
    return decode_nexthop(header(buffer, 0, len(buffer)))


def nexthops(made: World) -> int:
    return sum(isinstance(key, tuple) and key[0] is Kind.NEXTHOP for key in made.bus.records)


def test_routes_fail_when_their_nexthop_becomes_unusable_and_return_with_it() -> None:
    made = world()
    made.frames(route(1))
    made.bridge.receive_netlink(labelled(11))
    assert {reason(made, f"20.0.{third}.0/24") for third in (0, 1)} == {"MPLS encapsulation"}
    assert nexthops(made) == 0
    assert made.bridge.decode_errors == 1
    made.bridge.receive_netlink(nexthop(11, 7))
    assert reason(made) == ""
    assert nexthops(made) == 1


def test_a_route_that_moves_to_an_unusable_nexthop_fails() -> None:
    made = world()
    made.bridge.receive_netlink(labelled(12))
    made.frames(route(identity=12))
    assert reason(made) == "MPLS encapsulation"


def test_nexthop_known_only_from_fpm_fails_alike() -> None:
    made = World()
    made.links()
    made.live()
    made.bridge.nexthops.from_fpm(labelled(12))
    made.frames(route(identity=12))
    assert reason(made) == "MPLS encapsulation"


def test_a_group_fails_with_a_member_and_returns_with_it() -> None:
    made = world()
    made.bridge.receive_netlink(nexthop(12, 3))
    made.bridge.receive_netlink(ZebraNexthop(13, False, members=((11, 1), (12, 1))))
    made.frames(route(identity=13))
    assert reason(made) == ""
    made.bridge.receive_netlink(labelled(12))
    assert reason(made) == "MPLS encapsulation"
    made.bridge.receive_netlink(nexthop(12, 4))
    assert reason(made) == ""
    made.bridge.receive_netlink(labelled(12))
    made.bridge.receive_netlink(ZebraNexthop(13, False, members=((11, 1),)))
    assert reason(made) == ""


def test_an_unusable_nexthop_equal_to_another_s_fails_by_itself() -> None:
    made = world()
    made.bridge.receive_netlink(labelled(11))
    made.bridge.receive_netlink(labelled(12))
    made.frames(route(1, 12))
    made.bridge.receive_netlink(nexthop(11))
    assert [reason(made), reason(made, "20.0.1.0/24")] == ["", "MPLS encapsulation"]
    made.bridge.receive_netlink(nexthop(12))
    assert reason(made, "20.0.1.0/24") == ""


def test_a_usable_nexthop_over_a_link_not_known_yet_makes_its_routes_wait() -> None:
    made = world()
    made.bridge.receive_netlink(labelled(11))
    made.flush()
    late = InlineNexthop(NexthopType.GATEWAY, bytes([192, 168, 9, 2]), 77)
    made.bridge.receive_netlink(ZebraNexthop(11, False, nexthop=late))
    made.flush()
    handle = np.array([made.bridge.handles.handle(11)], np.uint32)
    assert not made.bridge.handles.known(handle)[0]
    made.links(shadow.link(77, "eth7"))
    assert reason(made) == ""


def test_every_reason_keeps_its_text_through_an_identity() -> None:
    odd = Unsupported("width of attribute 9", DecodeError("width of attribute 9", offset=0))
    made = World()
    made.links()
    made.live()
    made.bridge.receive_netlink(ZebraNexthop(12, False, nexthop=odd))
    made.frames(route(identity=12))
    assert reason(made) == "malformed message"


# -- layer 2 ---------------------------------------------------------------------------------


def entry(family: int, device: int, flags: int, *attributes: bytes) -> NeighborMessage:
    body = NDMSG.pack(family, 0, 0, device, NUD_REACHABLE, flags, 0) + b"".join(attributes)
    buffer = encode_message(RTM_NEWNEIGH, 0, 0, body)
    return decode_neighbor(header(buffer, 0, len(buffer)))


MAC = attribute(NDA_LLADDR, shadow.HOST_MAC)
BAD = struct.pack("=HH", 3, NDA_VLAN)


def on_device(*attributes: bytes) -> NeighborMessage:
    return entry(AF_BRIDGE, shadow.VX110, NTF_SELF | NTF_EXT_LEARNED, MAC, *attributes)


@pytest.mark.parametrize(
    "contents",
    [attribute(NDA_DST, bytes(5)), attribute(NDA_NH_ID, bytes(3)), BAD],
    ids=["width of a VTEP", "width of a group", "length"],
)
def test_a_mac_with_contents_that_cannot_be_read_leads_nowhere(contents: bytes) -> None:
    made = World()
    made.links(*shadow.LINKS, *shadow.HOST_ROWS)
    made.live().flush()
    assert len(made.bus.records) == 2
    made.bridge.receive_netlink(on_device(contents))
    assert made.flush().bus.records == {}
    assert made.bridge.decode_errors == 1
    made.bridge.receive_netlink(shadow.HOST_ROWS[1])
    assert len(made.flush().bus.records) == 2


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_a_neighbour_with_contents_that_cannot_be_read_goes(family: int) -> None:
    address = shadow.HOST if family == AF_INET else bytes.fromhex("fd" + "00" * 14 + "05")
    row = shadow.neighbor(shadow.BR110, address, shadow.HOST_MAC)
    made = World()
    made.links(*shadow.LINKS, *shadow.HOST_ROWS[:2], row)
    made.live().flush()
    assert (Kind.NEIGHBOR, (110, address)) in made.bus.records
    bad = entry(family, shadow.BR110, NTF_EXT_LEARNED, attribute(NDA_DST, address), MAC, BAD)
    made.bridge.receive_netlink(bad)
    assert {key[0] for key in made.flush().bus.records if isinstance(key, tuple)} == {Kind.MAC}


@pytest.mark.parametrize("attributes", [(), (attribute(NDA_LLADDR, bytes(5)),), (BAD, MAC)])
def test_an_entry_without_a_key_is_refused(attributes: tuple[bytes, ...]) -> None:
    with pytest.raises(DecodeError):
        entry(AF_BRIDGE, shadow.VX110, NTF_SELF, *attributes)
    with pytest.raises(DecodeError):
        entry(AF_INET, shadow.BR110, NTF_EXT_LEARNED, *attributes)


def test_messages_that_cannot_be_decoded_are_few_log_lines() -> None:
    made = world()
    with Written() as written:
        for kind in range(1000):
            made.frames(build.route(PLACE, 24, gateway() + encapsulated(100 + kind)))
        assert (written.rows, len(written.lines) <= 20) == (1000, True)
