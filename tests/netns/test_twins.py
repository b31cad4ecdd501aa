"""Twins in the default VRF: which packets FRR gets, which the kernel keeps, and who answers."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datapaths.base import Unavailable, Unsupported
from datapaths.kernel.layout import Layout
from datapaths.linux import netns, sysctls
from datapaths.linux.filters import Filters
from datapaths.linux.linkinfo import is_link_local
from datapaths.linux.links import Links
from datapaths.linux.punt import ALL_FRAMES
from datapaths.linux.twins import Twins
from datapaths.linux.wire.filters import Classifier
from datapaths.linux.wire.matches import ETH_P_ARP, Action, Rule
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.records import RecordBatch
from tests.netns.layouts import addresses
from tests.netns.namespaces import fresh, link, ping, run, watching

pytestmark = pytest.mark.netns

V4, V6, LOOPBACK = "192.0.2.1", "2001:db8::1", "100.64.0.1"


@dataclass
class Bed:
    """A peer, a forwarding namespace with a leg to it, and FRR's namespace with the twin."""

    forwarding: str
    control: str
    peer: str
    ports: tuple[Port, ...] = field(init=False)

    def __post_init__(self) -> None:
        end = HostEnd(self.peer, "peer0", addresses=addresses("192.0.2.0/31", "2001:db8::2/64"))
        own = addresses(f"{V4}/31", f"{V6}/64")
        self.ports = (
            Port("lo", addresses=addresses(f"{LOOPBACK}/32"), loopback=True),
            Port("eth1", addresses=own, host=end, twin=True, mtu=1400),
        )
        self.layout = Layout(self.forwarding, self.peer)
        self.twins = Twins(self.forwarding, self.control)

    def build(self) -> None:
        self.layout.prepare()
        assert self.layout.apply(RecordBatch(self.ports[0].kind, upserts=self.ports)) == []
        self.control_up()
        run(f"ip -n {self.peer} route add {LOOPBACK} via {V4}")

    def control_up(self) -> None:
        sysctls.ensure(self.control, sysctls.CONTROL)
        run(f"ip -n {self.control} addr add {LOOPBACK}/32 dev lo")
        assert self.twins.ensure(self.ports) == []

    def link_local(self) -> str:
        return link_local(self.forwarding, "eth1")


def link_local(space: str, device: str) -> str:
    with Links(space) as links:
        [address] = filter(is_link_local, links.addresses.of(device))
    return str(address).split("/")[0]


@pytest.fixture(params=list(Classifier), ids=lambda classifier: classifier.value)
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """Run with each classifier; a kernel without flower runs with u32 only."""
    with fresh("fwd", "ctl", "peer") as names:
        bed = Bed(*names)
        if request.param not in classifiers(names[0]):
            pytest.skip(f"this kernel has no tc classifier {request.param.value}")
        bed.twins.classifier = request.param
        bed.build()
        yield bed


def classifiers(space: str) -> list[Classifier]:
    """Return the classifiers of this kernel, by trying them."""
    with Links(space) as links, Filters(space) as filters:
        link, found = links.create("probe", "bridge"), list[Classifier]()
        for classifier in Classifier:
            with suppress(OSError):
                filters.ensure(classifier, link.index, [ALL_FRAMES], link.index)
                found.append(classifier)
        links.delete("probe")
        assert filters.detect(1, 1) is found[0]
        filters.clear(1)
        return found


def test_redirections_are_removed_without_reading_them_and_copies_stay() -> None:
    with fresh("fwd") as (space,), Links(space) as links, Filters(space) as filters:
        one, other, bare = (links.create(f"probe{n}", "bridge").index for n in range(3))
        copies = Rule(Action.COPY, ETH_P_ARP)
        for classifier in classifiers(space):
            filters.ensure(classifier, one, [copies, ALL_FRAMES], bare)
            filters.ensure(classifier, other, [copies], bare)
            assert filters.stop_redirecting([one, other, bare]) == {one}
            assert not filters.has(ALL_FRAMES, one, bare)
            assert filters.has(copies, one, bare)
            assert filters.has(copies, other, bare)
            assert filters.stop_redirecting([one, other, bare]) == set()
            filters.clear(one)
            filters.clear(other)


@contextmanager
def listening(space: str, address: str, port: int) -> Iterator[socket.socket]:
    """A TCP listener inside a namespace; link-local addresses take `%device`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(space):
        sock = socket.socket(family, socket.SOCK_STREAM)
        resolved = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4]
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(resolved)
        sock.listen()
        sock.settimeout(3)
        yield sock


def connected(space: str, address: str, port: int, timeout_s: float = 3) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.entered(space):
        sock = socket.socket(family, socket.SOCK_STREAM)
        resolved = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4]
    sock.settimeout(timeout_s)
    try:
        sock.connect(resolved)
    except OSError:
        sock.close()
        raise
    return sock


def exchange(caller: str, callee: str, address: str, *, listen: str = "", port: int = 179) -> bool:
    """Connect, and send more than a frame both ways."""
    payload = bytes(range(256)) * 64
    with ExitStack() as stack:
        listener = stack.enter_context(listening(callee, listen or address, port))
        here = stack.enter_context(connected(caller, address, port))
        there = stack.enter_context(listener.accept()[0])
        here.settimeout(3)
        there.settimeout(3)
        return _passes(here, there, payload) and _passes(there, here, payload)


def _passes(source: socket.socket, target: socket.socket, payload: bytes) -> bool:
    source.sendall(payload)
    got = b""
    while len(got) < len(payload):
        got += target.recv(1 << 16)
    return got == payload


@pytest.mark.parametrize("address", [V4, V6, LOOPBACK])
def test_peer_reaches_bgpd_through_the_twin(bed: Bed, address: str) -> None:
    assert exchange(bed.peer, bed.control, address)


@pytest.mark.parametrize("address", ["192.0.2.0", "2001:db8::2"])
def test_bgpd_reaches_a_peer_through_the_twin(bed: Bed, address: str) -> None:
    assert exchange(bed.control, bed.peer, address)


def test_unnumbered_sessions_open_in_both_directions(bed: Bed) -> None:
    ours = bed.link_local()
    assert exchange(bed.peer, bed.control, f"{ours}%peer0", listen=f"{ours}%eth1")
    theirs = link_local(bed.peer, "peer0")
    assert exchange(bed.control, bed.peer, f"{theirs}%eth1", listen="::")


def test_other_tcp_ports_belong_to_the_forwarding_stack(bed: Bed) -> None:
    assert exchange(bed.peer, bed.forwarding, V4, port=8080)
    with listening(bed.control, V4, 8080), pytest.raises(ConnectionRefusedError):
        connected(bed.peer, V4, 8080)


def test_bgpd_may_listen_on_another_tcp_port(bed: Bed) -> None:
    assert bed.twins.ensure(bed.ports, (179, 1790)) == []
    assert exchange(bed.peer, bed.control, V6, port=1790)
    assert exchange(bed.peer, bed.control, V6)


@pytest.mark.parametrize("port", [3784, 3785, 4784])
def test_bfd_reaches_the_twin(bed: Bed, port: int) -> None:
    for address, any_address in ((V4, "0.0.0.0"), (V6, "::")):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(bed.control):
            receiver = socket.socket(family, socket.SOCK_DGRAM)
        with netns.entered(bed.peer):
            sender = socket.socket(family, socket.SOCK_DGRAM)
        with receiver, sender:
            receiver.bind((any_address, port))
            receiver.settimeout(3)
            sender.sendto(b"bfd", (address, port))
            assert receiver.recv(16) == b"bfd"


def test_ping_is_answered_once_and_not_by_the_twin(bed: Bed) -> None:
    for address in (V4, V6, f"{bed.link_local()}%peer0"):
        assert ping(bed.peer, address)
    shown = run(f"ip netns exec {bed.control} cat /proc/net/snmp /proc/net/snmp6")
    assert "Icmp6OutEchoReplies             \t0" in shown
    lines = [line.split() for line in shown.splitlines() if line.startswith("Icmp:")]
    assert dict(zip(*lines, strict=True))["OutEchoReps"] == "0"


def test_control_namespace_can_ping(bed: Bed) -> None:
    assert ping(bed.control, "192.0.2.0")
    assert ping(bed.control, "2001:db8::2")


def test_arp_and_nd_are_answered_once(bed: Bed) -> None:
    with sniffing(bed.peer, "peer0") as frames:
        run(f"ip -n {bed.peer} neigh flush dev peer0")
        assert ping(bed.peer, V4)
        assert ping(bed.peer, V6)
        seen = frames()
    replies = [f for f in seen if f[12:14] == b"\x08\x06" and f[20:22] == b"\x00\x02"]
    adverts = [f for f in seen if f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 136]
    assert len(replies) == 1
    assert len([f for f in adverts if f[62:78] == Address.parse(f"{V6}/64").ip]) == 1


@contextmanager
def sniffing(space: str, device: str) -> Iterator[Callable[[], list[bytes]]]:
    with netns.entered(space):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with sock:
        sock.bind((device, 0))
        sock.settimeout(0.3)

        def frames() -> list[bytes]:
            found: list[bytes] = []
            try:
                while True:
                    data, where = sock.recvfrom(2048)
                    if where[2] != socket.PACKET_OUTGOING:
                        found.append(data)
            except TimeoutError:
                return found

        yield frames


MULTICAST = {
    "OSPF hello": "01005e000005 020000000099 0800 4500001400010000 01590000 c0000200 e0000005",
    "OSPFv3 hello": "333300000005 020000000099 86dd 60000000 0000 59 01"
    + "fe80" + "00" * 13 + "99" + "ff02" + "00" * 13 + "05",
    "router advertisement": "333300000001 020000000099 86dd 60000000 0010 3a ff"
    + "fe80" + "00" * 13 + "99" + "ff02" + "00" * 13 + "01" + "86000000" + "00" * 12,
    "IS-IS hello": "0180c2000015 020000000099 0011 fefe03 83" + "00" * 13,
    "IS-IS hello of more than 1535 bytes": "0180c2000015 020000000099 8870 fefe03 83" + "00" * 1300,
}  # fmt: skip
NOT_FOR_FRR = {
    "neighbor solicitation": "3333ff000001 020000000099 86dd 60000000 0018 3a ff"
    + "fe80" + "00" * 13 + "99" + "ff02" + "00" * 8 + "01ff000001"
    + "87000000 00000000 20010db8" + "00" * 11 + "01",
    "spanning tree": "0180c2000000 020000000099 0011 424203 00" + "00" * 13,
    "transit BGP": "{mac} 020000000099 0800 45000028000100004006 0000 c0000200 c6336401"
    + "c000 00b3" + "00" * 16,
}  # fmt: skip


def frame(bed: Bed, text: str) -> bytes:
    mac = json.loads(run(f"ip -n {bed.forwarding} -j link show eth1"))[0]["address"]
    data = bytes.fromhex(text.replace("{mac}", mac.replace(":", "")).replace(" ", ""))
    return data.ljust(60, b"\0")


@pytest.mark.parametrize("name", [*MULTICAST, *NOT_FOR_FRR])
def test_frames_reach_port_or_twin_by_the_rules(bed: Bed, name: str) -> None:
    data = frame(bed, {**MULTICAST, **NOT_FOR_FRR}[name])
    with netns.entered(bed.peer):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with sender, sniffing(bed.control, "eth1") as frames:
        sender.bind(("peer0", 0))
        sender.send(data)
        assert (data in frames()) == (name in MULTICAST)


IP_HEAD = "4500 001c 0001 {fragment} 40 {proto} 0000 {src} {dst}"
FORGED = {  # what an intruder in FRR's namespace may try, of {own}, {stranger} and {peer} MACs
    "another source MAC": "{peer} 020000000009 0800" + IP_HEAD,
    "another source address": "{peer} {own} 0800" + IP_HEAD.replace("{src}", "c0000263"),
    "another protocol": "{peer} {own} 0800" + IP_HEAD.replace("{proto}", "2f"),
    "UDP of VXLAN": "{peer} {own} 0800" + IP_HEAD.replace("{proto}", "11"),
    "a VLAN tag": "{peer} {own} 8100 0005 0800" + IP_HEAD,
    "two VLAN tags": "{peer} {own} 88a8 0005 8100 0006 0800" + IP_HEAD,
    "a later fragment": "{peer} {own} 0800" + IP_HEAD.replace("{fragment}", "0010"),
    "ARP of another sender": "{peer} {own} 0806 0001 0800 06 04 0002 {own} c0000263 {peer} {dst}",
    "ARP of another MAC": "{peer} 020000000009 0806 0001 0800 06 04 0002 {own} {src} {peer} {dst}",
    "an unknown ethertype": "{peer} {own} 88b5",
    "a spanning tree": "0180c2000000 {own} 0026 424203",
    "IPv6 of another source": "{peer} {own} 86dd 60000000 0008 3a ff"
    + "20010db8000000000000000000000099 20010db8000000000000000000000002 8000",
    "IPv6 of another protocol": "{peer} {own} 86dd 60000000 0008 2f ff"
    + "20010db8000000000000000000000001 20010db8000000000000000000000002",
    "an IPv6 fragment": "{peer} {own} 86dd 60000000 0010 2c ff"
    + "20010db8000000000000000000000001 20010db8000000000000000000000002 0600 0009 0000 0001",
    "an advertisement of another": "{peer} {own} 86dd 60000000 0018 3a ff"
    + "20010db8000000000000000000000099 20010db8000000000000000000000002 8800",
}


def forged(bed: Bed, text: str) -> bytes:
    own = link(bed.control, "eth1")["address"].replace(":", "")
    peer = link(bed.peer, "peer0")["address"].replace(":", "")
    fields = {"own": own, "peer": peer, "src": "c0000201", "dst": "c0000200"}
    found = bytes.fromhex(text.format(**fields, fragment="0000", proto="06"))
    return found + bytes.fromhex("00b3 00b3") + bytes(60)  # BGP, for protocols with ports


@pytest.mark.parametrize("name", FORGED)
def test_twin_sends_from_the_routers_addresses_only(bed: Bed, name: str) -> None:
    sent = forged(bed, FORGED[name])
    assert not arrives(bed, sent), name
    assert ping(bed.control, "192.0.2.0")


def test_twin_sends_what_the_filter_passes(bed: Bed) -> None:
    assert arrives(bed, forged(bed, "{peer} {own} 0800" + IP_HEAD))
    assert arrives(bed, forged(bed, "0180c2000015 {own} 0026 fefe03"))
    assert arrives(
        bed, forged(bed, "{peer} {own} 0806 0001 0800 06 04 0001 {own} {src} {peer} {dst}")
    )


def arrives(bed: Bed, sent: bytes) -> bool:
    """Send a frame from the twin; return whether the peer or the router's own stack received it."""
    with sniffing(bed.peer, "peer0") as seen:
        with netns.entered(bed.control):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with sock:
            sock.bind(("eth1", 0))
            sock.send(sent)
        return any(sent[30:] in found for found in seen())


def test_port_receives_multicast_groups_of_the_twin(bed: Bed) -> None:
    """A NIC drops multicast of groups that were not joined on it."""
    known = run(f"ip -n {bed.forwarding} maddress show dev eth1")
    for group in ("01:80:c2:00:00:14", "01:80:c2:00:00:15", "09:00:2b:00:00:05"):
        assert group in known


def test_twin_has_the_ports_mac_mtu_and_addresses(bed: Bed) -> None:
    [twin] = bed.twins.dump()
    port = json.loads(run(f"ip -n {bed.forwarding} -j link show eth1"))[0]
    assert (twin.name, twin.vrf, twin.mtu, twin.carrier) == ("eth1", "", 1400, True)
    assert twin.mac.hex(":") == port["address"]
    assert set(twin.addresses) == {
        *bed.ports[1].addresses,
        Address.parse(f"{bed.link_local()}/64"),
    }


def test_second_ensure_writes_nothing(bed: Bed) -> None:
    with watching(bed.forwarding) as here, watching(bed.control) as there:
        assert bed.twins.ensure(bed.ports) == []
        assert (here(), there()) == ([], [])


def test_carrier_of_a_port_is_shown_on_its_twin(bed: Bed) -> None:
    bed.twins.set_carrier("eth1", False)
    assert not bed.twins.dump()[0].carrier
    bed.twins.set_carrier("eth1", True)
    assert bed.twins.dump()[0].carrier
    run(f"ip -n {bed.peer} link set peer0 down")
    assert bed.twins.ensure(bed.ports) == []
    assert not bed.twins.dump()[0].carrier
    run(f"ip -n {bed.peer} link set peer0 up")
    bed.twins.set_carrier("none", True)


def test_traffic_survives_the_control_namespace_and_the_twin_is_recreated(bed: Bed) -> None:
    netns.remove(bed.control)
    while "cp-eth1" in run(f"ip -n {bed.forwarding} link"):
        pass
    assert ping(bed.peer, V4)
    assert ping(bed.peer, V6)
    assert ping(bed.forwarding, "192.0.2.0")
    with pytest.raises(
        TimeoutError
    ):  # no reset from the forwarding stack: the session may come back
        connected(bed.peer, V4, 179, timeout_s=0.5)
    with pytest.raises(Unavailable):
        bed.twins.ensure(bed.ports)
    netns.create(bed.control)
    bed.control_up()
    assert exchange(bed.peer, bed.control, V4)
    assert exchange(bed.peer, bed.control, f"{bed.link_local()}%peer0", listen="::")


def test_damage_is_repaired(bed: Bed) -> None:
    for damage in (
        f"tc -n {bed.forwarding} filter del dev eth1 ingress",
        f"tc -n {bed.forwarding} qdisc del dev cp-eth1 clsact",
        f"ip -n {bed.forwarding} link del cp-eth1",
        f"ip -n {bed.control} addr flush dev eth1",
        f"ip -n {bed.control} link set eth1 down",
    ):
        run(damage)
        assert bed.twins.ensure(bed.ports) == []
        assert exchange(bed.peer, bed.control, V4), damage
        assert exchange(bed.peer, bed.control, V6), damage


def test_foreign_filters_are_kept(bed: Bed) -> None:
    run(
        f"tc -n {bed.forwarding} filter add dev eth1 ingress prio 7 protocol ip u32 "
        "match ip dst 203.0.113.9 classid 1:1"
    )
    bed.twins.remove()
    shown = run(f"tc -n {bed.forwarding} filter show dev eth1 ingress")
    assert "pref 7" in shown
    assert "mirred" not in shown
    assert bed.twins.dump() == []
    assert "cp-eth1" not in run(f"ip -n {bed.forwarding} link")


def test_changed_address_changes_the_twin_and_its_rules(bed: Bed) -> None:
    lo, port = bed.ports
    moved = Port(
        "eth1", addresses=addresses("192.0.2.1/31", "10.7.7.7/32"), host=port.host, twin=True
    )
    bed.layout.apply(RecordBatch(port.kind, upserts=(moved,)))
    assert bed.twins.ensure((lo, moved)) == []
    run(f"ip -n {bed.peer} route add 10.7.7.7 via {V4}")
    assert exchange(bed.peer, bed.control, "10.7.7.7")
    assert Address.parse(f"{V6}/64") not in bed.twins.dump()[0].addresses


def test_failed_twin_is_reported_and_stops_no_other(bed: Bed) -> None:
    lost = Port("eth9", twin=True)
    [failure] = bed.twins.ensure((lost, *bed.ports))
    assert (failure.index, failure.errno) == (0, errno.ENODEV)
    assert exchange(bed.peer, bed.control, V4)


def test_twins_work_in_an_isolated_control_namespace(bed: Bed, tmp_path: Path) -> None:
    netns.remove(bed.control)
    try:
        netns.create_isolated(bed.control, tmp_path)
        bed.control_up()
        assert exchange(bed.peer, bed.control, V4)
        assert exchange(bed.peer, bed.control, f"{bed.link_local()}%peer0", listen="::")
    except Unsupported as error:
        pytest.skip(str(error))
    finally:
        netns.remove(bed.control, tmp_path)
