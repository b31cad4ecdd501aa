"""Many hosts behind one interface, or probes to them; run by `crowds`, in a namespace.

`crowd.py hosts INTERFACE COUNT` obeys lines: `announce` (be here, and send a gratuitous ARP and an
unsolicited NA for each host), `appear` (be here, silently), `vanish` (answer nothing any more),
`report` (print the gaps so far as a line of JSON: seconds from a host's arrival or announcement to
its first probe, by number). `crowd.py probe RATE ADDRESS...` sends echo requests to the addresses,
one after the other, again and again. Both end with their input.
"""

import ipaddress
import itertools
import json
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD  # if_ether.h
ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
ARP_REQUEST, ARP_REPLY = 1, 2
ICMP6_ECHO_REQUEST, NEIGHBOR_SOLICITATION, NEIGHBOR_ADVERTISEMENT = 128, 135, 136
OVERRIDE, SOLICITED = 0x20000000, 0x40000000  # RFC 4861 section 4.4
BROADCAST, ALL_NODES = b"\xff" * 6, ipaddress.ip_address("ff02::1").packed
SO_RCVBUFFORCE, RECEIVE_BUFFER = 33, 4 << 20
FIRST = 20  # the last number of the first host's addresses


def addresses(number: int) -> tuple[str, str]:
    """Return the addresses of host `number`, counted from 0."""
    return f"10.110.0.{FIRST + number}", f"2001:db8:110::{FIRST + number:x}"


def mac(number: int) -> bytes:
    return bytes((0x02, 0xC0, 0, 0, 0, number))


class Hosts:
    """What the hosts send and answer."""

    def __init__(self, interface: str, count: int) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self.socket.bind((interface, 0))
        self.socket.setblocking(False)
        self._numbers = {
            ipaddress.ip_address(address).packed: number
            for number in range(count)
            for address in addresses(number)
        }
        self._here = False
        self._since: dict[int, float] = {}
        self._first: dict[int, float] = {}

    def obey(self, command: str) -> None:
        if command == "report":
            gaps = {number: first - self._since[number] for number, first in self._first.items()}
            sys.stdout.write(json.dumps(gaps) + "\n")
            sys.stdout.flush()
            return
        self._here, self._first = command != "vanish", {}
        self._since = dict.fromkeys(self._numbers.values(), time.monotonic())
        if command == "announce":
            for packed, number in self._numbers.items():
                self._since[number] = time.monotonic()
                self._announce(packed, number)

    def receive(self) -> None:
        """Read the frames received so far, and answer them."""
        while True:
            try:
                frame, origin = self.socket.recvfrom(2048)
            except BlockingIOError:
                return
            if self._here and origin[2] != socket.PACKET_OUTGOING:
                self._take(frame)

    def _take(self, frame: bytes) -> None:
        (kind,) = struct.unpack_from("!H", frame, 12)
        if kind == ETH_P_ARP:
            *_, operation, asking_mac, asking, _, target = ARP.unpack_from(frame, 14)
            number = self._numbers.get(target)
            if operation == ARP_REQUEST and number is not None:
                self._arp(number, ARP_REPLY, target, asking_mac, asking)
        elif kind == ETH_P_IP and frame[23] == socket.IPPROTO_ICMP:
            self._probed(frame[30:34])
        elif kind == ETH_P_IPV6 and frame[20] == socket.IPPROTO_ICMPV6:
            if frame[54] == ICMP6_ECHO_REQUEST:
                self._probed(frame[38:54])
            elif frame[54] == NEIGHBOR_SOLICITATION:
                target, asking = frame[62:78], frame[22:38]
                if target in self._numbers and any(asking):
                    self._advertise(self._numbers[target], target, frame[6:12], asking, SOLICITED)

    def _probed(self, target: bytes) -> None:
        number = self._numbers.get(target)
        if number is not None:
            self._first.setdefault(number, time.monotonic())

    def _announce(self, packed: bytes, number: int) -> None:
        if len(packed) == 4:
            self._arp(number, ARP_REQUEST, packed, BROADCAST, packed)
        else:
            self._advertise(number, packed, b"\x33\x33\0\0\0\1", ALL_NODES, 0)

    def _arp(self, number: int, operation: int, own: bytes, to_mac: bytes, to: bytes) -> None:
        about = to_mac if operation == ARP_REPLY else bytes(6)
        body = ARP.pack(1, ETH_P_IP, 6, 4, operation, mac(number), own, about, to)
        self._send(to_mac + mac(number) + struct.pack("!H", ETH_P_ARP) + body)

    def _advertise(self, number: int, own: bytes, to_mac: bytes, to: bytes, flags: int) -> None:
        option = b"\2\1" + mac(number)  # target link-layer address
        body = struct.pack("!BBHI", NEIGHBOR_ADVERTISEMENT, 0, 0, flags | OVERRIDE) + own + option
        pseudo = own + to + struct.pack("!II", len(body), socket.IPPROTO_ICMPV6)
        body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
        header = struct.pack("!IHBB", 6 << 28, len(body), socket.IPPROTO_ICMPV6, 255) + own + to
        self._send(to_mac + mac(number) + struct.pack("!H", ETH_P_IPV6) + header + body)

    def _send(self, frame: bytes) -> None:
        self.socket.send(frame)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def be_hosts(interface: str, count: int) -> None:
    hosts = Hosts(interface, count)
    while True:
        ready, _, _ = select.select([hosts.socket, sys.stdin], [], [])
        if sys.stdin in ready:
            commands = os.read(0, 100).decode().split()
            if not commands:
                return
            for command in commands:
                hosts.obey(command)
        hosts.receive()


def probe(rate_per_s: float, targets: list[str]) -> None:
    four = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    six = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    body = struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0)  # an echo request, with its checksum
    body6 = struct.pack("!BBHHH", ICMP6_ECHO_REQUEST, 0, 0, 0, 0)
    due = time.monotonic()
    for target in itertools.cycle(targets):
        try:
            if ":" in target:
                six.sendto(body6, (target, 0))
            else:
                four.sendto(body, (target, 0))
        except OSError:
            pass  # no neighbor yet: the next one will ask again
        due = max(due + 1 / rate_per_s, time.monotonic() - 0.1)
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            return


if __name__ == "__main__":
    if sys.argv[1] == "hosts":
        be_hosts(sys.argv[2], int(sys.argv[3]))
    else:
        probe(float(sys.argv[2]), sys.argv[3:])
