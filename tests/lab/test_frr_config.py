"""A real FRR accepts every frr.conf that the unit tests expect, and needs it only once."""

import asyncio
import os
from pathlib import Path

import pytest

from frr_bridge.frr_apply import Applied, FrrApply, FrrPaths
from tests.lab.frr import Settings
from tests.lab.scenario import Scenario
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.lab

GOLDEN = Path(__file__).parents[1] / "unit" / "controller" / "intent" / "golden"
FILES = sorted(GOLDEN.glob("*.conf"))


@pytest.fixture
def frr(lab: Scenario) -> FrrApply:
    """Start an FRR without a configuration."""
    settings = Settings(daemons=(*Settings().daemons, "isisd"))
    router = lab.frr("pe1", lab.isolated_namespace("pe1"), settings)
    router.start()
    return FrrApply(FrrPaths.named(router.name))


def apply(frr: FrrApply, text: str) -> Applied:
    """Apply with this system's hostname, as frr-bridge does."""
    return asyncio.run(
        frr.apply(text.replace("hostname pe1\n", f"hostname {os.uname().nodename}\n"))
    )


@rule("Conf.twice", "Differs.canonical")
def test_second_apply_of_a_configuration_changes_nothing(frr: FrrApply) -> None:
    for file in FILES:  # each from the one before it
        assert apply(frr, file.read_text()) == Applied(True, True), file.name
        assert apply(frr, file.read_text()) == Applied(True, False), file.name


@rule("Conf.refused")
def test_refused_configuration_leaves_the_old_one(frr: FrrApply) -> None:
    text = (GOLDEN / "lab.conf").read_text()
    assert apply(frr, text).ok

    unknown = apply(frr, text.replace("advertise-all-vni", "advertise-every-vni"))
    assert (unknown.ok, unknown.changed) == (False, False)
    assert "advertise-every-vni" in unknown.message

    twice = apply(frr, text.replace("exit-vrf\n", "exit-vrf\nvrf blue\n vni 100\nexit-vrf\n"))
    assert not twice.ok
    assert twice.message.endswith("the previous configuration is restored")

    assert apply(frr, text) == Applied(True, False)
