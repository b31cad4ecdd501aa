"""The overlay follows the MTU of the NICs, also of one that appears or changes later."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.intent.layout import Intent
from controller.manifests import source as manifests
from controller.manifests.source import Manifests
from controller.node.namespaces import NamespacePair
from controller.settings import parse
from datapaths.linux import netns
from tests.fakes.waiting import until
from tests.unit.controller.intent.build import manifest, underlay

pytestmark = pytest.mark.netns

FORWARDING, HOST = "dp-mtu-fwd", "dp-mtu-host"


@pytest.fixture
def namespaces() -> Iterator[NamespacePair]:
    for name in (FORWARDING, HOST):
        netns.create(name)
    try:
        yield NamespacePair(FORWARDING, "", False, False)
    finally:
        for name in (FORWARDING, HOST):
            netns.remove(name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def nic(mtu: int) -> None:
    ip("-n", HOST, "link", "add", "eth1", "mtu", str(mtu), "type", "veth", "peer", "far1")


def mtus(intent: Intent) -> set[int]:
    return {vni.mtu for vni in intent.vnis} | {port.mtu for port in intent.ports if port.host}


async def test_overlay_mtu_follows_a_nic_that_appears_changes_and_moves(
    namespaces: NamespacePair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "POLL_S", 0.02)
    node = {"apiVersion": "dualpath.io/v1alpha1", "kind": "Node", "metadata": {"name": "pe1"}}
    node["spec"] = {"namespaces": {"host": HOST}}
    text = "\n---\n".join(json.dumps(m) for m in (node, underlay(), manifest("L3VNI", "red")))
    (tmp_path / "pe1.yaml").write_text(text)
    watched = Manifests(parse(["--datapath=kernel", f"--config={tmp_path / 'pe1.yaml'}"]))
    watched.read()
    assert mtus(watched.compile(namespaces)) == {1450}
    heard: list[Intent] = []
    work = asyncio.create_task(watched.watch(heard.append))

    nic(9000)
    await until(lambda: bool(heard) and mtus(heard[-1]) == {8950})
    ip("-n", HOST, "link", "set", "eth1", "netns", FORWARDING)
    await asyncio.sleep(0.2)
    assert len(heard) == 1
    ip("-n", FORWARDING, "link", "set", "eth1", "mtu", "2000")
    await until(lambda: mtus(heard[-1]) == {1950})
    ip("-n", FORWARDING, "link", "del", "eth1")
    await asyncio.sleep(0.2)
    assert len(heard) == 2  # no NIC is known

    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
