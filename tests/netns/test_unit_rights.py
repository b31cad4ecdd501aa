"""The controller starts with the rights of its systemd unit, and creates its devices."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datapaths.linux import netns
from tests.netns.namespaces import fresh, run
from tests.netns.test_starting import refused

pytestmark = pytest.mark.netns

UNIT = Path(__file__).parents[2] / "packaging" / "dualpath.service"
CONTROL, FORWARDING = "dp-unit-frr", "dp-unit-fwd"
MANIFEST = f"""\
apiVersion: dualpath.io/v1alpha1
kind: Node
metadata: {{name: pe1}}
spec:
  nodeIndex: 1
  namespaces: {{control: {CONTROL}, forwarding: {FORWARDING}}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {{name: fabric}}
spec:
  asn: 65001
  interfaces:
  - type: NetworkDevice
    networkDevice: {{interfaceName: eth1}}
  neighbors:
  - asn: 65000
    address: 192.168.1.0
  tunnelEndpoint:
    cidrs: [100.64.0.0/24]
"""
DONE = (  # the NIC is moved, all devices are made, frr-bridge answers
    "port eth1 is ",
    "subscribed to frr-bridge",
    "FRR's configuration",
)
WITHOUT_EXECUTABLE_MEMORY = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE, where the kernel has it
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def home() -> Iterator[str]:
    try:
        with fresh("home") as (name,):
            run(f"ip -n {name} link add eth1 type veth peer name far")
            run(f"ip -n {name} link set eth1 up")
            yield name
    finally:
        for name in (CONTROL, FORWARDING):
            netns.remove(name)


def capabilities() -> str:
    found = " ".join(re.findall(r"^CapabilityBoundingSet=(.+)$", UNIT.read_text(), re.MULTILINE))
    return ",".join(["-all", *(f"+{c.removeprefix('CAP_').lower()}" for c in found.split())])


def test_controller_starts_with_the_capabilities_of_its_unit(home: str, tmp_path: Path) -> None:
    manifest = tmp_path / "node.yaml"
    manifest.write_text(MANIFEST)
    log = tmp_path / "log"
    command = [
        *("nsenter", f"--net=/run/netns/{home}", "--"),
        *(shutil.which("setpriv") or "setpriv", "--bounding-set", capabilities()),
        *("--inh-caps=-all", "--no-new-privs", "--"),
        *(sys.executable, "-c", WITHOUT_EXECUTABLE_MEMORY),
        *(sys.executable, "-P", "-m", "controller", "--datapath=kernel"),
        *(f"--config={manifest}", f"--state-dir={tmp_path / 'state'}"),
        *("--fpm=127.0.0.1:2699", f"--listen=unix:{tmp_path / 'inspect.sock'}"),
    ]
    with log.open("wb") as output:
        controller = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 40.0
        while not all(line in log.read_text() for line in DONE):
            assert controller.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
    finally:
        controller.terminate()
        controller.wait(20)
    assert netns.isolated(CONTROL)
    assert "not permitted" not in log.read_text()
    assert "EPERM" not in log.read_text()


def test_command_without_root_is_refused() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to stop being root")
    interpreter = Path(sys.executable).resolve()
    if not os.access(interpreter, os.X_OK) or str(interpreter).startswith("/root"):
        pytest.skip("this Python cannot be run by another user")
    assert "only root" in refused("--frr-netns=x", uid=65534)
