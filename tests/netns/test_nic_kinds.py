"""`dualpath down` with NICs of every kind: none is destroyed, wherever parent or peer is."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.node import namespacerecord
from controller.node.namespaces import NamespacePair
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.layout import Layout
from datapaths.linux import netns, nicrecords
from datapaths.linux.links import Links
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.records import RecordBatch
from tests.fakes.batches import upsert
from tests.netns.namespaces import fresh, link, names, run

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

KINDS = {
    "veth": "link add eth7 type veth peer name far7",
    "macvlan": "link add eth7 link base type macvlan mode bridge",
    "vlan": "link add eth7 link base type vlan id 7",
    "dummy": "link add eth7 type dummy",
    "ipvlan": "link add eth7 link base type ipvlan mode l2",
}
UNMOVED = {"bond": "link add eth7 type bond", "bridge": "link add eth7 type bridge"}
"""`base` is a veth; kinds that this kernel lacks are skipped."""


@dataclass(frozen=True, slots=True)
class World:
    forwarding: str
    host: str
    other: str
    state_dir: Path

    def take(self, source: str | None = None) -> None:
        """Let a controller move eth7 into a namespace that it created."""
        namespaces = NamespacePair(self.forwarding, "", make_forwarding=True, make_control=False)
        namespacerecord.write(self.state_dir, namespaces, self.host)
        netns.create(self.forwarding)
        asyncio.run(self._take(self.host if source is None else source))
        assert "eth7" in names(self.forwarding)

    async def _take(self, source: str) -> None:
        layout = Layout(self.forwarding, self.host, neighbor_limit=0)
        datapath = KernelDatapath(self.forwarding, self.host, layout)
        try:
            assert not await datapath.apply(upsert(Port("eth7", source_netns=source)))
        finally:
            await datapath.close()

    def down(self) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "controller.cli", "down", f"--state-dir={self.state_dir}"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with fresh("fwd", "host", "other") as (forwarding, host, other):
        netns.remove(forwarding)
        for name in (host, other):
            run(f"ip -n {name} link add base type veth peer name base-far")
            run(f"ip -n {name} link set base up")
            run(f"ip -n {name} link set base-far up")
        yield World(forwarding, host, other, tmp_path)


def make(kind: str, space: str) -> None:
    command = f"ip -n {space} {(KINDS | UNMOVED)[kind]}".split()
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"this kernel has no {kind} devices")
    run(f"ip -n {space} addr add 192.0.2.2/24 dev eth7")
    run(f"ip -n {space} link set eth7 up")


def identity(space: str) -> tuple[object, ...]:
    shown = link(space, "eth7")
    addresses = json.loads(run(f"ip -n {space} -j addr show dev eth7"))[0]["addr_info"]
    kept = sorted(a["local"] for a in addresses if a["family"] == "inet")
    return shown["linkinfo"]["info_kind"], shown["address"], kept, "UP" in shown["flags"]


@pytest.mark.parametrize("kind", KINDS)
def test_nic_with_its_parent_or_peer_at_home_is_given_back(world: World, kind: str) -> None:
    make(kind, world.host)
    before = identity(world.host)
    world.take()
    done = world.down()
    assert (done.returncode, done.stderr) == (0, "")
    assert identity(world.host) == before
    assert not netns.exists(world.forwarding)


@pytest.mark.parametrize("kind", KINDS)
def test_nic_with_its_parent_or_peer_elsewhere_is_given_back(world: World, kind: str) -> None:
    make(kind, world.other)
    run(f"ip -n {world.other} link set eth7 netns {world.host}")
    run(f"ip -n {world.host} addr add 192.0.2.2/24 dev eth7")
    run(f"ip -n {world.host} link set eth7 up")
    before = identity(world.host)
    world.take()
    assert world.down().returncode == 0
    assert identity(world.host) == before


@pytest.mark.parametrize("kind", KINDS)
def test_nic_whose_home_namespace_is_gone_is_not_destroyed(world: World, kind: str) -> None:
    make(kind, world.other)
    run(f"ip -n {world.other} link set eth7 netns {world.host}")
    before = link(world.host, "eth7")["address"]
    world.take()
    netns.remove(world.host)
    done = world.down()
    assert done.returncode == 1
    assert "eth7" in done.stdout
    assert f"no network namespace {world.host}" in done.stdout
    assert "a NIC is still in it" in done.stdout
    assert link(world.forwarding, "eth7")["address"] == before
    netns.create(world.host)
    assert world.down().returncode == 0
    assert link(world.host, "eth7")["address"] == before


def test_foreign_device_in_an_owned_namespace_is_not_destroyed(world: World) -> None:
    make("veth", world.host)
    world.take()
    run(f"ip -n {world.other} link add theirs type veth peer name theirs-far")
    run(f"ip -n {world.other} link set theirs netns {world.forwarding}")
    done = world.down()
    assert done.returncode == 1
    assert "it stays while theirs is in it" in done.stdout
    assert "eth7" in names(world.host)
    assert "theirs" in names(world.forwarding)
    run(f"ip -n {world.forwarding} link set theirs netns {world.other}")
    assert world.down().returncode == 0
    assert not netns.exists(world.forwarding)


@pytest.mark.parametrize("kind", ["bond", "bridge"])
def test_immovable_device_is_refused_and_left_unchanged(world: World, kind: str) -> None:
    make(kind, world.host)
    before = identity(world.host)
    netns.create(world.forwarding)
    layout = Layout(world.forwarding, world.host, neighbor_limit=0)
    [failure] = layout.apply(RecordBatch(Kind.PORT, (Port("eth7", source_netns=""),)))
    assert f"eth7 is a {kind}" in failure.reason
    assert identity(world.host) == before
    assert "ifalias" not in link(world.host, "eth7")
    assert list(nicrecords.every()) == []


def test_failed_move_leaves_the_nic_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("veth", world.host)
    before = link(world.host, "eth7")
    netns.create(world.forwarding)

    def refuse(links: Links, name: str, there: Links, new: str = "") -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(Links, "move", refuse)
    layout = Layout(world.forwarding, world.host, neighbor_limit=0)
    [failure] = layout.apply(RecordBatch(Kind.PORT, (Port("eth7", source_netns=""),)))
    assert failure.errno == errno.EINVAL
    assert link(world.host, "eth7") == before
    assert list(nicrecords.every()) == []
