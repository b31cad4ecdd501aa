from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualpath.model.kinds import Kind
from dualpath.model.links import Address, HostEnd, Port
from dualpath.model.routes import Family
from dualpath.model.view import (
    BgpSession,
    Change,
    Difference,
    FrrVni,
    PlaneStatus,
    Problem,
    ResourceStatus,
    Role,
    RowState,
)
from tests.fakes.view import NOW, FakeRoute
from tests.unit.controller.cli.conftest import Daemon, run
from tests.unit.controller.intent.build import underlay

LISTS = ["routes", "nexthops", "macs", "neighbors", "vteps", "vnis", "vrfs", "ports", "lsps"]


def test_status_shows_counts_and_resources(daemon: Daemon) -> None:
    text = "vni 0 is out of range"
    broken = ResourceStatus("L3VNI", "red", False, "ValidationFailed", text, 3, 2)
    daemon.view.state = replace(daemon.view.state, resources=(broken,), ready=False, not_ready="x")
    result = daemon.run("status")
    assert result.code == 0
    assert "ready       no: x" in result.out
    assert "L3VNI/red  no: ValidationFailed  2, not 3    vni 0 is out of range" in result.out
    shown = json.loads(daemon.run("status", "-o", "json").out)
    assert shown["datapath"] == "kernel"
    assert shown["resources"][0]["applied_generation"] == 2


def status_lines(daemon: Daemon, **changes: Any) -> list[str]:  # noqa: ANN401
    daemon.view.state = replace(daemon.view.state, **changes)
    return daemon.run("status").out.splitlines()


def test_status_counts_unmanaged_rows_apart(daemon: Daemon) -> None:
    lines = [line.split() for line in status_lines(daemon)]
    assert ["ROWS", "DESIRED", "PROGRAMMED", "UNMANAGED", "FAILED", "STALE"] in lines
    assert ["route", "6", "5", "2", "1", "0"] in lines
    assert "lsp" in {line[0] for line in lines if line}
    assert "ethernet-segment" not in {line[0] for line in lines if line}


@pytest.mark.parametrize(
    ("why", "shown"),
    [
        ("frr-bridge is not connected", "starting: waiting for frr-bridge"),
        ("BGP has not converged", "starting: waiting for BGP to converge"),
        ("waiting for FRR to finish its replay", "starting: waiting for FRR to finish its replay"),
    ],
)
def test_start_is_not_shown_as_a_failure(daemon: Daemon, why: str, shown: str) -> None:
    changes = {"ready": False, "not_ready": why, "started_at": time.time() - 12}
    assert re.fullmatch(rf"ready +{shown}, 1[2-9] s", status_lines(daemon, **changes)[0])
    long = {**changes, "started_at": time.time() - 200}
    assert status_lines(daemon, **long)[0] == f"ready       no: {why}"


def test_silent_datapath_is_not_shown_as_a_start(daemon: Daemon) -> None:
    daemon.view.unavailable = "timeout"
    changes = {"ready": False, "not_ready": "x", "started_at": time.time()}
    assert status_lines(daemon, **changes)[0] == "ready       no: x"


def test_status_shows_what_is_on_trial(daemon: Daemon) -> None:
    assert not any(line.startswith("trial") for line in status_lines(daemon))
    sentence = "run `dualpath confirm` within 42 s, or everything is given back"
    assert f"trial       {sentence}" in status_lines(daemon, trial=sentence)


@pytest.mark.parametrize(
    ("peer", "reason", "shown"),
    [
        ("10.1.0.3", "Waiting for peer OPEN", "the host does not speak BGP; nothing to do unless"),
        ("10.1.0.3", "", "the host does not speak BGP; nothing to do unless"),
        ("fd00::3", "", "the host does not speak BGP; nothing to do unless"),
        ("10.1.0.3", "Hold Timer Expired", "Hold Timer Expired"),  # it spoke BGP before
        (
            "192.0.2.1",
            "Waiting for peer OPEN",
            "Waiting for peer OPEN",
        ),  # a fabric peer must speak BGP
    ],
)
def test_status_shows_why_a_host_session_is_down(
    daemon: Daemon, peer: str, reason: str, shown: str
) -> None:
    ends = tuple(Address.parse(text) for text in ("10.1.0.3/24", "fd00::3/64"))
    daemon.view.add(Port("h2", vrf="red", host=HostEnd(name="red1", addresses=ends)))
    session = BgpSession("red", peer, 65100, "Active", reason=reason)
    [line] = [line for line in status_lines(daemon, sessions=(session,)) if peer in line]
    assert shown in line


def test_status_and_vnis_agree_on_vteps(daemon: Daemon) -> None:
    vnis = tuple(FrrVni(vni, layer, "red", up=True) for vni, layer in ((100, 3), (210, 2)))
    lines = [line.split() for line in status_lines(daemon, vnis=vnis)]
    listed = json.loads(daemon.run("vnis", "-o", "json").out)
    assert all(row["vteps"] for row in listed)
    for row in listed:
        [shown] = [line for line in lines if line[:2] == [str(row["vni"]), str(row["layer"])]]
        assert int(shown[-1]) == len(row["vteps"])


def test_status_shows_what_frr_has(daemon: Daemon) -> None:
    sessions = (
        BgpSession("default", "192.0.2.1", 65000, "Established", NOW, received=7, sent=3),
        BgpSession(
            "red", "10.1.0.3", 65100, "Active", reason="Peer closed the session", bfd="Down"
        ),
    )
    vnis = (FrrVni(100, 3, "red", up=True, vteps=2),)
    daemon.view.state = replace(daemon.view.state, sessions=sessions, vnis=vnis)
    lines = [line.split() for line in daemon.run("status").out.splitlines()]
    assert [
        "red",
        "10.1.0.3",
        "65100",
        "Active",
        "Down",
        "-",
        "0",
        "0",
        *sessions[1].reason.split(),
    ] in lines
    assert ["100", "3", "red", "up", "0", "0", "1"] in lines
    shown = json.loads(daemon.run("status", "-o", "json").out)
    assert "since" not in shown["sessions"][1]
    assert shown["vnis"][0]["up"]


@pytest.mark.parametrize("command", LISTS)
def test_every_list_has_every_output_format(daemon: Daemon, command: str) -> None:
    rows = json.loads(daemon.run(command, "-o", "json").out)
    assert rows
    assert yaml.safe_load(daemon.run(command, "-o", "yaml").out) == rows
    table, wide = daemon.run(command), daemon.run(command, "-o", "wide")
    assert len(table.out.splitlines()) == len(wide.out.splitlines()) == len(rows) + 1
    assert len(wide.out) > len(table.out)
    assert (table.code, table.err) == (0, "")


@pytest.mark.parametrize("command", LISTS)
def test_empty_list_is_valid_json_and_yaml_and_no_text(daemon: Daemon, command: str) -> None:
    nothing = [command, "--state", "leaving"]
    assert json.loads(daemon.run(*nothing, "-o", "json").out) == []
    assert yaml.safe_load(daemon.run(*nothing, "-o", "yaml").out) == []
    assert daemon.run(*nothing).out == ""


def test_routes_are_sorted_and_never_cut(daemon: Daemon) -> None:
    daemon.view.add_routes(FakeRoute("9.0.0.0/8", 4, 4, vrf="red"))
    lines = daemon.run("routes").out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == [
        "192.0.2.0/31",
        "192.0.2.12/32",
        "198.51.100.0/24",
        "0.0.0.0/0",
        "9.0.0.0/8",
        "10.1.0.0/24",
        "10.2.0.0/16",
        "10.2.3.0/24",
        "2001:db8:2::/64",
    ]
    assert "via 192.0.2.1 dev eth1 weight 1, via 192.0.2.3 dev eth2 weight 2" in lines[2]
    assert "failed: ENOSPC" in lines[8]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["routes", "--vrf", "red", "--family", "ipv6"], 1),
        (["routes", "10.2.0.0/16", "--longer", "--vrf", "red"], 2),
        (["routes", "--vni", "100", "--state", "failed", "--state", "stale"], 1),
        (["routes", "--nexthop", "3"], 1),
        (["routes", "--limit", "2"], 2),
        (["nexthops", "--vrf", "red", "--vni", "100", "--family", "ipv4"], 1),
        (["macs", "--vrf", "default"], 0),
    ],
)
def test_lists_are_filtered(daemon: Daemon, arguments: list[str], count: int) -> None:
    assert len(json.loads(daemon.run(*arguments, "-o", "json").out)) == count


def test_truncated_list_reports_it(daemon: Daemon) -> None:
    assert "--limit" in daemon.run("macs", "--limit", "1").err
    assert "--limit" in daemon.run("routes", "--limit", "1").err


def test_ports_report_a_silent_datapath(daemon: Daemon) -> None:
    daemon.view.unavailable = "timeout"
    result = daemon.run("ports")
    assert result.code == 0
    assert "timeout" in result.err


def test_explain_follows_an_address_to_its_nexthop(daemon: Daemon) -> None:
    result = daemon.run("explain", "10.2.3.4", "--vrf", "red")
    assert "to VTEP 192.0.2.12 in VNI 100, inner MAC 02:00:00:00:00:c8" in result.out
    assert "out of eth1, eth2" in result.out
    assert "  - the datapath refused 10.2.3.0/24: ENOSPC" in result.out
    assert "observed    this datapath has no lookup" in result.out
    assert "198.51.100.0/24  bgp  programmed" in daemon.run("explain", "198.51.100.7").out
    answer = json.loads(daemon.run("explain", "10.2.9.9", "--vrf", "red", "-o", "json").out)
    assert answer["problems"] == []


def test_explain_is_short_when_all_views_agree(daemon: Daemon) -> None:
    short = daemon.run("explain", "10.2.9.9", "--vrf", "red").out.splitlines()
    assert short[0] == "10.2.9.9 in VRF red: 10.2.0.0/16  bgp  programmed"
    assert "  via 192.0.2.12 vni 100" in short
    assert "no problems: FRR, desired and programmed agree" in short
    assert short[-1] == "not observed: this datapath has no lookup"
    wide = daemon.run("explain", "10.2.9.9", "--vrf", "red", "-o", "wide").out
    assert all(f"\n{view:<12}" in wide for view in ("frr", "desired", "programmed", "observed"))
    assert "no problems" in wide


def test_resync_and_release_report_what_they_did(daemon: Daemon) -> None:
    assert daemon.run("resync").out == "nothing differed\n"
    daemon.view.differed = 2
    assert daemon.run("resync").out == "2 rows differed and were put right\n"
    assert daemon.run("release").out == "nothing is held\n"


def test_silent_datapath_is_reported_in_one_sentence(daemon: Daemon) -> None:
    daemon.view.unavailable = "timeout"
    result = daemon.run("resync")
    assert (result.code, result.err) == (1, "dualpath: the datapath does not answer: timeout\n")


@pytest.mark.parametrize("output", ["table", "wide", "json", "yaml"])
def test_watch_prints_each_change_at_once(
    daemon: Daemon, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Change(0, NOW, Kind.ROUTE, "10.0.0.0/24", "red", RowState.LEAVING, True, "said zebra")
    daemon.soon(lambda: daemon.view.happen(gone))
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if "said zebra" in line:
            raise KeyboardInterrupt

    monkeypatch.setattr("controller.cli.watch._write", write)
    assert daemon.run("watch", "--after", "0", "-o", output).code == 130
    assert "10.0.0.0/24" in lines[-1]
    if output == "json":
        assert json.loads(lines[-1])["withdrawn"]
    if output in ("table", "wide"):
        assert " gone " in lines[-1]


@pytest.mark.parametrize("command", LISTS)
def test_every_list_accepts_every_filter(daemon: Daemon, command: str) -> None:
    filters = ["--vrf", "red", "--vni", "100", "--family", "ipv6", "--state", "failed"]
    assert daemon.run(command, *filters, "--limit", "1", "-o", "json").out.strip() == "[]"


@pytest.mark.parametrize("command", [*LISTS, "watch"])
def test_unknown_vrf_or_vni_is_refused_with_the_existing_names(
    daemon: Daemon, command: str
) -> None:
    for output in ("table", "json"):
        result = daemon.run(command, "--vrf", "blue", "-o", output)
        assert (result.code, result.out) == (1, "")
        assert result.err == "dualpath: no VRF 'blue'; existing: default, red\n"
    result = daemon.run(command, "--vni", "999")
    assert (result.code, result.err) == (1, "dualpath: no VNI is 999; there are: 100, 210\n")


def test_vrf_without_manifests_is_known_by_its_routes(daemon: Daemon) -> None:
    daemon.view.add_routes(FakeRoute("9.0.0.0/8", 4, 4, vrf="green"))
    result = daemon.run("macs", "--vrf", "green", "-o", "json")
    assert (result.code, json.loads(result.out)) == (0, [])


def test_one_port_is_shown_by_its_name(daemon: Daemon) -> None:
    [row] = json.loads(daemon.run("ports", "eth1", "-o", "json").out)
    assert row["name"] == "eth1"
    result = daemon.run("ports", "eth9")
    assert (result.code, result.err.count("there are: eth1, eth2, h1, lo")) == (1, 1)


def test_watch_accepts_the_filters_of_lists(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        if len(lines) > 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("controller.cli.watch._write", write)
    for family in (Family.INET, Family.INET6):
        new = Change(
            0, NOW, Kind.ROUTE, family.name, "red", RowState.PROGRAMMED, False, "", None, family
        )
        daemon.view.happen(new)
    filters = ["--vrf", "red", "--vni", "100", "--family", "ipv6", "--state", "programmed"]
    assert daemon.run("watch", "--after", "0", *filters).code == 130
    assert "INET6" in lines[-1]


def test_watch_for_an_impossible_state_is_refused_in_one_sentence(daemon: Daemon) -> None:
    result = daemon.run("watch", "--state", "stale")
    assert result.code == 2
    states = "programmed, failed, unmanaged"
    assert result.err.startswith(f"dualpath: --state: 'stale' is not one of {states}; ")
    assert result.err.count("\n") == 1


def test_address_with_a_zone_is_refused(daemon: Daemon) -> None:
    result = daemon.run("explain", "fe80::1%eth1")
    assert (result.code, result.err.count("did you mean")) == (2, 0)


def test_watch_from_before_the_journal_is_refused_in_one_sentence(daemon: Daemon) -> None:
    daemon.view.forgotten = 10
    result = daemon.run("watch", "--after", "5")
    assert result.code == 1
    assert result.err.startswith("dualpath: the journal no longer has change 5")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["routes", "10.0.0.1/8"], 2),
        (["routes", "--longer"], 2),
        (["explain", "nonsense"], 2),
        (["explain", "10.0.0.1", "--vrf", "blue"], 1),
    ],
)
def test_refusal_by_the_daemon_is_one_sentence(
    daemon: Daemon, arguments: list[str], code: int
) -> None:
    result = daemon.run(*arguments)
    assert result.code == code
    assert result.err.startswith("dualpath: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["routes", "--family", "ipv5"],
        ["routes", "--state", "lost"],
        ["macs", "--vni", "0"],
        ["routes", "--nexthop", "-1"],
        ["routes", "--nexthop", "99999999999"],
        ["routes", "--limit", "99999999999"],
        ["watch", "--after", "99999999999999999999999"],
        ["nonsense"],
        ["explain"],
        ["--nonsense"],
        ["routes", "--nonsense"],
        ["routes", "-o", "xml"],
        ["validate"],
        ["validate", "/dev/null", "--node-index", "-1"],
        ["validate", "/dev/null", "--node-index", "4294967296"],
        ["routes", "--vrf", "\udcff"],
        ["--connect", "nonsense", "status"],
        ["--connect", "192.0.2.1:5555", "status"],
        ["--connect", "192.0.2.1:5555", "--ca", "/dev/null", "status"],
    ],
)
def test_invalid_command_line_is_refused_in_one_sentence(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith("dualpath: ")


def test_usage_error_names_the_help_option() -> None:
    assert run("macs", "-o", "xml").err == (
        "dualpath: -o/--output: 'xml' is not one of table, wide, json, yaml; "
        "see `dualpath macs --help`\n"
    )


def test_number_out_of_range_is_refused_with_the_range() -> None:
    assert run("macs", "--vni", "0").err == (
        "dualpath: --vni: '0': give a number from 1 to 16777215; see `dualpath macs --help`\n"
    )


@pytest.mark.parametrize("output", ["table", "json"])
def test_full_disk_is_reported_in_one_sentence(tmp_path: Path, output: str) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(underlay()))
    command = [sys.executable, "-m", "controller.cli", "render", str(tmp_path), "-o", output]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dualpath: standard output: No space left on device\n"


def test_missing_command_shows_the_help() -> None:
    result = run()
    assert result.code == 2
    assert "Rows:\n  routes" in result.err


def test_absent_daemon_is_reported_in_one_sentence_with_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    for listen in (f"unix:{path}", f"unix://{path}", str(path), str(stale)):
        result = run("--connect", listen, "status")
        assert result.code == 1
        assert result.err.startswith(f"dualpath: no daemon listens on {tmp_path}")
        assert "--connect or DUALPATH_CONNECT" in result.err
        assert result.err.count("\n") == 1


def test_absent_daemon_on_tcp_is_reported_in_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{unused.getsockname()[1]}"
        result = run("--connect", listen, "status")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert f"no daemon answers at {listen}" in result.err


def test_environment_variable_names_the_daemon(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALPATH_CONNECT", daemon.listen)
    assert run("status").code == 0


@pytest.mark.parametrize("command", ["status", *LISTS, "watch", "explain", "resync", "release"])
def test_help_has_an_example(command: str) -> None:
    assert f"dualpath {command}" in run(command, "--help").out.partition("\n")[2]


def test_audit_reports_what_it_could_not_compare(daemon: Daemon) -> None:
    daemon.view.unchecked = "FRR's own view (frr-bridge is not connected)"
    shown = f"not compared: {daemon.view.unchecked}\nnothing differs elsewhere\n"
    assert (daemon.run("audit").code, daemon.run("audit").out) == (2, shown)
    assert json.loads(daemon.run("audit", "-o", "json").out)["unchecked"] == daemon.view.unchecked


def test_two_datapaths_are_named_in_status_and_audit(daemon: Daemon) -> None:
    daemon.view.state = replace(
        daemon.view.state,
        planes=(
            PlaneStatus("kernel", Role.STANDBY, 12, 12),
            PlaneStatus("dpdk", Role.ACTIVE, 12, 11, 1, ports=("eth1", "pe-e-100")),
        ),
    )
    shown = daemon.run("status").out
    assert "kernel  standby  12       12          0       -               -" in shown
    assert "dpdk    active   12       11          1       eth1, pe-e-100  -" in shown
    told = json.loads(daemon.run("status", "-o", "json").out)["datapaths"]
    assert [(it["name"], it["role"]) for it in told] == [
        ("kernel", "PLANE_ROLE_STANDBY"),
        ("dpdk", "PLANE_ROLE_ACTIVE"),
    ]
    daemon.view.differences = [
        Difference(Kind.ROUTE, "red", "10.1.0.0/16", Problem.MISSING, datapath="dpdk")
    ]
    assert daemon.run("audit").out == "missing     dpdk route red 10.1.0.0/16\n"


def test_audit_shows_a_limited_number_of_rows_and_counts_all(daemon: Daemon) -> None:
    assert (daemon.run("audit").code, daemon.run("audit").out) == (0, "nothing differs\n")
    daemon.view.differences = [
        Difference(Kind.ROUTE, "red", f"10.{n}.0.0/16", Problem.REFUSED) for n in range(3)
    ]
    result = daemon.run("audit", "--limit", "1")
    assert (result.code, result.out) == (1, "refused     route red 10.0.0.0/16\nand 2 more\n")
    shown = json.loads(daemon.run("audit", "-o", "json").out)
    assert (shown["differed"], len(shown["rows"])) == (3, 3)
    assert shown["rows"][0]["problem"] == "AUDIT_PROBLEM_REFUSED"
