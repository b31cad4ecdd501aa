"""zebra's own replay of a million IPv4 routes: into the product, and into a sink that discards it.

    python -m tests.bench.zebra [routes] [rounds]

Needs root, cc, and the lab's root filesystem (`.ci/setup lab`, then any scenario makes it). Real
zebra takes the routes from its kernel, as one that was started again does (-K), and replays them to
whoever listens. It is told of nobody while it waits, so that both find it at rest.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from datapaths.linux import netns
from dualpath.model.routes import Family, Op
from tests.bench.declared import Bench
from tests.bench.figures import OURS, report
from tests.bench.kernel import blast, compile_blaster, prebuilt, routes
from tests.bench.whole import PORT, Product, address_of, make_device, wait
from tests.fakes.netns import fresh, ip
from tests.netns.grouts import LAB

BENCH = Bench(usual=((),), long=(("1000000", "5"),), programs=("cc",))
ROUNDS = 3
RTPROT_BGP = 186  # linux/rtnetlink.h
PROTOCOL_AT = 16 + 5  # struct nlmsghdr, then rtm_protocol
QUIET_S = 2.0  # after a replay
READING_S = 30.0  # before zebra has read its kernel
BYTES_A_ROUTE = 56

# In a mount namespace of its own, so that nothing is left behind in the tree. zebra runs as root:
# frr-bridge refuses a client of FRR's port that is neither root's nor of this machine's FRR.
_IN_A_TREE = """
for at in run etc/frr tmp; do mount -t tmpfs -o mode=777 tmpfs "$1/$at"; done
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mkdir -m 777 "$1/run/frr"
printf 'fpm address 127.0.0.1\\nfpm use-next-hop-groups\\n' >"$1/etc/frr/zebra.conf"
chmod 644 "$1/etc/frr/zebra.conf"
sed 's/^frrvty:.*/&,root/; s/:,root/:root/' "$1/etc/group" >"$1/tmp/group"
mount --bind "$1/tmp/group" "$1/etc/group"
chroot "$1" /usr/lib/frr/mgmtd & trap 'kill $!' EXIT
chroot "$1" /usr/lib/frr/zebra -u root -g root -M dplane_fpm_nl -K 3600 -f /etc/frr/zebra.conf
"""


@contextmanager
def zebra(control: str, tree: Path) -> Iterator[None]:
    """Run a zebra in a namespace for the length of a block; its log is not read."""
    isolated = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
    command = ["ip", "netns", "exec", control, *isolated, "sh", "-ec", _IN_A_TREE, "sh", str(tree)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


def fill(control: str, count: int, folder: Path) -> None:
    """Install the routes in zebra's kernel, as left by an earlier bgpd."""
    ip(control, "link set lo up")
    make_device(control)
    ip(control, "nexthop add id 1 via 10.0.0.2 dev v0 proto zebra")
    stream = np.frombuffer(prebuilt(routes(Family.INET, count, Op.UPSERT, 1)), np.uint8).copy()
    stream.reshape(count, -1)[:, PROTOCOL_AT] = RTPROT_BGP
    (folder / "routes").write_bytes(stream.tobytes())
    blast(control, compile_blaster(folder), folder / "routes")


def into_the_sink(control: str, count: int, quiet_s: float = QUIET_S) -> float:
    """Return the seconds from zebra's connection to the last byte before it falls silent."""
    with netns.entered(control), socket.create_server(("127.0.0.1", PORT)) as server:
        server.settimeout(120)
        session, _ = server.accept()
    size, began = 0, time.monotonic()
    ended = began
    with session:
        session.settimeout(quiet_s)
        try:
            while data := session.recv(1 << 20):
                size, ended = size + len(data), time.monotonic()
        except TimeoutError:
            pass
    assert size >= count * BYTES_A_ROUTE, f"zebra sent {size} bytes only"
    return ended - began


def into_the_product(control: str, count: int, folder: Path) -> float:
    """Return the seconds from zebra's connection to the last route in the forwarding kernel."""
    state = Path(tempfile.mkdtemp(dir=folder))
    spots = [address_of(number) for number in (*range(0, count, max(1, count // 50)), count - 1)]
    with fresh("fwd-") as forwarding:
        make_device(forwarding)
        product = Product(control, forwarding, state)
        log = state / "log"
        try:
            wait(lambda: "FPM session" in log.read_text(), "zebra", every_s=0.001)
            began = time.monotonic()
            wait(lambda: all(map(product.nexthop_of, reversed(spots))), "the routes")
            return time.monotonic() - began
        finally:
            product.stop()


def main(count: int, rounds: int) -> None:
    tree = max(LAB.glob("system-*"), key=lambda path: path.stat().st_mtime, default=None)
    if tree is None:
        print(f"skipped: there is no root filesystem with FRR in {LAB}; any scenario makes it")
        return
    ours, sinks, ratios = [], [], []
    with tempfile.TemporaryDirectory() as name, fresh("ctl-") as control:
        folder = Path(name)
        fill(control, count, folder)
        with zebra(control, tree):
            into_the_sink(control, count, READING_S)  # not counted: it reads its kernel first
            for _ in range(rounds):
                sink_s = into_the_sink(control, count)
                took_s = into_the_product(control, count, folder)
                ours.append(took_s)
                sinks.append(sink_s)
                ratios.append(took_s / sink_s)
                print(
                    f"replay   {took_s:.2f} s, into a sink {sink_s:.2f} s, ratio {ratios[-1]:.2f};"
                    f" load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
                )
    print(f"ratio    {statistics.median(ratios):.2f} is the median (bar 1.1)")
    report("zebra.replay", ours, "s", OURS, routes=count)
    report("zebra.replay", sinks, "s", "sink", routes=count)


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [1_000_000, ROUNDS][len(given) :]))
