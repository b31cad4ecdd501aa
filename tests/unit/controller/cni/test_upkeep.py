"""Interfaces are made, checked, made again and removed, whatever the plugins do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from controller.cni import keeper, records, upkeep
from controller.cni.dhcp import DhcpDaemon
from controller.cni.interfaces import Presence
from controller.cni.keeper import CniKeeper
from controller.cni.plugins import Plugins
from controller.cni.records import Stage
from controller.cni.upkeep import Step, Tools, step
from tests.fakes.cni import PATH, RESULT, FakeNamespace, Scripts, device, record
from tests.fakes.waiting import until

WANTED = device()
OTHER = device({"type": "macvlan", "mode": "private"})
MADE = replace(record(WANTED), stage=Stage.ADDED, result=RESULT)


@pytest.mark.parametrize(
    ("wanted", "found", "presence", "used", "next_"),
    [
        (WANTED, None, Presence.GONE, False, Step.ADD),
        (WANTED, None, Presence.GONE, True, Step.ADD),
        (WANTED, MADE, Presence.AS_MADE, True, Step.KEEP),
        (WANTED, MADE, Presence.TAKEN, True, Step.KEEP),
        (WANTED, MADE, Presence.GONE, True, Step.WAIT),
        (WANTED, MADE, Presence.GONE, False, Step.DELETE),
        (OTHER, MADE, Presence.AS_MADE, True, Step.WAIT),
        (OTHER, MADE, Presence.AS_MADE, False, Step.DELETE),
        (WANTED, record(WANTED), Presence.GONE, False, Step.DELETE),
        (WANTED, replace(MADE, stage=Stage.DELETING), Presence.AS_MADE, False, Step.DELETE),
        (None, MADE, Presence.AS_MADE, True, Step.WAIT),
        (None, MADE, Presence.AS_MADE, False, Step.DELETE),
        (None, None, Presence.GONE, False, Step.END),
    ],
)
def test_next_step_follows_from_what_is_there(
    wanted: object, found: object, presence: Presence, used: bool, next_: Step
) -> None:
    assert step(wanted, found, presence, used=used) is next_  # type: ignore[arg-type]


class World:
    """A keeper over scripts; `used` is what the datapath has."""

    def __init__(self, scripts: Scripts, namespace: FakeNamespace) -> None:
        self.scripts = scripts
        self.namespace = namespace
        self.used: set[str] = set()
        self.changes = 0
        self.tools = self._tools()
        self.keeper = CniKeeper(self.tools)

    def _tools(self) -> Tools:
        plugins = Plugins([self.scripts.directory], time_limit_s=10)
        return Tools(
            forwarding=PATH,
            host="",
            container="dualpath-pe1-fwd",
            plugins=plugins,
            daemon=DhcpDaemon(plugins, self.scripts.directory / "dhcp.sock"),
            namespace=self.namespace,
            used=lambda name: name in self.used,
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    def restart(self) -> None:
        """Replace the keeper, as another process has it."""
        self.tools = self._tools()
        self.keeper = CniKeeper(self.tools)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self.tools.threads.shutdown()  # or a killed plugin's record would be another test's

    async def gone(self) -> None:
        await until(lambda: records.names(PATH) == [])

    async def checked(self) -> None:
        """Wait until a first CHECK has succeeded."""
        await until(lambda: not self.keeper._kept["net1"]._fresh)

    async def called(self, *calls: str) -> None:
        await until(lambda: self.scripts.calls[-len(calls) :] == [*calls])


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_S", 0.02)
    monkeypatch.setattr(upkeep, "WAIT_S", 0.02)
    monkeypatch.setattr(upkeep, "FIRST_RETRY_S", 0.02)
    monkeypatch.setattr(keeper, "_SETTLE_S", 60.0)


@pytest.fixture
def world(scripts: Scripts, namespace: FakeNamespace) -> World:
    return World(scripts, namespace)


async def test_interface_is_made_and_checked_and_the_round_waits_for_it(world: World) -> None:
    async with world.running():
        assert await world.keeper.want([WANTED]) == {}
        await world.called("macvlan ADD", "macvlan CHECK")
        assert await world.keeper.audit() == {}


async def test_unwanted_interface_is_removed_once_the_datapath_has_let_go(world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
        world.used = {"net1"}
        await world.keeper.want([])
        for _ in range(5):
            await world.keeper.want([])
        assert "macvlan DEL" not in world.scripts.calls
        world.used = set()
        await world.gone()
        assert world.scripts.calls[-1] == "macvlan DEL"


async def test_stop_removes_nothing_and_the_next_controller_finds_it_ready(world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
    world.restart()
    assert await world.keeper.want([WANTED]) == {}  # before its first step
    async with world.running():
        await world.called("macvlan CHECK", "macvlan CHECK")
    assert world.scripts.calls.count("macvlan ADD") == 1
    assert "macvlan DEL" not in world.scripts.calls


async def test_add_that_a_crash_cut_short_is_undone_and_repeated(world: World) -> None:
    records.write(record(WANTED))
    async with world.running():
        assert await world.keeper.want([WANTED]) == {}
        assert world.scripts.calls[:2] == ["macvlan DEL", "macvlan ADD"]


async def test_what_an_earlier_controller_left_is_removed_when_nobody_wants_it(
    world: World,
) -> None:
    records.write(MADE)
    async with world.running():
        await world.keeper.want([])
        await world.gone()
        assert world.scripts.calls == ["macvlan DEL"]


async def test_failure_is_told_and_retried_and_others_do_not_wait(world: World) -> None:
    world.scripts.fail("macvlan", "ADD", 7, "no master eth9")
    other = replace(device({"type": "tuning"}), name="net2")
    async with world.running():
        waiting = await world.keeper.want([WANTED, other])
        assert [*waiting] == ["net1"]
        assert (
            "macvlan, ADD: no master eth9 (code 7); correct rawConfig; the controller retries"
            in (waiting["net1"])
        )
        world.scripts.cure("macvlan", "ADD")
        await world.called("macvlan ADD", "macvlan CHECK")
        assert await world.keeper.want([WANTED, other]) == {}


async def test_plugin_that_hangs_delays_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.cni.keeper._SETTLE_S", 0.02)
    world.scripts.answer("macvlan", "ADD", "sleep 600")
    other = replace(device({"type": "tuning"}), name="net2")
    async with world.running():
        await world.keeper.want([WANTED, other])
        await until(lambda: not world.keeper._kept["net2"].waiting)
        waiting = await world.keeper.want([WANTED, other])
        assert waiting == {"net1": "its CNI plugins have not made it yet"}


async def test_missing_plugin_is_told(world: World) -> None:
    async with world.running():
        waiting = await world.keeper.want([device({"type": "sriov"})])
    assert "CNI plugin sriov, VERSION: no such program in" in waiting["net1"]


async def test_lost_interface_is_made_again_after_its_port_has_left(world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
        world.used, before = {"net1"}, world.changes
        world.namespace.lost = {"net1"}
        await until(lambda: world.changes > before)
        assert [*await world.keeper.want([WANTED])] == ["net1"]
        world.used = set()
        await until(lambda: "macvlan DEL" in world.scripts.calls)
        world.namespace.lost = set()
        await world.called("macvlan ADD", "macvlan CHECK")


async def test_changed_list_makes_the_interface_anew(world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
        await world.keeper.want([OTHER])
        await world.called("macvlan DEL", "macvlan ADD", "macvlan CHECK")
        assert world.scripts.given("macvlan", "ADD")["mode"] == "private"
        assert "mode" not in world.scripts.given("macvlan", "DEL")


async def test_failed_check_makes_the_interface_anew(world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
        world.scripts.fail("macvlan", "CHECK", 100, "no address")
        assert "no address" in (await world.keeper.audit())["net1"]
        world.keeper.look_again()
        await until(lambda: "macvlan DEL" in world.scripts.calls)
        world.scripts.cure("macvlan", "CHECK")
        await world.called("macvlan ADD", "macvlan CHECK")
        await until(lambda: not world.keeper.remarks)
        assert await world.keeper.want([WANTED]) == {}


async def test_check_that_fails_for_new_interfaces_too_is_remarked(world: World) -> None:
    world.scripts.fail("macvlan", "CHECK", 100, "never content")
    async with world.running():
        await world.keeper.want([WANTED])
        await until(lambda: bool(world.keeper.remarks))
        assert "never content (code 100); the interface is kept" in world.keeper.remarks["net1"]
        world.keeper.look_again()
        await world.called("macvlan CHECK", "macvlan CHECK")
        assert world.scripts.calls.count("macvlan ADD") == 2


@pytest.mark.parametrize("code", [5, 11])
async def test_check_that_could_not_look_removes_nothing(code: int, world: World) -> None:
    async with world.running():
        await world.keeper.want([WANTED])
        await world.checked()
        world.scripts.fail("macvlan", "CHECK", code, "busy")
        world.keeper.look_again()
        await until(lambda: "busy" in world.keeper.remarks.get("net1", ""))
        world.scripts.cure("macvlan", "CHECK")
        world.keeper.look_again()
        await until(lambda: not world.keeper.remarks)
        assert "macvlan DEL" not in world.scripts.calls


async def test_dhcp_server_that_is_gone_costs_no_address(world: World) -> None:
    ipam = {"type": "dhcp", "daemonSocketPath": "/run/cni/dhcp.sock"}
    async with world.running():
        await world.keeper.want([device({"type": "macvlan", "ipam": ipam})])
        await world.checked()
        world.scripts.fail("macvlan", "CHECK", 999, "no more tries")
        world.keeper.look_again()
        await until(lambda: "no more tries" in world.keeper.remarks.get("net1", ""))
        assert "macvlan DEL" not in world.scripts.calls
        world.namespace.present_addresses = set()
        world.keeper.look_again()
        await until(lambda: "macvlan DEL" in world.scripts.calls)


async def test_daemon_that_does_not_start_is_told(world: World) -> None:
    async with world.running():
        waiting = await world.keeper.want([device({"type": "macvlan", "ipam": {"type": "dhcp"}})])
    assert "CNI plugin dhcp, daemon: it does not listen on" in waiting["net1"]
    assert world.scripts.calls == ["dhcp "]


async def test_interface_that_cannot_be_removed_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    records.write(MADE)
    world.scripts.fail("macvlan", "DEL", 100, "busy")
    async with world.running():
        await world.keeper.want([])
        await until(
            lambda: (
                "net1: no manifest wants it, but it cannot be removed: CNI plugin" in caplog.text
            )
        )
        world.scripts.cure("macvlan", "DEL")
        await world.gone()


async def test_record_of_a_later_version_is_left_alone(world: World) -> None:
    records.write(MADE)
    (file,) = records.DIRECTORY.iterdir()
    file.write_text('{"format": 2}')
    async with world.running():
        waiting = await world.keeper.want([WANTED])
    assert (
        "cannot be read (its format is 2, this version of Dualpath knows 1 only)"
        in (waiting["net1"])
    )
    assert world.scripts.calls == []
    assert file.read_text() == '{"format": 2}'


async def test_messages_hold_no_configuration(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.scripts.fail("macvlan", "CHECK", 100, "no address")
    async with world.running():
        await world.keeper.want([device({"type": "macvlan", "token": "hunter2"})])
        await until(lambda: bool(world.keeper.remarks))
    assert "hunter2" not in caplog.text + str(world.keeper.remarks)
