"""What a PE forwards by, as the datapath's own tools show it: `ip` and `bridge`, or `grcli`.

Scenarios ask here, so that they read alike over either, and never trust the product for it.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from tests.lab import namespaces
from tests.lab.namespaces import Namespace
from tests.lab.plan import TENANT_VRF
from tests.lab.processes import CommandFailed, run

OUR_PROTOCOL = 68  # of routes in the kernel
OUR_ORIGIN = "zebra"  # of routes in grout
MEMBER = re.compile(r"\bid\((\d+)/\d+\)")  # in what grcli says of a group
# In what grcli says of events. An "update" of a nexthop is mostly its neighbor that answered.
EVENTS = {
    "route": rf"route[46] (add|del): .*origin={OUR_ORIGIN}",
    "nexthop": rf"nh (new|del): .*origin={OUR_ORIGIN}",
    "address": r"addr[46] (add|del): ",
}


Changes = Callable[[], list[str]]  # those so far
ROUTING = ("route", "nexthop")


class View(Protocol):
    """A datapath, read-only."""

    def has_route(self, prefix: str) -> bool:
        """Tell whether the tenant's VRF has a route; of a host, the length may be left out."""

    def prefixes(self) -> set[str]:
        """Return the prefixes that the controller put into the tenant's VRF."""

    def tables(self) -> list[str]:
        """Return the routes and nexthops that the controller put there."""

    def uplinks_to(self, vtep: str) -> set[str]:
        """Return the ports over which the underlay reaches a VTEP."""

    def local_vtep(self, vni: int) -> str:
        """Return the address that a VNI's packets come from."""

    def remote_macs(self, vni: int) -> dict[str, str]:
        """Return the MACs behind VTEPs, and behind which."""

    def masters(self) -> dict[str, str]:
        """Return the devices that forward, and the VRF or bridge that each is in, "" for none."""

    def changes(self, *kinds: str) -> AbstractContextManager[Changes]:
        """Watch what is written: kinds are route, nexthop, address; none is the first two."""


class KernelView:
    """Linux, through iproute2."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    def has_route(self, prefix: str) -> bool:
        family = "-6" if ":" in prefix else "-4"
        text = self._namespace.ip(family, "route", "show", "vrf", TENANT_VRF)
        return prefix in {line.split()[0] for line in text.splitlines()}

    def prefixes(self) -> set[str]:
        words = ("route", "show", "vrf", TENANT_VRF, "proto", str(OUR_PROTOCOL))
        lines = [self._namespace.ip(family, *words).splitlines() for family in ("-4", "-6")]
        return {with_length(line.split()[0]) for line in (*lines[0], *lines[1])}

    def tables(self) -> list[str]:
        ip = self._namespace.ip
        text = ip("nexthop", "show") + ip("route", "show", "table", "all")
        return sorted(line.strip() for line in text.splitlines() if " proto " in line)

    def uplinks_to(self, vtep: str) -> set[str]:
        nexthops = {row["id"]: row for row in self._namespace.ip_json("nexthop", "show")}
        (route,) = self._namespace.ip_json("route", "show", f"{vtep}/32")
        nexthop = nexthops[route["nhid"]]
        members = [nexthops[member["id"]] for member in nexthop.get("group", [])]
        return {str(row["dev"]) for row in (members or [nexthop])}

    def local_vtep(self, vni: int) -> str:
        (device,) = self._namespace.ip_json("link", "show", "dev", f"vx{vni}")
        data = device["linkinfo"]["info_data"]
        return str(data.get("local6") or data["local"])

    def remote_macs(self, vni: int) -> dict[str, str]:
        words = ["fdb", "show", "dev", f"vx{vni}"]
        rows = json.loads(run(["bridge", "-j", "-n", self._namespace.name, *words]))
        return {row["mac"]: row["dst"] for row in rows if "dst" in row and _unicast(row["mac"])}

    def masters(self) -> dict[str, str]:
        return {row["ifname"]: row.get("master", "") for row in self._namespace.ip_json("link")}

    @contextlib.contextmanager
    def changes(self, *kinds: str) -> Iterator[Changes]:
        with namespaces.monitored(self._namespace, *(kinds or ROUTING)) as lines:
            yield lambda: [line for line in lines() if "proto kernel" not in line]


class GroutView:
    """grout, through grcli."""

    def __init__(self, socket: Path) -> None:
        self._grcli = ["grcli", "-s", str(socket)]

    def has_route(self, prefix: str) -> bool:
        rows = self._rows("route", "show", "vrf", TENANT_VRF)
        return with_length(prefix) in {row["destination"] for row in rows}

    def prefixes(self) -> set[str]:
        rows = self._rows("route", "show", "vrf", TENANT_VRF)
        return {row["destination"] for row in rows if row["origin"] == OUR_ORIGIN}

    def tables(self) -> list[str]:
        routes = [row for row in self._rows("route", "show") if row["origin"] == OUR_ORIGIN]
        nexthops = [row for row in self._rows("nexthop", "show") if row["origin"] == OUR_ORIGIN]
        return sorted(_without_state(row) for row in (*routes, *nexthops))

    def uplinks_to(self, vtep: str) -> set[str]:
        devices = {row["id"]: row["iface"] for row in self._rows("nexthop", "show")}
        routes = {row["destination"]: row["next_hop"] for row in self._rows("route", "show")}
        text = routes[f"{vtep}/32"]
        members = [devices[int(member)] for member in MEMBER.findall(text)]
        return set(members or re.findall(r"\biface=(\S+)", text))

    def local_vtep(self, vni: int) -> str:
        (row,) = [row for row in self._rows("interface", "show") if row["name"] == f"vx{vni}"]
        (address,) = re.findall(r"\blocal=(\S+)", row["info"])
        return str(address)

    def remote_macs(self, vni: int) -> dict[str, str]:
        rows = [row for row in self._rows("fdb", "show") if row["iface"] == f"vx{vni}"]
        return {row["mac"]: row["vtep"] for row in rows if row["vtep"]}

    def masters(self) -> dict[str, str]:
        return {row["name"]: row["domain"] for row in self._rows("interface", "show")}

    @contextlib.contextmanager
    def changes(self, *kinds: str) -> Iterator[Changes]:
        wanted = re.compile("|".join(EVENTS[kind] for kind in kinds or ROUTING))
        with namespaces.said_by([*self._grcli, "events", "show"]) as lines:
            yield lambda: [line for line in lines() if wanted.search(line)]

    def _rows(self, *words: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(run([*self._grcli, "-j", *words]) or "[]")
        return rows


def prefixes_of(view: View) -> set[str]:
    """Return what the tenant's VRF has; nothing while nobody can be asked."""
    try:
        return view.prefixes()
    except CommandFailed:
        return set()


def with_length(prefix: str) -> str:
    """Return a prefix as grout writes it: a host's has a length, too."""
    return prefix if "/" in prefix else f"{prefix}/{128 if ':' in prefix else 32}"


def _unicast(mac: str) -> bool:
    return int(mac[1], 16) % 2 == 0 and mac != "00:00:00:00:00:00"


def _without_state(row: dict[str, Any]) -> str:
    """Return a row without what a neighbor's age changes in it."""
    text = json.dumps(row, sort_keys=True)
    return re.sub(r" (state|mac)=\S+", "", text)
