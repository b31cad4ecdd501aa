"""A NIC's addresses and routes move with it and come back, whatever happens in between."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from datapaths.kernel.layout import Layout
from datapaths.linux import netns, nicrecords, nics
from datapaths.linux.links import Links
from dualpath.model.kinds import Kind
from dualpath.model.links import HostEnd, Port
from dualpath.netlink.socket import Requests
from tests.netns.layouts import addresses, upsert, withdraw
from tests.netns.namespaces import names, run

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

ADDRESSES = (
    "192.168.1.1/31",
    "10.255.0.1 peer 10.255.0.2/32",
    "203.0.113.5/24 broadcast 203.0.113.255 valid_lft 3600 preferred_lft 1800",
    "198.51.100.7/24 label eth7:vip",
    "198.51.100.8/24 metric 77 noprefixroute",
    "198.51.100.9/32 scope link",
    "fe80::1/64 nodad",
    "2001:db8::1/64 nodad",
    "2001:db8:1::1/64 nodad valid_lft 3600 preferred_lft 1800",
    "2001:db8:2::1 peer 2001:db8:2::2/128 nodad",
    "2001:db8:3::1/64 nodad preferred_lft 0",
)
ROUTES = (
    "default via 192.168.1.0",
    "172.16.0.0/12 via 203.0.113.1 metric 5 src 203.0.113.5",
    "172.20.0.0/16 via 203.0.113.1 proto dhcp mtu 1400",
    "10.66.0.0/16 via 192.168.1.0 table 77",
    "-6 default via 2001:db8::ffff",
    "-6 2001:db8:77::/48 via fe80::77 metric 50",
)
OURS = addresses("10.9.9.1/32", "192.168.1.1/31")
PORT = Port("eth7", addresses=OURS, source_netns="", twin=True)


@pytest.fixture(autouse=True)
def _records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nicrecords, "DIRECTORY", tmp_path / "nics")


@pytest.fixture
def host(namespaces: tuple[str, str]) -> str:
    """Return the host's namespace, with a NIC that has one object of each kind."""
    name = namespaces[1]
    run(f"ip -n {name} link add eth7 type veth peer name wire")
    for device in ("lo", "wire", "eth7"):
        run(f"ip -n {name} link set {device} up")
    run(f"ip -n {name} link set eth7 mtu 1600 txqueuelen 5000 alias uplink")
    for text in ADDRESSES:
        run(f"ip -n {name} addr add {text} dev eth7")
    for text in ROUTES:
        family, rest = ("-6", text[3:]) if text.startswith("-6 ") else ("-4", text)
        run(f"ip {family} -n {name} route add {rest} dev eth7")
    return name


def seen(space: str, table: str = "all") -> tuple[list[Any], list[Any]]:
    """Return what identifies addresses and routes of eth7; of lifetimes only whether they end."""
    [device] = json.loads(run(f"ip -n {space} -j addr show dev eth7")) or [{}]
    found: list[Any] = []
    for address in device["addr_info"]:
        text = {k: v for k, v in address.items() if k not in ("nodad", "protocol", "deprecated")}
        if address["local"].startswith("fe80::") and address["local"] != "fe80::1":
            continue  # the kernel made it from the MAC
        for key in ("valid_life_time", "preferred_life_time"):
            text[key] = text[key] // 1000
        found.append(text)
    routes: list[Any] = []
    for family in ("-4", "-6"):
        shown = run(f"ip {family} -n {space} -j route show table {table}", check=False)
        for route in json.loads(shown or "[]"):
            if route.get("dev") == "eth7" and route.get("protocol") != "kernel":
                route["flags"] = []
                routes.append(route)
    return found, sorted(routes, key=str)


def test_nic_keeps_its_whole_configuration_both_ways(
    layout: Layout, namespaces: tuple[str, str], host: str
) -> None:
    before = seen(host)
    assert upsert(layout, PORT) == []
    own, routes = seen(namespaces[0], "main")
    # Forwarding needs a route to each prefix; the NIC is given back without it.
    assert [a for a in own if a["local"] != "10.9.9.1"] == with_prefix_routes(before[0])
    wanted = [replace_metric(r) for r in before[1] if r.get("table", "main") == "main"]
    assert routes == sorted(wanted, key=str)
    assert layout.dump(Kind.PORT) == [PORT]
    assert withdraw(layout, PORT) == []
    assert seen(host) == before
    shown = json.loads(run(f"ip -n {host} -j link show dev eth7"))[0]
    assert (shown["mtu"], shown["txqlen"], shown["ifalias"]) == (1600, 5000, "uplink")
    assert list(nicrecords.every()) == []


def with_prefix_routes(addresses: list[Any]) -> list[Any]:
    return [{k: v for k, v in each.items() if k != "noprefixroute"} for each in addresses]


def replace_metric(route: dict[str, Any]) -> dict[str, Any]:
    metric = route.get("metric", 0) + nics.EXTRA_METRIC
    return {**route, "metric": metric}


@pytest.mark.parametrize(
    "command",
    [
        "addr del 192.168.1.1/31 dev eth7",
        "addr del 10.255.0.1 peer 10.255.0.2/32 dev eth7",
        "addr del 2001:db8::1/64 dev eth7",
        "addr del 203.0.113.5/24 dev eth7",
        "addr flush dev eth7",
        "link set eth7 down",
        "route del 172.16.0.0/12",
        "-6 route del default",
    ],
)
@pytest.mark.parametrize("restart", [False, True])
def test_removal_from_a_nic_is_shown_and_repaired(
    layout: Layout, namespaces: tuple[str, str], host: str, command: str, restart: bool
) -> None:
    upsert(layout, PORT)
    before = seen(namespaces[0], "main")
    run(f"ip -n {namespaces[0]} {command}")
    if restart:
        layout = Layout(*namespaces)
        layout.prepare()
    [found] = layout.dump(Kind.PORT)
    assert found != PORT
    assert upsert(layout, PORT) == []
    assert layout.dump(Kind.PORT) == [PORT]
    after = seen(namespaces[0], "main")
    assert sorted(after[0], key=str) == sorted(before[0], key=str)
    assert after[1] == before[1]
    assert withdraw(layout, PORT) == []
    assert "192.168.1.1" in str(seen(host)[0])


class Crash(BaseException):
    """Stands for the end of the process."""


@dataclass
class Crashes:
    """Raises at the nth effect on the kernel or on the disk, before or after it."""

    at: int
    after: bool
    effects: int = 0
    undo: list[tuple[Any, str, Any]] = field(default_factory=list)

    def arm(self) -> None:
        targets = [(Requests, "errno_of"), (Links, "move"), (Links, "change"), (Links, "set_up")]
        for owner, name in (*targets, (nicrecords, "write"), (nicrecords, "remove")):
            real = getattr(owner, name)
            self.undo.append((owner, name, real))
            setattr(owner, name, self._counted(real))

    def disarm(self) -> None:
        for owner, name, real in self.undo:
            setattr(owner, name, real)

    def _counted(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.effects += 1
            if self.effects == self.at and not self.after:
                raise Crash
            result = real(*args, **kwargs)
            if self.effects == self.at and self.after:
                raise Crash
            return result

        return call


def crashed(at: int, after: bool, work: Callable[[], object]) -> bool:
    """Do work that should crash; return whether it did, as it may have fewer steps."""
    crashes = Crashes(at, after)
    crashes.arm()
    try:
        work()
    except Crash:
        return True
    finally:
        crashes.disarm()
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("still_wanted", [True, False])
@pytest.mark.parametrize("way", ["in", "back"])
def test_crash_at_any_step_loses_nothing(
    namespaces: tuple[str, str], host: str, way: str, still_wanted: bool, after: bool
) -> None:
    at_home = seen(host)
    work = upsert if way == "in" else withdraw
    for at in range(1, 200):
        layout = Layout(*namespaces)
        layout.prepare()
        if way == "back":
            upsert(layout, PORT)
        ended = crashed(at, after, lambda: work(Layout(*namespaces), PORT))
        again = Layout(*namespaces)
        again.prepare()
        if still_wanted:
            if again.dump(Kind.PORT) != [PORT]:
                assert upsert(again, PORT) == [], at
            assert again.dump(Kind.PORT) == [PORT], at
        for left in again.dump(Kind.PORT):
            assert withdraw(again, left) == [], at
        assert comparable(seen(host)) == comparable(at_home), at
        assert run(f"ip -n {host} link show eth7").count("alias uplink") == 1, at
        assert list(nicrecords.every()) == [], at
        if not ended:
            assert at > 5
            return
    raise AssertionError("it never came to its end")


def comparable(state: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
    return sorted(state[0], key=str), state[1]


def test_nic_in_a_bridge_is_refused_by_name(
    layout: Layout, namespaces: tuple[str, str], host: str
) -> None:
    run(f"ip -n {host} link add br-ex type bridge")
    run(f"ip -n {host} link set eth7 master br-ex")
    [failure] = upsert(layout, PORT)
    assert failure.errno == errno.EBUSY
    assert "eth7 belongs to br-ex" in failure.reason
    assert "ip link set eth7 nomaster" in failure.reason
    assert "eth7" in names(host)


def test_nic_whose_home_namespace_is_gone_is_kept_and_reported(
    layout: Layout, namespaces: tuple[str, str], host: str
) -> None:
    upsert(layout, PORT)
    run(f"ip -n {host} link set wire netns {namespaces[0]}")  # or it would take eth7 with it
    netns.remove(host)
    [failure] = withdraw(layout, PORT)
    assert f"no network namespace {host}" in failure.reason
    assert "eth7" in names(namespaces[0])
    netns.create(host)
    assert withdraw(layout, PORT) == []
    assert "eth7" in names(host)


def test_leg_with_a_nics_name_does_not_destroy_the_nic(
    layout: Layout, namespaces: tuple[str, str], host: str
) -> None:
    upsert(layout, PORT)
    leg = replace(PORT, source_netns=None, host=HostEnd(host, "far"))
    assert upsert(layout, leg) == []
    assert {"eth7", "far"} <= names(host)
    assert "192.168.1.1" in str(seen(host)[0])


def test_nic_that_was_down_is_given_back_down(layout: Layout, host: str) -> None:
    run(f"ip -n {host} link set eth7 down")
    upsert(layout, PORT)
    withdraw(layout, PORT)
    assert "UP" not in json.loads(run(f"ip -n {host} -j link show eth7"))[0]["flags"]


def test_nic_is_not_moved_if_its_state_cannot_be_saved(
    layout: Layout, namespaces: tuple[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(host)
    monkeypatch.setattr(nicrecords, "DIRECTORY", Path("/proc/none"))
    [failure] = upsert(layout, PORT)
    assert "cannot save the state of eth7" in failure.reason
    assert seen(host) == before


def test_nic_without_its_saved_state_keeps_its_addresses(
    layout: Layout, namespaces: tuple[str, str], host: str
) -> None:
    before = seen(host)
    upsert(layout, PORT)
    for record in nicrecords.every():
        nicrecords.remove(record)
    again = Layout(*namespaces)
    again.prepare()
    run(f"ip -n {namespaces[0]} addr del 192.168.1.1/31 dev eth7")
    assert upsert(again, PORT) == []
    assert withdraw(again, PORT) == []
    kept = [route for route in before[1] if route.get("table") != "77"]
    assert comparable(seen(host)) == comparable((with_prefix_routes(before[0]), kept))
