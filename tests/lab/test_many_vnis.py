"""A hundred tenants and a hundred segments at once; then one of each changes, and no other.

How long it takes is said: a VM with one CPU is no router, but a slow step shows.
"""

import re
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.lab import manifests
from tests.lab.fabric import Fabric, Pe
from tests.lab.manifests import GROUP
from tests.lab.namespaces import monitored
from tests.lab.ping import flows
from tests.lab.plan import Topology
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

MANY = 100
FIRST_L3, FIRST_L2 = 1000, 2000
CHANGED = 42
IN_FORCE_S = 900.0


def tenant(pe: Pe, number: int, *, pool: str = "") -> str:
    v4 = pool or f"10.32.{number}.0/24"
    return f"""\
---
apiVersion: {GROUP}
kind: L3VNI
metadata: {{name: t{number}}}
spec:
  vrf: t{number}
  vni: {FIRST_L3 + number}
  hostSession:
    asn: {pe.plan.asn}
    hostASN: 64999
    localCIDR: {{ipv4: {v4}, ipv6: "2001:db8:32:{number}::/64"}}
"""


def segment(number: int, gateway: str = "") -> str:
    v4 = gateway or f"10.33.{number}.1/24"
    return f"""\
---
apiVersion: {GROUP}
kind: L2VNI
metadata: {{name: s{number}}}
spec:
  vni: {FIRST_L2 + number}
  routingDomain: {{type: L3VNI, l3vni: {{name: t{number}}}}}
  gatewayIPs: [{v4}, "2001:db8:33:{number}::1/64"]
"""


def write(pe: Pe, *, tenants: dict[int, str], segments: dict[int, str]) -> None:
    """Write the manifest with a hundred of each, some of them changed."""
    parts = [manifests.manifest(pe.plan)]
    for number in range(MANY):
        parts.append(tenant(pe, number, pool=tenants.get(number, "")))
        parts.append(segment(number, segments.get(number, "")))
    pe.write_manifest("".join(parts))


def in_force(pe: Pe, changed: dict[str, int]) -> bool:
    """Return whether every resource is in force, with generation 1 except for the changed ones."""
    rows = {row["name"]: row for row in pe.dualpath_json("status")["resources"]}
    names = {f"{kind}{number}" for kind in "ts" for number in range(MANY)}
    return names <= rows.keys() and all(
        row["ready"] and row["applied_generation"] == changed.get(name, 1)
        for name, row in rows.items()
        if name in names
    )


def seconds(what: str, holds: Callable[[], bool]) -> str:
    """Wait for the requested state, and print how long it took."""
    since = time.monotonic()
    wait_until(holds, what, IN_FORCE_S, every_s=1.0)
    return f"{what}: {time.monotonic() - since:.1f} s"


def sessions(pe: Pe) -> list[tuple[int, int]]:
    """Count how often each session came up and went down; its uptime in seconds is rounded."""
    found = pe.router.vtysh_json("show bgp l2vpn evpn summary")["peers"]
    return [(p["connectionsEstablished"], p["connectionsDropped"]) for p in found.values()]


def devices_of(lines: list[str]) -> set[str]:
    """Return the devices that `ip monitor` lines are about."""
    return {name for line in lines for name in re.findall(r"\d+: ([\w.-]+)[@:\s]", line)}


def test_one_changed_vni_of_many_changes_no_other(
    lab: Scenario, say: Callable[[str], None]
) -> None:
    fabric = Fabric(lab, Topology(pes=1))
    fabric.start()
    pe = fabric.pes[0]
    wait_until(pe.is_live, "the router stands", 90)
    since = sessions(pe)
    gateway = pe.plan.pool_gateways[0]

    with flows((pe.bridged.namespace, gateway)) as results:
        write(pe, tenants={}, segments={})
        say(seconds(f"{MANY} L3VNIs and {MANY} L2VNIs", partial(in_force, pe, {})))
        wait_until(lambda: ping_leg(pe, CHANGED, 32), "a tenant's leg", 30)

        before = pe.router.vtysh("show running-config").splitlines()
        with (
            monitored(pe.forwarding, "link", "address") as there,
            monitored(pe.control, "link", "address") as here,
        ):
            write(pe, tenants={}, segments={CHANGED: "10.34.0.1/24"})
            say(seconds("one L2VNI changed", partial(in_force, pe, {f"s{CHANGED}": 2})))
            touched = devices_of(there()) | devices_of(here())
        assert touched <= {f"br{FIRST_L2 + CHANGED}"}, touched
        after = pe.router.vtysh("show running-config").splitlines()
        assert {line.strip() for line in set(before) ^ set(after)} == {
            f"network 10.33.{CHANGED}.0/24",
            "network 10.34.0.0/24",
        }
    assert results[0].lost == 0, results
    assert sessions(pe) == since


def ping_leg(pe: Pe, number: int, net: int) -> bool:
    """Return whether the router answers on a tenant's leg."""
    return pe.routed.ping(f"10.{net}.{number}.1")
