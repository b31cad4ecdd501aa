"""The Ansible role, on fresh roots of Debian releases with the packages as they were built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.architecture import ROOT
from tests.packages.test_deb import RELEASES, package, root_of

pytestmark = pytest.mark.packages

ANSIBLE = ROOT / "deploy" / "ansible"
LIMIT_S = 900


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    if not shutil.which("ansible-playbook"):
        pytest.skip("no ansible-playbook here: pip install ansible")
    with ExitStack() as stack:
        made = {}
        for release in RELEASES:
            base = tmp_path_factory.mktemp(release)
            made[release] = stack.enter_context(root_of(release, base))
        yield made


@pytest.fixture(scope="module")
def inventory(roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's nodes, with roots for hosts. Nothing starts: they have no systemd."""
    given = yaml.safe_load((ANSIBLE / "inventory.example.yaml").read_text())
    group = given["dualpath"]
    group["vars"] |= {
        "ansible_connection": "community.general.chroot",
        "ansible_become": False,
        "ansible_python_interpreter": "/usr/bin/python3",
        "dualpath_start": False,
    }
    group["hosts"] = {
        str(root): {"node_index": index, "dualpath_deb": str(package(release))}
        for index, (release, root) in enumerate(roots.items(), 1)
    }
    manifests = group["vars"]["dualpath_manifests"]
    manifests[0]["metadata"]["name"] = "node{{ node_index }}"
    file = tmp_path_factory.mktemp("inventory") / "inventory.yaml"
    file.write_text(yaml.safe_dump(given))
    return file


def play(inventory: Path, *options: str) -> dict[str, dict[str, int]]:
    """Run the playbook; return what it counted on each host."""
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), *options, "site.yaml"],
        cwd=ANSIBLE,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recap = done.stdout.partition("PLAY RECAP")[2]
    return {
        host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in re.findall(r"^(/\S+)\s+:(.*)$", recap, re.MULTILINE)
    }


def test_a_node_is_made_and_a_second_run_changes_nothing(
    inventory: Path, roots: dict[str, Path]
) -> None:
    first = play(inventory)
    assert {host: counts["failed"] for host, counts in first.items()} == {
        str(root): 0 for root in roots.values()
    }
    assert all(counts["changed"] > 5 for counts in first.values()), first
    for root in roots.values():
        daemons = (root / "etc/frr/daemons").read_text()
        assert re.search(r'^zebra_options=".*-M dplane_fpm_nl -K20', daemons, re.MULTILINE)
        assert "\nbgpd=yes\n" in daemons
        assert (
            "--metrics="
            in (root / "etc/systemd/system/dualpath.service.d/override.conf").read_text()
        )
        check = ["chroot", str(root), "dualpath", "validate", "/etc/dualpath"]
        subprocess.run(check, check=True, capture_output=True)
    second = play(inventory)
    assert {host: counts["changed"] for host, counts in second.items()} == dict.fromkeys(first, 0)


def test_a_manifest_that_is_refused_leaves_the_former_one(
    inventory: Path, roots: dict[str, Path]
) -> None:
    before = {name: (root / "etc/dualpath/node.yaml").read_text() for name, root in roots.items()}
    spoilt = yaml.safe_load(inventory.read_text())
    spoilt["dualpath"]["vars"]["dualpath_manifests"][2]["spec"]["vni"] = -1
    inventory.write_text(yaml.safe_dump(spoilt))
    with pytest.raises(AssertionError, match="failed to validate"):
        play(inventory)
    assert before == {
        name: (root / "etc/dualpath/node.yaml").read_text() for name, root in roots.items()
    }
