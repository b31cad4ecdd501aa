"""A NIC under grout keeps its addresses and routes: FRR has them on the twin; they go back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

import pytest

from datapaths.linux import nicrecords, nics
from tests.netns.namespaces import run
from tests.netns.test_grout_ports import made
from tests.unit.controller.intent.rulebook import rule

pytestmark = [pytest.mark.netns, pytest.mark.grout]

PARTICULAR = (
    "198.18.0.1/24 label eth1:1",
    "10.9.9.1 peer 10.9.9.2/32",
    "198.19.0.1/24 valid_lft 5000 preferred_lft 4000",
    "2001:db8:77::1/64 valid_lft 5000 preferred_lft 4000 nodad",
)


@dataclass(frozen=True)
class Possessions:
    """Return a NIC's configuration, without lifetimes."""

    addresses: tuple[str, ...]
    routes: tuple[str, ...]


def possessions(space: str) -> Possessions:
    shown = json.loads(run(f"ip -n {space} -j addr show dev eth1"))[0]["addr_info"]
    kept = [
        " ".join(str(it.get(key, "")) for key in ("local", "address", "prefixlen", "label"))
        + (" leased" if it["valid_life_time"] < 10_000 else "")
        for it in shown
        if it["scope"] != "link"
    ]
    routes = [
        " ".join(line.split(" expires")[0].split())
        for family in ("-4", "-6")
        for line in run(f"ip -n {space} {family} route show dev eth1 table all").splitlines()
        if "proto kernel" not in line and "type local" not in line
    ]
    return Possessions(tuple(sorted(kept)), tuple(sorted(routes)))


@rule("Layout.nic")
async def test_nic_is_given_back_with_all_addresses_and_routes() -> None:
    async with made() as bed:
        run(f"ip -n {bed.peer} link set eth1 up")
        for address in PARTICULAR:
            run(f"ip -n {bed.peer} addr add {address} dev eth1")
        run(f"ip -n {bed.peer} route add 203.0.113.128/25 via 198.18.0.9 dev eth1 metric 7")
        run(f"ip -n {bed.peer} route add default via 198.18.0.9 dev eth1 table 77")
        run(f"ip -n {bed.peer} -6 route add 2001:db8:77::/48 dev eth1 metric 9")
        before = await asyncio.to_thread(possessions, bed.peer)
        await bed.build()
        assert "inet" not in run(f"ip -n {bed.home} addr show n-eth1")
        shown = await asyncio.to_thread(possessions, bed.control)
        unlabelled = {address.replace("eth1:1", "eth1") for address in before.addresses}
        assert unlabelled - {a.replace("eth1:1", "eth1") for a in shown.addresses} == set()
        [state] = [s for s in await bed.ports.states() if s.name == "eth1"]
        assert {"198.18.0.1/24", "10.9.9.1/32", "2001:db8:77::1/64"} <= set(state.addresses)
        assert await asyncio.to_thread(bed.twins.differing, bed.all) == []
        assert bed.nic in await bed.ports.dump()
        await bed.remove(bed.nic)
        assert await asyncio.to_thread(possessions, bed.peer) == before


async def test_expired_address_is_removed_from_port_and_twin() -> None:
    async with made() as bed:
        run(f"ip -n {bed.peer} addr add 198.18.0.1/24 dev eth1 valid_lft 5000 preferred_lft 5000")
        await bed.apply(bed.nic)
        assert await asyncio.to_thread(bed.twins.ensure, [bed.nic]) == []
        assert "198.18.0.1/24" in run(f"ip -n {bed.control} addr show eth1")
        [record] = nicrecords.every()
        ended = nics.boottime_s() - 1
        nicrecords.write(
            replace(
                record, addresses=tuple(replace(it, valid_until=ended) for it in record.addresses)
            )
        )
        assert nics.any_expired(ended - 5, ended + 5)
        assert bed.nic not in await bed.ports.dump()  # grout knows of no lifetimes
        await bed.apply(bed.nic)
        assert bed.nic in await bed.ports.dump()
        [state] = [s for s in await bed.ports.states() if s.name == "eth1"]
        assert "198.18.0.1/24" not in state.addresses
        assert await asyncio.to_thread(bed.twins.ensure, [bed.nic]) == []
        assert "198.18.0.1/24" not in run(f"ip -n {bed.control} addr show eth1")
