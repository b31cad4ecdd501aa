"""An Underlay's IS-IS settings, and the lines of frr.conf that they produce."""

from __future__ import annotations

from typing import Any

import pytest

from dualpath.model.frr import Isis, IsisInterface
from tests.unit.controller.intent.build import Yaml, intent, resources, status, underlay
from tests.unit.controller.intent.rulebook import cases, rule

NET = "49.0001.0000.0000.fffe.00"


def spec(**fields: Any) -> Yaml:  # noqa: ANN401
    return underlay(isis={"baseNet": NET, **fields})


BROKEN = {
    "Underlay.isis.baseNet: missing": (underlay(isis={}), "spec.isis.baseNet: required"),
    "Underlay.isis.baseNet: short": (spec(baseNet="49.0001.0000.0001.00"), "is not a NET such as"),
    "Underlay.isis.baseNet: upper case": (
        spec(baseNet="49.000A.0000.0000.0001.00"),
        "is not a NET such as",
    ),
    "Underlay.isis.baseNet: selector": (
        spec(baseNet="49.0001.0000.0000.0000.01"),
        "ends in 01, but a NET must end in 00: FRR accepts no other",
    ),
    "Underlay.isis.level: 3": (spec(level=3), "less than or equal to 2"),
    "Underlay.isis.level: 0": (spec(level=0), "greater than or equal to 1"),
    "Underlay.isis.features: unknown": (spec(features=["fast"]), "must be 'advertisePassiveOnly'"),
    "Underlay.isis.features: of an interface": (
        spec(interfaces=[{"name": "eth1", "features": ["active"]}]),
        "must be 'passive'",
    ),
    "Underlay.isis.interfaces: twice": (
        spec(interfaces=[{"name": "eth1"}] * 2),
        "interface eth1 is given twice",
    ),
    "Underlay.isis.interfaces: 129": (
        spec(interfaces=[{"name": f"eth{n}"} for n in range(129)]),
        "spec.isis.interfaces: ",
    ),
    "Underlay.isis: family": (
        spec(interfaces=[{"name": "eth1", "ipFamily": "IPX"}]),
        "must be 'IPv4', 'IPv6' or 'DualStack'",
    ),
}


@pytest.mark.parametrize("case", cases(BROKEN))
def test_invalid_isis_settings_reject_the_underlay_with_a_reason(case: str) -> None:
    manifest, why = BROKEN[case]
    [rejected] = resources(manifest).rejected
    assert why in rejected.message


def isis(index: int = 1, **fields: Any) -> Isis:  # noqa: ANN401
    found = intent(spec(**fields), index=index).frr.isis
    assert found is not None
    return found


@rule("Underlay.isis")
def test_isis_runs_on_underlay_interfaces_and_advertises_the_loopback() -> None:
    assert isis().interfaces == (
        IsisInterface("eth1", ipv4=True, ipv6=True),
        IsisInterface("lo", ipv4=True, ipv6=True, passive=True),
    )


@rule("Underlay.isis", "Underlay.isis.features", "Underlay.isis.interfaces")
@pytest.mark.parametrize("family", ["IPv4", "IPv6", "DualStack"])
def test_isis_settings_may_differ_per_interface(family: str) -> None:
    given = [
        {"name": "eth1", "ipFamily": family, "features": ["passive"]},
        {"name": "lo", "ipFamily": family},
    ]
    v4, v6 = family != "IPv6", family != "IPv4"
    assert isis(interfaces=given).interfaces == (
        IsisInterface("eth1", v4, v6, passive=True),
        IsisInterface("lo", v4, v6, passive=True),
    )


@rule("Underlay.isis.level", "Underlay.isis.features")
def test_isis_defaults_to_both_levels_and_all_prefixes() -> None:
    assert (isis().level, isis().advertise_passive_only) == (0, False)
    assert isis(level=1).level == 1
    assert isis(features=["advertisePassiveOnly"]).advertise_passive_only


@rule("Underlay.isis.baseNet")
def test_system_id_is_the_base_plus_the_node_index() -> None:
    assert isis(index=0).net == NET
    assert isis(index=2).net == "49.0001.0000.0001.0000.00"


@rule("Underlay.isis.baseNet")
def test_system_id_overflow_rejects_the_underlay() -> None:
    last = underlay(isis={"baseNet": "49.0001.ffff.ffff.ffff.00"})
    assert intent(last, index=0).frr.isis is not None
    rejected = status(intent(last, index=1), "Underlay", "underlay")
    assert not rejected.ready
    assert "no system ID for this node" in rejected.message


def test_frr_conf_without_isis_has_no_isis_lines() -> None:
    assert intent(underlay()).frr.isis is None
