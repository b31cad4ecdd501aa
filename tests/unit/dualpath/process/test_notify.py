"""A daemon reports its state to systemd by sd_notify(3)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualpath.process.lifetime import live
from dualpath.process.notify import Notifier
from tests.fakes.systemd import Systemd
from tests.fakes.waiting import until


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    abstract = f"@dualpath-test-{os.getpid()}"
    made = Systemd(str(tmp_path / "notify") if request.param == "path" else abstract)
    yield made
    made.socket.close()


def test_each_state_is_one_message(systemd: Systemd) -> None:
    notifier = Notifier(systemd.environment)
    notifier.ready()
    notifier.status("waiting for\nthe datapath")
    notifier.stopping()
    assert systemd.heard() == ["READY=1", "STATUS=waiting for the datapath", "STOPPING=1"]


def test_an_unchanged_status_is_not_repeated(systemd: Systemd) -> None:
    notifier = Notifier(systemd.environment)
    for text in ("a", "a", "b", "a"):
        notifier.status(text)
    assert systemd.heard() == ["STATUS=a", "STATUS=b", "STATUS=a"]


def test_children_do_not_inherit_the_socket(systemd: Systemd) -> None:
    systemd.environment |= {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": str(os.getpid())}
    Notifier(systemd.environment)
    assert systemd.environment == {"HOME": "/root"}


@pytest.mark.parametrize(
    ("variables", "period_s"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),  # of another process
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_watchdog_is_fed_only_if_systemd_asks_for_it(
    systemd: Systemd, variables: dict[str, str], period_s: float
) -> None:
    notifier = Notifier(systemd.environment | variables)
    notifier.alive()
    assert notifier.watchdog_s == period_s
    assert systemd.heard() == (["WATCHDOG=1"] if period_s else [])


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}])
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    notifier.ready()
    notifier.status("x")
    notifier.stopping()


async def test_a_daemon_feeds_the_watchdog_until_it_stops(systemd: Systemd) -> None:
    notifier = Notifier(systemd.environment | {"WATCHDOG_USEC": "20000"})
    heard: list[str] = []

    async def work() -> None:
        notifier.ready()
        await until(
            lambda: heard.count("WATCHDOG=1") >= 3, again=lambda: heard.extend(systemd.heard())
        )

    async with asyncio.timeout(10):
        await live(work(), notifier)
    heard += systemd.heard()
    assert heard[0] in ("READY=1", "WATCHDOG=1")
    assert "READY=1" in heard
    assert heard[-1] == "STOPPING=1"


async def test_failed_daemon_reports_stopping(systemd: Systemd) -> None:
    async def fail() -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        await live(fail(), Notifier(systemd.environment))
    assert systemd.heard() == ["STOPPING=1"]
