"""Every manifest that people start from is accepted whole, and renders what its title says."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.cli.__main__ import main
from controller.intent import layout
from controller.intent.layout import Intent
from controller.intent.loader import load
from dualpath.model.links import Port, Vni, Vrf
from frr_bridge.frr_config import render

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def compiled(name: str) -> Intent:
    found = load([EXAMPLES / f"{name}.yaml"])
    return layout.compile(found, found.node)


def frr_conf(name: str) -> str:
    return render(compiled(name).frr)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_is_accepted_whole(file: Path) -> None:
    intent = compiled(file.stem)
    assert intent.statuses
    assert all(status.ready for status in intent.statuses), intent.statuses


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_has_a_title_and_says_what_to_change(file: Path) -> None:
    comment = file.read_text().partition("apiVersion")[0]
    assert comment.startswith("# ")
    assert "Change these" in comment


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_is_validated_and_rendered_by_the_command(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("validate", "render"):
        with pytest.raises(SystemExit) as ended:
            main([command, str(file)])
        assert ended.value.code == 0, capsys.readouterr()
    assert "router bgp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "vrfs", "vnis"),
    [
        ("one-tenant", {"red"}, {(100, 3)}),
        ("two-tenants", {"red", "blue"}, {(100, 3), (200, 3), (110, 2), (210, 2)}),
        ("layer2", set(), {(110, 2)}),
        ("route-reflector", set(), set()),
    ],
)
def test_every_example_creates_its_tenants(
    name: str, vrfs: set[str], vnis: set[tuple[int, int]]
) -> None:
    devices = compiled(name).devices
    assert {d.name for d in devices if isinstance(d, Vrf)} == vrfs
    assert {(d.vni, d.layer) for d in devices if isinstance(d, Vni)} == vnis


def test_ipv6_underlay_example_has_ipv6_vteps() -> None:
    locals_ = {d.local for d in compiled("ipv6-underlay").devices if isinstance(d, Vni)}
    assert {len(local) for local in locals_} == {16}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("unnumbered", ["neighbor eth1 interface", "neighbor eth2 interface"]),
        ("cni-underlay", ["neighbor 192.168.11.2 remote-as 65000"]),
        ("route-reflector", ["neighbor 192.168.9.2 route-reflector-client", "bgp cluster-id"]),
        ("metallb", ["permit 10.240.0.0/24 ge 32", "neighbor 10.100.0.3 remote-as 65100"]),
        ("calico", ["permit 10.244.0.0/16 ge 26 le 26", "neighbor 10.100.0.3 remote-as 65100"]),
    ],
)
def test_every_example_configures_frr(name: str, lines: list[str]) -> None:
    text = frr_conf(name)
    for line in lines:
        assert line in text, text


def test_cni_example_has_its_uplink_made_by_plugins() -> None:
    found = compiled("cni-underlay")
    (made,) = found.cni
    assert (made.name, made.plugins) == ("net1", "macvlan (dhcp)")
    assert "net1" in {port.name for port in found.ports}


def test_dpdk_example_names_its_nic() -> None:
    ports = {d.name: d for d in compiled("dpdk").devices if isinstance(d, Port)}
    assert (ports["eth1"].devargs, ports["eth1"].wiring) == ("0000:01:00.0", "owned")
    assert (ports["eth2"].devargs, ports["eth2"].wiring) == ("", "shared")
