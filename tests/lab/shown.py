"""A fabric to be looked at from outside its guest: `python -m tests.lab.shown PORT ADDRESS/LENGTH`.

The first PE serves its page on the guest's loopback; whoever connects to PORT of the address, on
the guest's cable to this machine, gets there. The port after it takes one command per connection:
`address` (the page's, with its key), `cut` and `mend` (the first PE's second uplink), `end`.
"""

import shutil
import socket
import socketserver
import sys
import threading
from collections.abc import Callable

from tests.lab import metallb, product
from tests.lab.fabric import Fabric, Options
from tests.lab.manifests import GROUP
from tests.lab.plan import PePlan, Topology
from tests.lab.processes import run
from tests.lab.scenario import Scenario

PAGE = ("127.0.0.1", 8470)
CABLE = "vec0"
TOPOLOGY = Topology(pes=3, spines=2)
RATE_PER_S = 20.0


def more(pe: PePlan) -> str:
    """Return a second tenant, with a segment of its own."""
    return f"""\
---
apiVersion: {GROUP}
kind: L3VNI
metadata: {{name: blue}}
spec:
  vrf: blue
  vni: 200
  importRTs: ["65000:200"]
  exportRTs: ["65000:200"]
---
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: storage}}
spec:
  vni: 210
  routingDomain: {{type: L3VNI, l3vni: {{name: blue}}}}
  hostMaster: {{type: LinuxBridge, linuxBridge: {{lifecycle: Managed}}}}
  gatewayIPs: ["10.210.0.1/24", "2001:db8:210::1/64"]
"""


def main() -> None:
    port, address = int(sys.argv[1]), sys.argv[2]
    run(["ip", "address", "add", address, "dev", CABLE])
    run(["ip", "link", "set", CABLE, "up"])
    scenario = Scenario()
    try:
        fabric = started(scenario)
        listen = address.partition("/")[0]
        with Relay((listen, port), _Relayed), socket.create_server((listen, port + 1)) as orders:
            obey(orders, fabric)
    finally:
        scenario.clean()


def started(scenario: Scenario) -> Fabric:
    """Return a fabric in which all is well, and hosts send packets by routes and by bridges."""
    page = f"--ui={PAGE[0]}:{PAGE[1]}"
    fabric = Fabric(scenario, TOPOLOGY, Options(manifest=more))
    one, two, three = fabric.pes
    one.controller = product.make_controller(scenario, one.plan, (page,))
    fabric.start()
    fabric.wait_for_overlay(120.0)
    fabric.wait_until_live()
    metallb.started(scenario, one)
    for service in metallb.services(one.plan):
        two.routed.wait_for_ping(service)
    one.routed.flow(two.routed.v4, RATE_PER_S)
    two.bridged.flow(one.bridged.v6, RATE_PER_S / 2)
    three.routed.flow(one.routed.v6, RATE_PER_S / 2)
    return fabric


def obey(orders: socket.socket, fabric: Fabric) -> None:
    """Do what each connection asks for, until one says `end`."""
    one = fabric.pes[0]
    commands: dict[str, Callable[[], object]] = {
        "address": (one.plan.state / "ui.address").read_text,
        "cut": lambda: fabric.cut(one, spine=2),
        "mend": lambda: fabric.mend(one, spine=2),
        "end": lambda: None,
    }
    word = ""
    while word != "end":
        connection, _ = orders.accept()
        with connection, connection.makefile("rw") as lines:
            word = lines.readline().strip()
            lines.write(f"{commands[word]() or 'done'}\n")


class Relay(socketserver.ThreadingTCPServer):
    """Connects others to the page, which is served on loopback only."""

    daemon_threads = True

    def __enter__(self) -> "Relay":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self


class _Relayed(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with socket.create_connection(PAGE) as page:
            back = threading.Thread(target=_copy, args=(page, self.request), daemon=True)
            back.start()
            _copy(self.request, page)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until one side ends; then end the other."""
    try:
        with source.makefile("rb", buffering=0) as reading, target.makefile("wb", 0) as writing:
            shutil.copyfileobj(reading, writing)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


if __name__ == "__main__":
    main()
