"""Ports that CNI plugins make: a round leaves out those that are missing, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from controller.intent.layout import Intent
from controller.intent.verdicts import Outcome, verdicts
from controller.node.namespaces import NamespacePair
from controller.node.provision import Provisioner
from dualpath.model.cni import CniDevice
from dualpath.model.kinds import Kind
from dualpath.model.links import Port
from dualpath.model.view import ResourceStatus
from tests.fakes.core import Core
from tests.fakes.twins import NoTwins

FABRIC = ("Underlay", "fabric")
NET1, NET2 = Port("net1", twin=True), Port("net2", twin=True)
INTENT = Intent(
    ports=(NET1, NET2),
    cni=(CniDevice("net1", "{}"), CniDevice("net2", "{}")),
    owners={(Kind.PORT, "net1"): FABRIC, (Kind.PORT, "net2"): FABRIC},
    statuses=(ResourceStatus("Underlay", "fabric", ready=True),),
)


class Made:
    def __init__(self) -> None:
        self.wanted: Sequence[CniDevice] = ()
        self.missing: dict[str, str] = {}
        self.remarks: dict[str, str] = {}
        self.differing: dict[str, str] = {}
        self.looks = 0

    async def want(self, devices: Sequence[CniDevice]) -> Mapping[str, str]:
        self.wanted = devices
        return self.missing

    async def audit(self) -> Mapping[str, str]:
        return self.differing

    def look_again(self) -> None:
        self.looks += 1

    async def run(self) -> None: ...


def provisioner(directory: Path, made: Made) -> tuple[Provisioner, Core]:
    core = Core()
    control = directory / "frr"
    control.touch()
    pair = NamespacePair(str(directory / "fwd"), str(control), False, False)
    found = Provisioner(pair, INTENT, NoTwins(), core.planes, send=lambda _: None, made=made)
    return found, core


async def test_missing_port_is_left_out_and_its_underlay_says_why(tmp_path: Path) -> None:
    made, outcome = Made(), Outcome()
    made.missing = {"net1": "CNI plugin macvlan, ADD: no master"}
    one, _ = provisioner(tmp_path, made)
    found = await one._steps.without_missing(INTENT, outcome)
    assert found.ports == (NET2,)
    assert made.wanted == INTENT.cni
    (status,) = verdicts(INTENT, outcome)
    assert (status.ready, status.reason) == (False, "UnderlayFailed")
    assert status.message == "net1: CNI plugin macvlan, ADD: no master"


async def test_kept_port_that_fails_its_check_is_remarked(tmp_path: Path) -> None:
    made, outcome = Made(), Outcome()
    made.remarks = {"net2": "no answer of the server; the interface is kept"}
    one, _ = provisioner(tmp_path, made)
    assert await one._steps.without_missing(INTENT, outcome) is INTENT
    (status,) = verdicts(INTENT, outcome)
    assert status.ready
    assert status.message == "net2: no answer of the server; the interface is kept"


async def test_resync_looks_again_and_a_made_port_starts_a_round(tmp_path: Path) -> None:
    made = Made()
    one, _ = provisioner(tmp_path, made)
    one.look_again()
    assert made.looks == 1
    one._wake.clear()
    one.ports_changed()
    assert one._wake.is_set()


def test_port_is_used_from_when_it_is_wanted_until_it_has_left(tmp_path: Path) -> None:
    one, core = provisioner(tmp_path, Made())
    assert not one.uses("net1")
    core.state.want(Kind.PORT, [NET1])
    assert one.uses("net1")
    core.state.records[Kind.PORT].applied("net1", NET1)
    core.state.want(Kind.PORT, [])
    assert one.uses("net1")
    core.state.records[Kind.PORT].applied("net1", None)
    assert not one.uses("net1")
