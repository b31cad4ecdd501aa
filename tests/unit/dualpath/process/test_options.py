"""Every option of every program rejects invalid values in one sentence with its name; exit code 2.

The options come from the parsers themselves, so a new one is tried too, and has to be in the table
of what its own kind of value must refuse.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from controller.__main__ import main as controller
from controller.cli.__main__ import load, top
from controller.cli.__main__ import main as dualpath
from controller.cli.catalogue import CATALOGUE
from controller.operator.__main__ import main as operator
from datapaths.grout.agent import main as grout_agent
from datapaths.remote.serve import main as serve
from dualpath.process import options
from frr_bridge.__main__ import main as frr_bridge

EMPTY = ["", " ", "\t"]
UNPRINTABLE = ["a\nb", "a\x1b[1m", "a\x7f", "a\u2028b"]
NAMESPACE = ["a b", "a/b", ".", "..", "-x", "/tmp", "n" * 256]
LONG = "/tmp/" + "x" * 110
FILE = ["/none", "/tmp", "none.pem"]
ENDPOINT = ["127.0.0.1", ":1", "127.0.0.1:", "127.0.0.1:0x1", "::1:9100", "[127.0.0.1]:9100"]
PORTS = ["127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:1.5", "127.0.0.1:x"]
LISTEN = ["unix:", "unix:rel", f"unix:{LONG}", "0.0.0.0:5000", "[::]:5000", *ENDPOINT, *PORTS]
FPM = [*ENDPOINT, *PORTS, "127.0.0.1:0", "localhost:2620", "[::1%lo:2620"]
SECONDS = ["x", "-1", "-0.1", "nan", "inf", "-inf", "1e999", "1_0", "1s", "٣"]
DEVICE = ["n" * 16, "a/b", "a b", "a:b", "-x"]
INDEX = ["x", "-1", "4294967296", "1.5"]
NODE = ["a b", "a/b", "-x", "n" * 254]
LABEL = ["A", "a_b", "-a", "a-", "a.b", "a/b", "n" * 64]
UINT = ["x", "-1", "4294967296", "1.5"]

SPECIFIC: dict[str, list[str]] = {
    # the daemons
    "--agent": ["foo", "unix:rel", "192.0.2.1:7", *ENDPOINT, *PORTS],
    "--agent-ca": FILE,
    "--agent-cert": FILE,
    "--agent-key": FILE,
    "--bridge": ["no", "Child"],
    "--cni-bin": [],
    "--cri-socket": ["/tmp", LONG],
    "--config": [],
    "--datapath": ["magic", "KERNEL"],
    "--fpm": FPM,
    "--frr-name": ["a/b", "../x", "-N", ".x", "a b", "n" * 65],
    "--frr-netns": NAMESPACE,
    "--frr-pod": ["a=b", "a/b", "/a=b", "a/=b", "A/b=c", "a/b=", "a/b=-", "a/B/c=d", "a/b=c,d=e"],
    "--grout-cpus": ["x", "1-", "3-1", "1,,2", "-1", "1 2"],
    "--grout-max-mtu": ["x", "0", "-1", "1279", "65536", "1e4"],
    "--grout-memory": ["lots", "AUTO"],
    "--grout-netns": NAMESPACE,
    "--grout-sock": ["/tmp", LONG],
    "--confirm-within": [*SECONDS, "0", "0.5"],
    "--hold": SECONDS,
    "--host-netns": NAMESPACE,
    "--kubeconfig": FILE,
    "--mirror": ["/etc/passwd"],
    "--listen": LISTEN,
    "--log-format": ["xml"],
    "--log-level": ["loud", "INFO"],
    "--metrics": FPM,
    "--address-file": [],
    "--ui": LISTEN,
    "--host-limit": ["x", "-1", "2147483648", "1.5"],
    "--neighbor-limit": ["x", "-1", "2147483648", "1.5"],
    "--netns": NAMESPACE,
    "--node-index": INDEX,
    "--node-name": NODE,
    "--record": [],
    "--secrets": ["/etc/passwd"],
    "--fleet": ["/etc/passwd"],
    "--seconds": ["x", "0", "-1", "3601"],
    "--state-dir": [LONG, "/etc/passwd"],
    "--tls-ca": FILE,
    "--tls-cert": FILE,
    "--tls-key": FILE,
    # the operator
    "--identity": NODE,
    "--lease": LABEL,
    "--lease-seconds": ["x", "0", "5", "3601", "-1", "1.5"],
    "--namespace": LABEL,
    "--secret": LABEL,
    "--service": LABEL,
    "--webhook": FPM,
    "--webhook-configuration": LABEL,
    # dualpath
    "--after": ["x", "-1", "18446744073709551616"],
    "--against": [],
    "--back-after": ["x", "0", "0s", "-1", "25h", "1d", "1.5m", "s"],
    "--ca": FILE,
    "--cert": FILE,
    "--connect": ["x", "unix:rel", "unix:", "localhost:", "::1:50051", *PORTS],
    "--device": DEVICE,
    "--family": ["ipx", "IPV4"],
    "--interval": ["x", "0", "61"],
    "--file": [],
    "--log": [],
    "--key": FILE,
    "--kind": ["great"],
    "--limit": ["x", "0", "-1", "4294967296"],
    "--nexthop": UINT,
    "--nodes": [",", "-oProxyCommand=x", "a b"],
    "--only": [],
    "--port": DEVICE,
    "--output": ["xml", "JSON"],
    "--speed": SECONDS,
    "--state": ["great"],
    "--until": SECONDS,
    "--underlay-mtu": ["x", "1279", "65536"],
    "--vni": ["x", "0", "16777216"],
    "--vrf": DEVICE,
}
NEEDED = {
    "controller": ["--datapath=kernel"],
    "serve": ["--datapath=memory"],
}
ARGUMENTS = {
    "explain": ["10.0.0.1"],
    "trace": ["10.0.0.1"],
    "conformance": ["unix:/none"],
    "replay": ["/none"],
    "switch": ["dpdk"],
}


@dataclass(frozen=True)
class Case:
    program: Callable[[], None]
    option: str
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


class _Seen(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parser_of(program: Callable[[], None]) -> argparse.ArgumentParser:
    """Return the parser of a program, just before it parses the command line."""

    def stop(self: argparse.ArgumentParser, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        raise _Seen(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options.Parser, "parse_args", stop)
        patch.setattr(sys, "argv", ["program"])
        try:
            program()
        except _Seen as seen:
            return seen.parser
    raise AssertionError("it has no parser")


def daemons() -> Iterator[tuple[str, Case]]:
    programs = {
        "controller": controller,
        "frr-bridge": frr_bridge,
        "grout-agent": cast("Callable[[], None]", grout_agent),
        "serve": cast("Callable[[], None]", serve),
        "dualpath-operator": operator,
    }
    for name, program in programs.items():
        for action in parser_of(program)._actions:
            if action.option_strings and action.nargs != 0:
                option = action.option_strings[-1]
                needed = [a for a in NEEDED.get(name, []) if not a.startswith(f"{option}=")]
                if option.startswith(("--agent", "--grout")) and name == "controller":
                    needed = ["--datapath=dpdk", "--start-grout"]
                yield f"{name} {option}", Case(program, option, needed)


def commands() -> Iterator[tuple[str, Case]]:
    for option in _valued(top()):
        yield f"dualpath {option}", Case(dualpath, option, [], ["status"])
    for name in CATALOGUE:
        parser = load(name).parser
        paths = ["/dev/null"] if any(a.dest == "paths" for a in parser._actions) else []
        for option in _valued(parser):
            after = [*ARGUMENTS.get(name, []), *paths]
            yield f"dualpath {name} {option}", Case(dualpath, option, [name], after)


def _valued(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.option_strings and action.nargs != 0:
            yield max(action.option_strings, key=len)


CASES = dict([*daemons(), *commands()])


def refusal_of(
    case: Case, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    given = [*case.before, f"{case.option}={value}", *case.after]
    monkeypatch.setattr(sys, "argv", ["program", *given])
    with pytest.raises(SystemExit) as ended:
        case.program()
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (2, ""), given
    return printed.err


def test_every_option_that_takes_a_value_is_in_the_table() -> None:
    assert {case.option for case in CASES.values()} == set(SPECIFIC)


@pytest.mark.parametrize("name", CASES)
def test_option_rejects_values_invalid_for_any_option(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in [*EMPTY, *UNPRINTABLE]:
        refusal = refusal_of(CASES[name], value, monkeypatch, capsys)
        assert CASES[name].option in refusal, value
        assert refusal.count("\n") == 1, value


@pytest.mark.parametrize("name", CASES)
def test_option_rejects_values_invalid_for_its_type(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in SPECIFIC[CASES[name].option]:
        refusal = refusal_of(CASES[name], value, monkeypatch, capsys)
        named = CASES[name].option in refusal or CASES[name].option in ("--connect", "--agent")
        assert named or refusal.startswith("dualpath: "), value
        assert refusal.count("\n") == 1, value
        assert "Traceback" not in refusal


@pytest.mark.parametrize("host", ["::", "0::0"])
def test_server_on_every_ipv6_address_listens_for_ipv4_as_well(host: str) -> None:
    assert options.listening_host(host) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "::1", "2001:db8::1", "localhost"])
def test_server_on_another_address_listens_there_alone(host: str) -> None:
    assert options.listening_host(host) == host
