"""Packets in grout: its trace of each packet through the packet graph, by grcli-trace(1).

grout keeps the last packets of the interfaces that are traced, each with the nodes that it passed:

    --------- 06:47:32.177571925 cpu 1 ---------
    iface_input: iface=pe-e-100 mode=VRF
    ip_input: 10.1.0.3 > 10.2.0.4 ttl=64 proto=ICMP(1)
    vxlan_output: vni=100 vtep=100.64.0.2
    iface_output: iface=eth1

It has no filter, so this module fetches all packets and drops those without the address. Under more
traffic than its buffer holds between two fetches, the result is a sample. Rejected: `grcli
capture`, which has a filter but shows neither a drop nor its reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from controller.cli.terminal import echo, fail

LOOK_S = 0.5
CALL_S = 10.0
MOST = "1000"  # packets of one look
_HEAD = re.compile(r"-{3,} .* cpu \d+ -{3,}")
_IFACE = re.compile(r"^iface_(?:input|output): iface=(\S+)", re.MULTILINE)


def watch(sock: str, address: str, devices: Sequence[str], seconds: float) -> Counter[str]:
    """Trace the interfaces of grout's among `devices`; return the packets seen on each."""
    names = [name for name in devices if name in interfaces(sock)]
    if not names:
        fail(f"grout has none of the interfaces on the way: {', '.join(devices)}")
    echo(f"traced in grout: {', '.join(names)}")
    seen = Counter(dict.fromkeys(names, 0))
    until = time.monotonic() + seconds
    try:
        for name in names:
            call(sock, "trace", "enable", "iface", name)
        call(sock, "trace", "clear")
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_S, left))
            _show(call(sock, "trace", "show", "count", MOST), address, seen)
            call(sock, "trace", "clear")
    except KeyboardInterrupt:
        pass
    finally:
        for name in names:
            call(sock, "trace", "disable", "iface", name)
    return seen


def _show(text: str, address: str, seen: Counter[str]) -> None:
    for packet in packets(text, address):
        seen.update(name for name in dict.fromkeys(_IFACE.findall(packet)) if name in seen)
        echo(packet + "\n")
    sys.stdout.flush()


def packets(text: str, address: str) -> Iterator[str]:
    """Yield the packets of `trace show` that name the address, unchanged."""
    named = re.compile(rf"(?<![\w.:]){re.escape(address)}(?![\w:]|\.\d)")
    packet: list[str] = []
    for line in [*text.splitlines(), "--- end cpu 0 ---"]:
        if _HEAD.fullmatch(line.strip()):
            if named.search("\n".join(packet)):
                yield "\n".join(packet).rstrip()
            packet = []
        packet.append(line)


def interfaces(sock: str) -> set[str]:
    """Return the names of grout's interfaces."""
    lines = call(sock, "interface", "show").splitlines()
    return {line.split()[0] for line in lines[1:] if line.strip()}


def call(sock: str, *words: str) -> str:
    """Run a command of grcli; ends the command when grout refuses it."""
    command = ["grcli", "-e", "-s", sock, *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CALL_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired:
        fail(f"grout did not answer within {CALL_S:.0f} s: {' '.join(command)}")
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        fail(f"{' '.join(command)}: {reason}")
    return done.stdout
