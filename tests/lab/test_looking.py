"""`dualpath trace` and `dualpath support-bundle`, as somebody types them on a PE that runs."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.lab.fabric import Fabric, Pe
from tests.lab.ping import flows
from tests.lab.plan import L3_VNI, TENANT_VRF, Datapath
from tests.lab.processes import run
from tests.lab.product import listen_address

pytestmark = [pytest.mark.lab, pytest.mark.datapaths("kernel", "dpdk", long=("dpdk",))]

SECRET = "hunter2"
STRANGER = "192.0.2.77"  # a neighbor that only this scenario configures
SECONDS = "5"
BUNDLE_S = 300.0  # fifty programs, in a guest that may have little of its one CPU left
MANIFEST = f"""\
# the old password was {SECRET}
apiVersion: network.openperouter.io/v1alpha1
kind: L3VNI
metadata: {{name: red}}
spec:
  hostSession: {{password: {SECRET}}}
"""


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_trace_shows_packets_of_the_address_on_every_device(fabric: Fabric, family: str) -> None:
    pe1, pe2 = fabric.pes
    target = pe2.routed.v4 if family == "ipv4" else pe2.routed.v6
    other = pe2.routed.v6 if family == "ipv4" else pe2.routed.v4
    pe1.routed.wait_for_ping(target, 10)
    source = pe1.routed.namespace
    with flows((source, target), (source, other)):
        shown = pe1.dualpath("trace", target, "--vrf", TENANT_VRF, "--seconds", SECONDS)
    assert other not in shown
    seen = dict(pair.split(" ") for pair in shown.splitlines()[-1][len("seen: ") :].split(", "))
    expected = {f"pe-e-{L3_VNI}", f"vx{L3_VNI}", pe1.plan.uplinks[0].nic}
    assert expected <= {name for name, number in seen.items() if int(number)}, shown[-2000:]


def test_trace_of_an_address_without_a_route_says_so(fabric: Fabric) -> None:
    pe1, _ = fabric.pes
    words = ("trace", "203.0.113.9", "--vrf", TENANT_VRF, "--seconds", "1")
    assert re.search(r"^seen: \S+ 0", pe1.dualpath(*words), re.MULTILINE)


def test_a_support_bundle_has_every_view_and_no_secret(fabric: Fabric, tmp_path: Path) -> None:
    pe1, pe2 = fabric.pes
    extra = tmp_path / "extra.yaml"
    extra.write_text(MANIFEST)
    log = tmp_path / "frr.log"
    log.write_text(f"bgpd: neighbor 192.0.2.1 password {SECRET}\n")
    bgp = f"router bgp {pe1.plan.asn}"
    pe1.router.configure(
        bgp,
        f"neighbor {STRANGER} remote-as 65099",
        f"neighbor {STRANGER} shutdown",
        f"neighbor {STRANGER} password {SECRET}",
    )
    try:
        files = bundle(pe1, tmp_path / "b.tar.gz", log, extra)
    finally:
        pe1.router.configure(bgp, f"no neighbor {STRANGER}")

    assert not [name for name, text in files.items() if SECRET in text]
    running = files["frr/show-running-config.txt"]
    assert f"neighbor {STRANGER} password ***" in running
    assert str(L3_VNI) in files["frr/show-evpn-vni-detail.txt"]
    assert pe2.routed.v4 in files["frr/show-ip-route-vrf-all.txt"]
    assert json.loads(files["dualpath/status.json"])["ready"]
    assert pe2.routed.v4 in files["dualpath/routes.json"]
    assert f"vx{L3_VNI}" in files["control/ip-d-link.txt"]
    assert f"logs{log}" in files
    assert f"manifests{extra}" in files
    if pe1.plan.datapath is Datapath.DPDK:
        assert pe2.routed.v4 in files["grout/route-show.txt"]
        assert any(name.startswith("logs") and "grout" in name for name in files)
    else:
        assert pe2.routed.v4 in files["forwarding/ip-route-show-table-all.txt"]
    missing = files.get("missing.txt", "").splitlines()
    assert [line for line in missing if "journalctl" not in line] == []


def test_a_bundle_without_options_has_the_daemons_own_manifests(
    fabric: Fabric, tmp_path: Path
) -> None:
    files = bundle(fabric.pes[0], tmp_path / "b.tar.gz")
    path = fabric.pes[0].plan.state / "manifest.yaml"
    assert "kind: L3VNI" in files[f"manifests{path}"]


def bundle(
    pe: Pe, file: Path, log: Path | None = None, config: Path | None = None
) -> dict[str, str]:
    """Return the files of a support bundle."""
    options = ["--log", str(log)] if log else []
    options += ["--config", str(config)] if config else []
    command = ["dualpath", "--connect", listen_address(pe.plan), "support-bundle"]
    run([*command, "--file", str(file), *options], timeout_s=BUNDLE_S)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as tar:
        for member in tar.getmembers():
            opened = tar.extractfile(member)
            assert opened
            files[member.name.partition("/")[2]] = opened.read().decode()
    return files
