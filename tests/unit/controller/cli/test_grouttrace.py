"""`dualpath trace` on grout: what grcli prints, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli import grouttrace
from tests.fakes.view import FACTS
from tests.unit.controller.cli.conftest import Daemon

# grout 0.19.3, `grcli trace show`
SHOWN = """\
--------- 06:47:32.177571925 cpu 1 ---------
iface_input: iface=pe-e-100 mode=VRF
ip_input: 10.1.0.3 > 10.2.0.4 ttl=64 proto=ICMP(1)
iface_output: iface=vx100
vxlan_output: vni=100 vtep=100.64.0.2
ip_output: 100.64.0.1 > 100.64.0.2 ttl=64 proto=UDP(17)
iface_output: iface=eth1

--------- 06:47:32.957581909 cpu 1 ---------
iface_input: iface=eth1 mode=VRF
ip_input: 10.2.0.40 > 110.2.0.4 ttl=64 proto=ICMP(1)

--------- 06:47:33.647590741 cpu 1 ---------
iface_input: iface=eth1 mode=VRF
ip6_input: 2001:db8:2::4 > 2001:db8:1::3 ttl=64 proto=ICMPv6(58)
"""

GRCLI = """\
#!/bin/sh
echo "$@" >> {directory}/calls
case "$*" in
    *"interface show"*) printf 'NAME ID\\nmain 1\\neth1 4\\nvx100 7\\npe-e-100 5\\n' ;;
    *"trace show"*) cat {directory}/shown; : > {directory}/shown ;;
    *"trace enable iface eth1"*) exit {code} ;;
esac
"""


@pytest.fixture
def grcli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Return what puts a grcli on the path; its `enable` ends with the given exit code."""

    def install(code: int = 0) -> Path:
        program = tmp_path / "grcli"
        program.write_text(GRCLI.format(directory=tmp_path, code=code))
        program.chmod(0o755)
        (tmp_path / "shown").write_text(SHOWN)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.setattr(grouttrace, "LOOK_S", 0.01)
        return tmp_path / "calls"

    return install


@pytest.mark.parametrize(
    ("address", "number"),
    [("10.2.0.4", 1), ("10.2.0.40", 1), ("100.64.0.2", 1), ("2001:db8:2::4", 1), ("10.2.0", 0)],
)
def test_a_packet_is_shown_if_it_has_the_address(address: str, number: int) -> None:
    assert len(list(grouttrace.packets(SHOWN, address))) == number


def test_packets_are_counted_on_every_interface_and_tracing_ends(
    grcli: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = grcli()
    seen = grouttrace.watch("/g.sock", "10.2.0.4", ["pe-e-100", "br100", "vx100", "eth1"], 0.2)
    assert seen == {"pe-e-100": 1, "vx100": 1, "eth1": 1}
    shown = capsys.readouterr().out
    assert shown.startswith("traced in grout: pe-e-100, vx100, eth1\n--------- 06:47:32.17")
    assert "10.2.0.40" not in shown
    made = calls.read_text().splitlines()
    assert made[-3:] == [
        f"-e -s /g.sock trace disable iface {name}" for name in ("pe-e-100", "vx100", "eth1")
    ]


def test_what_grout_refuses_is_one_sentence(
    grcli: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    grcli(1)
    with pytest.raises(SystemExit):
        grouttrace.watch("/g.sock", "10.2.0.4", ["eth1"], 0.2)
    assert "trace enable iface eth1: exit code 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        grouttrace.watch("/g.sock", "10.2.0.4", ["eth9"], 0.2)
    assert "none of the interfaces on the way: eth9" in capsys.readouterr().err


def test_the_datapath_names_its_socket(
    daemon: Daemon, grcli: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    calls = grcli()
    daemon.view.state = replace(daemon.view.state, datapath="dpdk")
    words = ("trace", "10.2.9.9", "--vrf", "red", "--seconds", "1")
    assert "does not report grout's socket" in daemon.run(*words).err
    assert not calls.exists()
    facts = replace(FACTS, values=(*FACTS.values, ("socket", "/g.sock")))
    monkeypatch.setattr("tests.fakes.view.FACTS", facts)
    result = daemon.run(*words)
    assert (result.code, result.err) == (0, "")
    assert result.out.endswith("seen: vx100 0, eth1 0\n")
    assert "-e -s /g.sock trace enable iface eth1" in calls.read_text()
