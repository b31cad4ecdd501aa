"""Real grout runs in the lab, without the product."""

import time
from collections.abc import Callable

import pytest

from tests.lab.grout import SMALL, Grout
from tests.lab.namespaces import Namespace
from tests.lab.ping import flows, wait_for_ping
from tests.lab.scenario import Scenario

pytestmark = [pytest.mark.lab, pytest.mark.grout]


def test_grout_routes_between_the_ports_of_a_vrf(lab: Scenario) -> None:
    grout = Grout(lab, "grout", lab.namespace("fwd"))
    grout.start()
    grout.cli("interface", "add", "vrf", "red", *SMALL)
    near, far = (_host(lab, grout, number, "vrf", "red") for number in (1, 2))

    assert grout.namespace.has_link("red")  # the VRF is one of the kernel's, too
    wait_for_ping(near, "10.0.2.2")
    wait_for_ping(near, "2001:db8:2::2")
    wait_for_ping(far, "2001:db8:1::2")


def test_adding_and_removing_a_vrf_loses_no_packet_of_others(
    lab: Scenario, say: Callable[[str], None]
) -> None:
    """It takes seconds in a guest; meanwhile only grout's other thread forwards (decision 0064).

    On a busy machine it is longer than a host waits for an answer of its gateway: none asks.
    """
    grout = Grout(lab, "grout", lab.namespace("fwd"))
    grout.start()
    near, far = (_host(lab, grout, number) for number in (1, 2))
    wait_for_ping(near, "10.0.2.2")
    wait_for_ping(far, "2001:db8:1::2")
    for host in (near, far):
        _keep_neighbors(host)

    with flows((near, "10.0.2.2"), (far, "2001:db8:1::2")) as results:
        for words in ("add vrf red rib6-routes 4096", "del red"):
            since = time.monotonic()
            grout.cli("interface", *words.split())
            say(f"interface {words}: {time.monotonic() - since:.2f} s")
    for result in results:
        assert result.lost == 0, result


def test_killed_grout_restarts_empty(lab: Scenario) -> None:
    grout = Grout(lab, "grout", lab.namespace("fwd"))
    grout.start()
    _host(lab, grout, 1)
    grout.daemon.kill()
    grout.start()

    assert "p1" not in grout.cli("interface", "show")


def _keep_neighbors(host: Namespace) -> None:
    """Let a host never repeat ARP or ND for known neighbors."""
    for known in host.ip_json("neighbor", "show", "dev", "eth0"):
        if mac := known.get("lladdr"):
            words = known["dst"], "lladdr", mac, "dev", "eth0", "nud", "permanent"
            host.ip("neighbor", "replace", *words)


def _host(lab: Scenario, grout: Grout, number: int, *more: str) -> Namespace:
    """Make a host whose eth0 is the wire end of a port of grout's."""
    host = lab.namespace(f"host{number}")
    port = f"p{number}"
    devargs = f"net_tap{number},iface=wire{number},mac=02:00:00:00:01:0{number}"
    grout.cli("interface", "add", "port", port, "devargs", devargs, *more)
    for gateway in (f"10.0.{number}.1/24", f"2001:db8:{number}::1/64"):
        grout.cli("address", "add", gateway, "iface", port)
    grout.namespace.ip("link", "set", f"wire{number}", "netns", host.name, "name", "eth0")
    host.ip_batch(
        f"link set eth0 address 02:00:00:00:02:0{number}",  # not the port's own
        f"address add 10.0.{number}.2/24 dev eth0",
        f"address add 2001:db8:{number}::2/64 dev eth0 nodad",
        "link set eth0 up",
        f"route add default via 10.0.{number}.1",
        f"route add default via 2001:db8:{number}::1",
    )
    return host
