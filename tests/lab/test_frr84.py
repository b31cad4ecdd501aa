"""FRR 8.4 of Debian 12: no route replace, no mgmtd, no FPM acknowledgements. Routes work."""

import json

import pytest

from tests.lab.frr import Settings, Version
from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, Daemon, run
from tests.lab.scenario import STATE, Scenario
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

CONFIGURATION = """\
hostname lab
fpm address 127.0.0.1
ip route 198.51.100.0/24 192.0.2.2
ip route 203.0.113.0/24 blackhole
ip route 203.0.113.128/25 reject
ipv6 route 2001:db8:51::/48 2001:db8::2
"""
GROUPS = "fpm use-next-hop-groups\n"
LISTEN = f"unix:{STATE}/old.sock"


@pytest.mark.parametrize("configuration", [CONFIGURATION, CONFIGURATION + GROUPS])
def test_routes_of_frr_84_are_programmed(lab: Scenario, configuration: str) -> None:
    frr_space, forwarding = lab.namespace("old"), lab.namespace("oldfwd")
    for space in (frr_space, forwarding):
        wire(lab, space)
    frr = lab.frr("old", frr_space, Settings(version=Version.BOOKWORM, configuration=configuration))
    controller = lab.daemon("old-controller", command())
    controller.start()
    wait_until(lambda: listens(controller), "the controller listens", 20)
    frr.start()

    wait_until(lambda: state("198.51.100.0/24") == "ROW_STATE_PROGRAMMED", "the route", 30)
    shown = forwarding.ip("route", "show", "proto", "68")
    assert "198.51.100.0/24 nhid" in shown
    assert gateway(forwarding) == "192.0.2.2"
    assert "blackhole 203.0.113.0/24" in shown
    assert "unreachable 203.0.113.128/25" in shown
    assert "2001:db8:51::/48 nhid" in forwarding.ip("-6", "route", "show", "proto", "68")

    frr.configure("no ip route 198.51.100.0/24 192.0.2.2", "ip route 198.51.100.0/24 192.0.2.3")
    wait_until(lambda: gateway(forwarding) == "192.0.2.3", "the other gateway", 20)

    frr.restart()
    wait_until(lambda: session() == (2, "live"), "the second session is live", 60)
    assert gateway(forwarding) != ""
    frr.configure("no ipv6 route 2001:db8:51::/48 2001:db8::2")
    wait_until(lambda: state("2001:db8:51::/48") == "", "the withdrawal", 20)
    assert "2001:db8:51::" not in forwarding.ip("-6", "route", "show")


def wire(lab: Scenario, space: Namespace) -> None:
    """Give a namespace an eth1 with addresses and carrier."""
    far = lab.namespace(f"{space.name}-far")
    lab.link(space, "eth1", far, "eth1")
    space.ip_batch("address add 192.0.2.1/24 dev eth1", "address add 2001:db8::1/64 dev eth1 nodad")


def command() -> list[str]:
    return [
        "controller",
        "--datapath=kernel",
        "--frr-netns=old",
        "--netns=oldfwd",
        "--frr-name=old",
        f"--listen={LISTEN}",
        f"--state-dir={STATE}/old",
    ]


def listens(controller: Daemon) -> bool:
    assert controller.running, controller.text()
    try:
        status()
    except CommandFailed:
        return False
    return True


def status() -> dict[str, object]:
    found: dict[str, object] = json.loads(dualpath("status"))
    return found


def session() -> tuple[object, object]:
    now = status()
    return now["session"], now["session_state"]


def state(prefix: str) -> str:
    rows = {row["prefix"]: row["state"] for row in json.loads(dualpath("routes"))}
    return str(rows.get(prefix, ""))


def gateway(forwarding: Namespace) -> str:
    """Return the gateway of 198.51.100.0/24 in the forwarding namespace, "" without one."""
    routes = forwarding.ip_json("route", "show", "198.51.100.0/24")
    nexthops = {row["id"]: row for row in forwarding.ip_json("nexthop", "show")}
    return str(nexthops[routes[0]["nhid"]].get("gateway", "")) if routes else ""


def dualpath(*words: str) -> str:
    return run(["dualpath", "--connect", LISTEN, *words, "-o", "json"])
