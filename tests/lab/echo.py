"""Sends echo requests at a steady rate and counts the answers; run by `PingFlow`, in a host.

ping(8) is not used: it waits in units of the kernel's tick, so where that is 10 ms (in the VM)
`ping -i 0.01` sends 50 requests a second and not 100.

It runs until its input ends, waits a little for late answers, and writes one line of JSON.
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

ICMP_ECHO, ICMP_ECHOREPLY = 8, 0  # RFC 792
ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY = 128, 129  # RFC 4443 section 4
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
PAYLOAD = struct.Struct("!Q")  # the number of the request: a sequence has only 16 bits
LINGER_S = 1.0
LATE_S = 0.1  # what is later than that is not sent at all: a burst would fill the queues on its way
SO_RCVBUFFORCE, RECEIVE_BUFFER = 33, 4 << 20  # asm-generic/socket.h; for seconds without the CPU


class Echo:
    """One flow: what was sent when, and when the answers came."""

    def __init__(self, target: str) -> None:
        address = ipaddress.ip_address(target)
        self._six = address.version == 6
        family = socket.AF_INET6 if self._six else socket.AF_INET
        protocol = socket.getprotobyname("ipv6-icmp" if self._six else "icmp")
        self.socket = socket.socket(family, socket.SOCK_RAW, protocol)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self.socket.setblocking(False)
        self._target = (target, 0)
        self._identifier = os.getpid() & 0xFFFF
        self.sent: list[float] = []
        self.answered: dict[int, float] = {}
        self.duplicates = 0
        self.refused = 0  # not even sent: no route, no neighbor

    def send(self) -> None:
        number = len(self.sent)
        self.sent.append(time.monotonic())
        kind = ICMP6_ECHO_REQUEST if self._six else ICMP_ECHO
        fields = (self._identifier, number & 0xFFFF)
        body = HEADER.pack(kind, 0, 0, *fields) + PAYLOAD.pack(number)
        if not self._six:  # the kernel fills in that of ICMPv6
            body = HEADER.pack(kind, 0, _checksum(body), *fields) + PAYLOAD.pack(number)
        try:
            self.socket.sendto(body, self._target)
        except OSError:
            self.refused += 1

    def receive(self) -> None:
        """Take in every answer that is there."""
        while True:
            try:
                packet = self.socket.recv(2048)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error came back; it is no answer
                continue
            self._count(packet if self._six else packet[(packet[0] & 0xF) * 4 :])

    def result(self) -> dict[str, object]:
        lost = [number for number in range(len(self.sent)) if number not in self.answered]
        return {
            "transmitted": len(self.sent),
            "received": len(self.answered),
            "duplicates": self.duplicates,
            "refused": self.refused,
            "longest_gap_s": self._longest_gap_s(),
            "began_s": self.sent[0] if self.sent else 0.0,
            "lost_at_s": [round(self.sent[number] - self.sent[0], 3) for number in lost],
        }

    def _count(self, message: bytes) -> None:
        if len(message) < HEADER.size + PAYLOAD.size:
            return
        kind, _, _, identifier, _ = HEADER.unpack_from(message)
        answer = ICMP6_ECHO_REPLY if self._six else ICMP_ECHOREPLY
        if kind != answer or identifier != self._identifier:
            return
        (number,) = PAYLOAD.unpack_from(message, HEADER.size)
        if number in self.answered:
            self.duplicates += 1
        else:
            self.answered[number] = time.monotonic()

    def _longest_gap_s(self) -> float:
        """Return the longest time without an answer, beginning and end of the flow included."""
        if not self.sent:
            return 0.0
        arrivals = sorted(self.answered.values())
        times = [self.sent[0], *arrivals, max([self.sent[-1], *arrivals[-1:]])]
        return round(max(b - a for a, b in itertools.pairwise(times)), 4)


def main() -> None:
    target, interval_s = sys.argv[1], float(sys.argv[2])
    echo = Echo(target)
    due_s = time.monotonic()
    watched = [sys.stdin.fileno(), echo.socket.fileno()]
    while True:
        readable, _, _ = select.select(watched, [], [], max(0.0, due_s - time.monotonic()))
        if echo.socket.fileno() in readable:
            echo.receive()
        if sys.stdin.fileno() in readable:
            break
        if (now := time.monotonic()) >= due_s:
            echo.send()
            due_s = max(due_s + interval_s, now - LATE_S)
    _linger(echo)
    sys.stdout.write(json.dumps(echo.result()) + "\n")


def _linger(echo: Echo) -> None:
    end = time.monotonic() + LINGER_S
    while len(echo.answered) < len(echo.sent) and (left_s := end - time.monotonic()) > 0:
        select.select([echo.socket.fileno()], [], [], left_s)
        echo.receive()


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


if __name__ == "__main__":
    main()
