"""Another program removes or replaces the name of a namespace while Dualpath runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest

from controller.node.namespaces import NamespaceKeeper, NamespacePair
from datapaths.base import Lost, Unavailable, Unsupported
from datapaths.kernel.driver import KernelDatapath
from datapaths.linux import netns
from datapaths.linux.drift import Drift
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, Port, Vni
from tests.fakes.batches import upsert
from tests.netns.namespaces import fresh, names, run
from tests.netns.test_kernel_driver import FIRST, Ears

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

VNI = Vni(110, local=bytes([10, 0, 0, 1]), mac=bytes.fromhex("00f30000006e"))


class Keeping:
    """A keeper of two namespaces, and its reports."""

    def __init__(self, forwarding: str, control: str, *, ours: bool) -> None:
        self.renewed: list[bool] = []
        self.keeper = NamespaceKeeper(
            NamespacePair(forwarding, control, ours, ours), self.renewed.append
        )


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    with fresh("fwd", "frr") as (forwarding, control):
        yield forwarding, control


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("command", ["ip netns delete {}", "umount -l /run/netns/{}"])
def test_deleted_name_of_an_owned_namespace_is_restored_with_its_contents(
    pair: tuple[str, str], which: int, command: str
) -> None:
    keeping = Keeping(*pair, ours=True)
    before = netns.identity(pair[which])
    run(f"ip -n {pair[which]} link add br7 type bridge")
    run(command.format(pair[which]))
    keeping.keeper.look()
    keeping.keeper.close()
    assert netns.identity(pair[which]) == before
    assert "br7" in names(pair[which])
    assert (keeping.renewed, keeping.keeper.problem) == ([], "")


def test_deleted_foreign_namespace_is_a_problem_until_it_is_back(
    pair: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    keeping = Keeping(*pair, ours=False)
    netns.remove(pair[0])
    for _ in range(3):
        keeping.keeper.look()
    assert f"namespace {pair[0]} is gone" in keeping.keeper.problem
    assert f"ip netns add {pair[0]}" in keeping.keeper.problem
    assert caplog.text.count("is gone") == 1
    netns.create(pair[0])
    keeping.keeper.look()
    keeping.keeper.close()
    assert (keeping.renewed, keeping.keeper.problem) == ([False], "")


def test_other_namespace_under_the_name_is_reported_once(pair: tuple[str, str]) -> None:
    keeping = Keeping(*pair, ours=True)
    for name in pair:
        netns.remove(name)
        netns.create(name)
    keeping.keeper.look()
    keeping.keeper.look()
    keeping.keeper.close()
    assert keeping.renewed == [False, True]


def test_user_namespace_of_a_replaced_namespace_loses_its_pin(pair: tuple[str, str]) -> None:
    _, control = pair
    netns.remove(control)
    try:
        netns.create_isolated(control)
    except Unsupported as error:
        pytest.skip(str(error))
    keeping = Keeping(*pair, ours=True)
    run(f"ip netns delete {control}")
    run(f"ip netns add {control}")
    keeping.keeper.look()
    keeping.keeper.close()
    assert not netns.userns_path(control).exists()


def test_name_that_cannot_be_restored_is_a_problem(
    pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(name: str, held: int) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(netns, "restore", refuse)
    keeping = Keeping(*pair, ours=True)
    netns.remove(pair[0])
    for _ in range(3):
        keeping.keeper.look()
    keeping.keeper.close()
    assert "Read-only file system" in keeping.keeper.problem
    assert caplog.text.count("cannot be made again") == 1


async def test_driver_continues_in_a_new_namespace_of_the_name(pair: tuple[str, str]) -> None:
    forwarding, host = pair
    run(f"ip -n {host} link add eth7 type veth peer name wire")
    run(f"ip -n {host} addr add 192.0.2.0/31 dev eth7")
    port = Port("eth7", addresses=(Address.parse("10.9.9.1/32"),), source_netns="")
    datapath = KernelDatapath(forwarding, host)
    try:
        assert not await datapath.apply(upsert(VNI))
        assert not await datapath.apply(upsert(port))
        ears = Ears(datapath)
        await ears.quiet()
        netns.remove(forwarding)
        netns.create(forwarding)
        await ears.hear(*(Lost(kind) for kind in (Kind.VNI, Kind.PORT, Kind.NEXTHOP, Kind.ROUTE)))
        assert "eth7" in names(host)  # a virtual one would have gone with the old namespace
        assert "192.0.2.0/31" in run(f"ip -n {host} addr show dev eth7")
        assert [row async for row in datapath.dump(Kind.VNI)] == []
        assert not await datapath.apply(upsert(VNI))
        assert not await datapath.apply(upsert(port))
        assert {"br110", "vx110", "eth7"} <= names(forwarding)
        await ears.quiet()
        run(f"ip -n {forwarding} link delete vx110")
        await ears.hear(Lost(Kind.VNI))
        run(f"ip -n {forwarding} link add v0 type veth peer name v1")
        run(f"ip -n {forwarding} addr add 10.0.0.9/24 dev v0")
        run(f"ip -n {forwarding} link set v0 up")
        run(f"ip -n {forwarding} link set v1 up")
        assert not await datapath.apply(upsert(FIRST))
        assert "id 1 " in run(f"ip -n {forwarding} nexthop")
    finally:
        await datapath.close()


async def test_driver_continues_while_its_namespace_has_no_name(pair: tuple[str, str]) -> None:
    datapath = KernelDatapath(pair[0], pair[1])
    try:
        await datapath.capabilities()
        held = netns.keep_alive(pair[0])
        netns.remove(pair[0])
        await asyncio.sleep(0.5)
        with pytest.raises(Unavailable):
            await datapath.apply(upsert(VNI))
        netns.restore(pair[0], held)
        os.close(held)
        assert not await datapath.apply(upsert(VNI))
    finally:
        await datapath.close()


async def test_namespace_that_is_dropped_during_the_dump_of_another_does_not_end_the_watch(
    pair: tuple[str, str],
) -> None:
    first, second = pair
    drift = Drift(lambda _namespace, _what: None)
    drift.watch(first)
    drift.watch(second)
    looking = asyncio.create_task(drift.look())
    await asyncio.sleep(0)  # it has begun to dump the first one
    netns.remove(second)
    drift.watch_only({first: {}})
    await looking
    drift.close()
