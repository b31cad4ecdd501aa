"""`dualpath switch` against a service that does as a test says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.inspect.operate import serve_operate
from dualpath.model.switch import Order, Step, SwitchFailed, SwitchRefused, Tell
from tests.unit.controller.cli.conftest import Result, run, serving


class FakeSwitcher:
    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.error: Exception | None = None
        self.waits = False
        self.cancelled = threading.Event()
        self.confirmed = True

    async def switch(self, order: Order, tell: Tell) -> None:
        self.orders.append(order)
        if isinstance(self.error, SwitchRefused):
            raise self.error
        tell(Step.PREPARE, "starting dpdk")
        tell(Step.ROLL_BACK if self.error else Step.COMMIT, "dpdk forwards for eth1")
        if self.error:
            raise self.error
        if self.waits:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise

    async def confirm(self) -> bool:
        return self.confirmed


class Bed:
    def __init__(self, directory: Path) -> None:
        self.switcher = FakeSwitcher()
        self.directory = directory

    def run(self, *words: str) -> Result:
        return run("switch", *words, "--state-dir", str(self.directory))


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    listen = f"unix:{tmp_path}/operate.sock"
    with serving(lambda: serve_operate(made.switcher, listen)):
        yield made


def test_socket_is_for_its_owner_only(bed: Bed) -> None:
    assert (bed.directory / "operate.sock").stat().st_mode & 0o777 == 0o600


def test_order_is_passed_on_and_progress_shown(bed: Bed) -> None:
    shown = bed.run(
        "dpdk", "--port", "eth1", "--port", "leg", "--keep", "--dry-run", "--back-after", "5m"
    )
    assert shown.code == 0
    assert bed.switcher.orders == [Order("dpdk", ("eth1", "leg"), True, True, 300)]
    lines = [line.split(" s  ")[1] for line in shown.out.splitlines()]
    assert lines == ["prepare    starting dpdk", "commit     dpdk forwards for eth1"]


def test_json_has_an_object_for_each_step(bed: Bed) -> None:
    lines = bed.run("kernel", "-o", "json").out.splitlines()
    assert [json.loads(line)["step"] for line in lines] == ["prepare", "commit"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SwitchRefused("no port eth9; existing: eth1"), "no port eth9; existing: eth1"),
        (SwitchFailed("dpdk refuses port eth1"), "rolled back: dpdk refuses port eth1"),
    ],
)
def test_switch_that_is_not_made_ends_with_1_and_the_reason(
    bed: Bed, error: Exception, said: str
) -> None:
    bed.switcher.error = error
    shown = bed.run("dpdk")
    assert (shown.code, shown.err) == (1, f"dualpath: {said}\n")


def test_confirmation(bed: Bed) -> None:
    assert bed.run("--confirm").out == "confirmed: the change stays\n"
    bed.switcher.confirmed = False
    assert bed.run("--confirm").err == "dualpath: no switch waits for a confirmation\n"


@pytest.mark.parametrize("words", [[], ["kernel", "--confirm"]])
def test_neither_nor_both_is_a_wrong_command_line(bed: Bed, words: list[str]) -> None:
    assert bed.run(*words).code == 2


def test_controller_that_cannot_switch_is_named_with_the_cure(tmp_path: Path) -> None:
    shown = run("switch", "dpdk", "--state-dir", str(tmp_path))
    assert shown.code == 1
    assert "--datapath=kernel, --start-grout and --grout-netns" in shown.err


def test_interrupt_cancels_the_order(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    from controller.cli import switch

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    bed.switcher.waits = True
    monkeypatch.setattr(switch, "_show", interrupted)
    shown = bed.run("dpdk")
    assert shown.code == 130
    assert bed.switcher.cancelled.wait(10)
