"""Starts that must fail do so with one sentence that says what to do, and an exit code."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from datapaths.linux import netns
from tests.fakes.grout import listening

pytestmark = [pytest.mark.netns, pytest.mark.program]

NO_SPEC = """\
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {name: a}
spec: {asn: 0}
"""
FRR, FORWARDING, MADE_FORWARDING, MADE_FRR = (
    f"dp-{os.getpid()}-{name}" for name in ("frr", "fwd", "made", "made-frr")
)


@pytest.fixture
def namespaces() -> Iterator[None]:
    for name in (FRR, FORWARDING):
        netns.create(name)
    try:
        yield
    finally:
        for name in (FRR, FORWARDING):
            netns.remove(name)


def refused(*arguments: str, uid: int | None = None, errors: int = 1) -> str:
    """Run a controller that must refuse to start; return its first error."""
    with TemporaryDirectory() as own:  # nothing that a running product has
        defaults = f"--state-dir={own}", f"--listen=unix:{own}/inspect.sock"
        done = subprocess.run(
            [sys.executable, "-m", "controller", "--datapath=kernel", *defaults, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            user=uid,
        )
    assert done.returncode != 0
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == errors, done.stderr
    return lines[0]


def test_equal_forwarding_and_control_namespace_is_refused(
    namespaces: None, tmp_path: Path
) -> None:
    said = refused(f"--frr-netns={FRR}", f"--netns={FRR}", f"--state-dir={tmp_path}")
    assert "are the same" in said
    assert "--frr-netns" in said


def test_controllers_own_namespace_for_both_is_refused(tmp_path: Path) -> None:
    said = refused("--netns=/proc/self/ns/net", f"--state-dir={tmp_path}")
    assert "are the same" in said


@pytest.mark.parametrize("option", ["--netns", "--frr-netns"])
def test_namespace_that_does_not_exist_is_named(
    namespaces: None, tmp_path: Path, option: str
) -> None:
    names = {"--frr-netns": FRR, "--netns": FORWARDING} | {option: "dp-start-none"}
    said = refused(*(f"{key}={value}" for key, value in names.items()), f"--state-dir={tmp_path}")
    assert "no network namespace dp-start-none" in said
    assert "ip netns add dp-start-none" in said


def test_port_in_use_is_named(namespaces: None, tmp_path: Path) -> None:
    with netns.entered(FRR):
        taken = socket.create_server(("127.0.0.1", 2620))
    with taken:
        said = refused(f"--frr-netns={FRR}", f"--netns={FORWARDING}", f"--state-dir={tmp_path}")
    assert "127.0.0.1:2620" in said
    assert "--fpm" in said


def test_stale_bus_socket_does_not_hide_that_the_port_is_in_use(
    namespaces: None, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "bus.sock"))
    test_port_in_use_is_named(namespaces, tmp_path)


def test_listener_in_use_is_named(namespaces: None, tmp_path: Path) -> None:
    path = tmp_path / "inspect.sock"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        said = refused(
            f"--frr-netns={FRR}",
            f"--netns={FORWARDING}",
            f"--state-dir={tmp_path}",
            f"--listen=unix:{path}",
        )
    assert f"{path} is in use" in said


def test_public_listener_without_tls_is_refused(namespaces: None, tmp_path: Path) -> None:
    said = refused(
        f"--frr-netns={FRR}",
        f"--netns={FORWARDING}",
        f"--state-dir={tmp_path}",
        "--listen=0.0.0.0:50051",
    )
    assert "mutual TLS" in said


@pytest.mark.parametrize(
    ("text", "why", "errors"),
    [
        ("kind: [", "manifest.yaml:", 1),
        (NO_SPEC, "Underlay a:", 3),
    ],
)
def test_invalid_manifest_is_named(
    namespaces: None, tmp_path: Path, text: str, why: str, errors: int
) -> None:
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(text)
    said = refused(f"--config={manifest}", f"--state-dir={tmp_path}", errors=errors)
    assert why in said


def test_absent_manifest_is_named(tmp_path: Path) -> None:
    said = refused(f"--config={tmp_path}/none.yaml", f"--state-dir={tmp_path}")
    assert f"{tmp_path}/none.yaml: No such file or directory" in said


def test_unwritable_state_directory_is_named(namespaces: None) -> None:
    said = refused(f"--frr-netns={FRR}", f"--netns={FORWARDING}", "--state-dir=/proc/dualpath")
    assert "--state-dir /proc/dualpath" in said


def test_missing_grout_is_named(namespaces: None, tmp_path: Path) -> None:
    there = f"--frr-netns={FRR}", f"--netns={FORWARDING}", f"--state-dir={tmp_path}"
    said = refused("--datapath=dpdk", *there, "--grout-sock", f"{tmp_path}/none.sock")
    assert f"cannot connect to grout at {tmp_path}/none.sock" in said
    assert "pass --start-grout" in said


async def test_grout_of_another_version_is_logged_once(namespaces: None, tmp_path: Path) -> None:
    there = f"--frr-netns={FRR}", f"--netns={FORWARDING}", f"--state-dir={tmp_path}"
    listen = f"--listen=unix:{tmp_path}/inspect.sock"
    async with listening(tmp_path / "grout.sock") as grout:
        grout.known = False
        told = "--datapath=dpdk", *there, listen, f"--grout-sock={tmp_path}/grout.sock"
        said = await asyncio.to_thread(refused, *told)
    assert "version" in said


def test_agent_on_another_host_requires_tls(namespaces: None, tmp_path: Path) -> None:
    there = f"--frr-netns={FRR}", f"--netns={FORWARDING}", f"--state-dir={tmp_path}"
    said = refused("--datapath=dpdk", *there, "--agent", "192.0.2.1:7443")
    assert "192.0.2.1:7443 is not on this host" in said


MADE = f"""\
apiVersion: dualpath.io/v1alpha1
kind: Node
metadata: {{name: pe1}}
spec:
  namespaces: {{forwarding: {MADE_FORWARDING}, control: {MADE_FRR}}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: RawFRRConfig
metadata: {{name: a}}
spec: {{rawConfig: ip route 192.0.2.0/24 blackhole}}
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--listen=foo"],
        ["--listen=10.0.0.1:5000"],
        ["--listen=127.0.0.1:22", "--tls-cert=/none", "--tls-key=/none", "--tls-ca=/none"],
        ["--metrics=198.51.100.1:9100"],
        ["--metrics=[2001:db8::1]:9100"],
        ["--fpm=192.0.2.1:2620"],
        ["--datapath=dpdk", "--grout-sock=/none"],
        ["--datapath=dpdk", "--agent=192.0.2.1:7443"],
    ],
)
def test_refused_start_leaves_no_namespace(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "pe1.yaml").write_text(MADE)
    refused(
        f"--config={tmp_path}/pe1.yaml",
        f"--state-dir={tmp_path}/state",
        f"--listen=unix:{tmp_path}/inspect.sock",
        *options,
    )
    assert not netns.exists(MADE_FORWARDING)
    assert not netns.exists(MADE_FRR)
