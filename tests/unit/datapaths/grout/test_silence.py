"""A hanging grout closes no connection: timeouts detect it, and it is used once it answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from datapaths.base import Unavailable, Unsupported
from datapaths.grout import channel, driver
from datapaths.grout.channel import Channel
from datapaths.grout.client import GroutClient
from datapaths.grout.driver import GroutDatapath
from datapaths.grout.ports.placement import Places
from datapaths.grout.process import Grout, GroutProcess
from datapaths.grout.upkeep import following
from tests.fakes.grout import listening
from tests.fakes.waiting import until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "ANSWER_S", 0.5)
    monkeypatch.setattr(following, "ALIVE_S", 0.01)
    monkeypatch.setattr(driver, "RETRY_S", 0.01)

    async def nothing(_: GroutClient) -> None:
        """Read nothing: the fake has no tables."""

    monkeypatch.setattr(GroutClient, "load", nothing)


async def test_unanswered_request_breaks_the_channel(tmp_path: Path) -> None:
    async with listening(tmp_path / "s") as grout:
        asking = await Channel.open(str(tmp_path / "s"))
        grout.hangs = True
        with pytest.raises(Unavailable, match="grout hangs: no answer for"):
            await asking.call("GR_PING")
        assert asking.broken
        asking.close()


async def test_device_creation_has_a_longer_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "DEVICE_S", 0.8)
    async with listening(tmp_path / "s") as grout:
        asking = await Channel.open(str(tmp_path / "s"))
        grout.hangs = True
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await asking.call("GR_IFACE_ADD")
        assert asyncio.get_running_loop().time() - began > 0.7
        asking.close()


@pytest.mark.parametrize(("stall_s", "lines"), [(0.0, 1), (3.0, 0)])
async def test_request_that_stalls_grout_is_logged(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    stall_s: float,
    lines: int,
) -> None:
    async with listening(tmp_path / "s"):
        asking = await Channel.open(str(tmp_path / "s"))
        monkeypatch.setattr(channel, "STALL_S", stall_s)
        await asking.call("GR_IFACE_ADD")
        asking.close()
    logged = [message for message in caplog.messages if "s for GR_IFACE_ADD; meanwhile" in message]
    assert len(logged) == lines


async def test_hang_is_logged_once_and_ends_when_grout_answers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    silences: list[str] = []
    async with listening(tmp_path / "s") as grout:
        datapath = GroutDatapath(
            str(tmp_path / "s"),
            lambda: Places("", ""),
            silenced=lambda: silences.append(datapath.silent),
        )
        await datapath.capabilities()
        assert datapath.silent == ""
        grout.hangs = True
        await until(lambda: bool(silences))
        with pytest.raises(Unavailable, match=r"^grout hangs: no answer"):
            await datapath.capabilities()
        asked = len(grout.asked)
        await until(lambda: len(grout.asked) >= asked + 2)  # attempts to connect
        grout.hangs = False
        await until(lambda: datapath.silent == "")
        await datapath.capabilities()
        await datapath.close()
    assert [silence.partition(":")[0] for silence in silences] == ["grout hangs"]
    messages = [r.message.partition(" at ")[0] for r in caplog.records if r.name == driver.__name__]
    assert messages == ["no connection to grout", "grout"]


async def test_hanging_grout_prevents_the_start_of_a_second_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(tmp_path / "s") as grout:
        grout.hangs = True
        process = GroutProcess(Grout(tmp_path / "s", "", tmp_path, command=("sh",)))
        keeping = asyncio.create_task(process.run())
        await until(lambda: "grout hangs" in caplog.text)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert process.starts == 0


async def test_other_api_version_is_an_error_at_once(tmp_path: Path) -> None:
    async with listening(tmp_path / "s") as grout:
        grout.known = False
        with pytest.raises(Unsupported, match="another API version; known are grout"):
            await Channel.open(str(tmp_path / "s"))
        assert set(grout.asked) == {"GR_HELLO"}
