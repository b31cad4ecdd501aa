"""With many tenants, a change of one resource changes its own devices and nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.core.records import RecordTable
from controller.intent import layout
from controller.intent.difference import compare
from controller.intent.layout import Intent
from controller.intent.show import show
from dualpath.model.kinds import Kind
from frr_bridge.frr_config import render
from tests.fakes.visits import steps
from tests.unit.controller.intent.build import (
    Yaml,
    intent,
    manifest,
    resources,
    session,
    underlay,
)

MANY = 100


def tenant(number: int, **changes: Any) -> Yaml:  # noqa: ANN401
    pool = {"ipv4": f"10.{number}.0.0/24", "ipv6": f"fd00:{number:x}::/64"}
    given = {"vrf": f"t{number}", "vni": 1000 + number, "hostSession": session(localCIDR=pool)}
    return manifest("L3VNI", f"t{number}", **{**given, **changes})


def segment(number: int) -> Yaml:
    return manifest(
        "L2VNI",
        f"s{number}",
        vni=2000 + number,
        routingDomain={"type": "L3VNI", "l3vni": {"name": f"t{number}"}},
        gatewayIPs=[f"10.200.{number}.1/24"],
    )


def many() -> dict[str, Yaml]:
    found = [f(n) for n in range(MANY) for f in (tenant, segment)]
    return {m["metadata"]["name"]: m for m in (underlay(), *found)}


def compiled(**changed: Yaml) -> Intent:
    result = intent(*{**many(), **changed}.values())
    assert all(status.ready for status in result.statuses)
    return result


def test_one_changed_resource_changes_one_vni() -> None:
    before, after = compiled(), compiled(t7=tenant(7, vxlanPort=4790))
    (change,) = compare(show(before), show(after))
    assert (change.kind, change.name, change.after) == ("VNI", "1007", {"port": "4790"})
    assert before.frr == after.frr


def test_only_changed_devices_are_sent_to_the_datapath() -> None:
    before, after = compiled(), compiled(t7=tenant(7, vxlanPort=4790))
    table = RecordTable(Kind.VNI)
    for vni in before.vnis:
        table.want(vni, generation=0, session=0, now=0.0)
        table.applied(vni.key, vni)
    table.pending()
    for vni in after.vnis:
        table.want(vni, generation=0, session=0, now=0.0)
    assert [key for key, _, _ in table.pending()] == [1007]


def test_one_changed_resource_changes_one_section_of_frr_conf() -> None:
    before, after = (
        render(replace(result.frr, hostname="pe1")).splitlines()
        for result in (compiled(), compiled(t7=tenant(7, importRTs=["1:1"])))
    )
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    assert changed == ["+   route-target import 1:1"]


def tenants(count: int) -> list[Yaml]:
    return [f(n) for n in range(count) for f in (tenant, segment)]


def segments_of_one_tenant(count: int) -> list[Yaml]:
    one = {"type": "L3VNI", "l3vni": {"name": "t0"}}
    specs = ({**segment(n)["spec"], "routingDomain": one} for n in range(count))
    return [tenant(0), *(manifest("L2VNI", f"s{n}", **spec) for n, spec in enumerate(specs))]


def segments_alone(count: int) -> list[Yaml]:
    return [
        manifest("L2VNI", f"s{n}", vni=2000 + n, routingDomain=None, gatewayIPs=None)
        for n in range(count)
    ]


@pytest.mark.parametrize("made", [tenants, segments_of_one_tenant, segments_alone])
def test_work_for_a_resource_does_not_grow_with_the_others(
    made: Callable[[int], list[Yaml]],
) -> None:
    def work(count: int) -> int:
        found = resources(underlay(), *made(count))
        return steps(lambda: layout.compile(found, found.node, 1500))

    few, many = work(25), work(200)
    assert many < 8.5 * few
