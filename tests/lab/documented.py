"""The commands that README and docs show, and which of them the lab runs. Pure.

A block fenced as `sh` is commands; one fenced as `console` has them behind `$ `, and their output.
Each is in RUN or in NOT_RUN, by its page and first command. A new block is in neither, and a test
says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
COMMANDS = {"sh", "console"}
OTHER = {"text", "yaml", "python"}
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "

Key = tuple[str, str]
"""A page, and the first command of a block in it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> str:
        """What a reader types."""
        if self.language != "console":
            return self.text
        lines = (line for line in self.text.splitlines() if line.startswith(_PROMPT))
        return "".join(f"{line.removeprefix(_PROMPT)}\n" for line in lines)

    @property
    def key(self) -> Key:
        return self.page, self.commands.splitlines()[0]


RUN: tuple[Key, ...] = (
    ("README.md", "apt-get install -y python3-venv frr frr-pythontools"),  # the lab's own way
    ("README.md", "mkdir -p /etc/dualpath"),
    ("README.md", "controller --datapath=kernel --config /etc/dualpath --dry-run"),
    ("README.md", "controller --datapath=kernel --config /etc/dualpath --confirm-within 120"),
    ("README.md", "dualpath confirm"),
    ("README.md", "sed -i -e 's/^bgpd=no/bgpd=yes/' -e 's/^bfdd=no/bfdd=yes/' \\"),
    ("README.md", "dualpath status"),
    ("README.md", "ip route replace 10.2.0.0/16 via 10.100.0.1"),
    ("docs/CLI.md", "dualpath routes --vrf red"),
    ("docs/CLI.md", "dualpath diff /etc/dualpath.new"),
    ("docs/OPERATIONS.md", "controller --datapath=kernel --config /etc/dualpath --dry-run"),
    ("docs/OPERATIONS.md", "dualpath confirm"),
    ("docs/OPERATIONS.md", "dualpath down --dry-run"),
)
"""By tests/lab/test_readme.py, in this order, on a file system as the packages left it."""

OPERATOR = "tests/kube/test_operator.py applies both to an API server"
SWITCH = "tests/lab/test_switch.py runs them, with a grout in a VM"
INSTALL = "tests/kube/test_install.py applies the same objects to an API server"
IMAGES = "tests/images builds and starts the images; a registry and nodes are the reader's"
DAY0 = "tests/images/test_day0.py boots a node with systemd and these units"
UNITS = "tests/images/test_units.py boots a node with systemd, FRR and this unit"
CLUSTER = "needs nodes with a kubelet; tests/kube/test_install.py renders and applies its objects"
CLAB = "tests/lab/test_clab.py runs them, in containers that the lab makes of the same topology"
DOCKER = "needs Docker and containerlab; tests/lab/test_clab.py runs the same topology"
CLUSTER_OF_KIND = (
    "needs kind's node image; tests/unit/labs and tests/kube/test_labs.py check its files"
)
UI = "tests/unit/controller/ui runs the command and asks it over HTTP"
MIGRATION = "tests/kube/test_migration.py runs it against an API server"

NOT_RUN: dict[Key, str] = {
    ("docs/DEVELOPMENT.md", "make chaos SEED=3"): "tests/lab/test_chaos.py runs whole seeds",
    (
        "docs/OPERATIONS.md",
        "dualpath replay /var/tmp/bug.pcapng",
    ): "tests/lab/test_recording.py replays a recording that it made",
    (
        "README.md",
        "make demo      # two routers and a spine; pings over L3VNI and L2VNI; FRR is "
        "killed under them",
    ): "each starts this lab",
    ("README.md", "make images"): INSTALL,
    ("docs/KUBERNETES.md", "make images"): IMAGES,
    ("docs/KUBERNETES.md", "kubectl apply --server-side -f deploy/crds"): INSTALL,
    (
        "docs/KUBERNETES.md",
        "helm upgrade --install dualpath deploy/chart --namespace dualpath-system --skip-crds \\",
    ): INSTALL,
    ("docs/KUBERNETES.md", "kubectl apply -k deploy/overlays/kernel"): INSTALL,
    ("docs/KUBERNETES.md", "kubectl -n dualpath-system rollout status daemonset/dualpath"): CLUSTER,
    ("docs/KUBERNETES.md", "kubectl apply --server-side --force-conflicts -f deploy/crds"): CLUSTER,
    ("docs/KUBERNETES.md", "helm rollback dualpath --namespace dualpath-system"): CLUSTER,
    ("docs/KUBERNETES.md", "podman load -i dualpath.tar"): DAY0,
    ("docs/KUBERNETES.md", "systemctl --no-block restart dualpath dualpath-router"): DAY0,
    (
        "docs/KUBERNETES.md",
        "kubectl -n openperouter-system patch daemonset controller router --type=merge --patch '",
    ): CLUSTER,
    (
        "docs/KUBERNETES.md",
        "kubectl drain node-1 --ignore-daemonsets --delete-emptydir-data",
    ): CLUSTER,
    (
        "docs/KUBERNETES.md",
        "helm upgrade dualpath deploy/chart --namespace dualpath-system --reset-values --skip-crds",
    ): CLUSTER,
    ("docs/UI.md", "/opt/dualpath/bin/pip install 'dualpath[ui]'"): UI,
    ("docs/UI.md", "cat /run/dualpath/ui.address"): UI,
    ("docs/UI.md", "ssh -t -L 8470:localhost:8470 root@node dualpath ui"): UI,
    ("docs/API.md", "S=unix:///run/dualpath/inspect.sock"): "grpcurl is in no Debian release",
    ("docs/API.md", "S=unix:///run/dualpath/grout-agent.sock"): "grpcurl is in no Debian release",
    (
        "docs/CLI.md",
        "python -m datapaths.remote.serve --datapath memory --listen unix:/tmp/memory.sock &",
    ): "tests/contract and tests/unit/controller/cli/test_conformance.py run both programs",
    (
        "docs/CLI.md",
        "dualpath routes 10.0.0.0/8 --longer --vrf red          # a prefix and all within it",
    ): "`watch` goes on until it is interrupted, and the lab has no jq",
    ("docs/DEVELOPMENT.md", "git clone URL dualpath && cd dualpath"): "the URL is the reader's",
    ("docs/KUBERNETES.md", "kubectl apply -f deploy/crds"): OPERATOR,
    ("docs/KUBERNETES.md", "kubectl apply --server-side -f deploy/crds/dualpath.io"): OPERATOR,
    ("docs/KUBERNETES.md", "kubectl get rollout"): "tests/kube/test_rollout.py reads these columns",
    ("docs/KUBERNETES.md", "g=network.openperouter.io"): MIGRATION,
    (
        "docs/KUBERNETES.md",
        "kubectl apply --server-side --force-conflicts -f deploy/crds/",
    ): MIGRATION,
    (
        "docs/KUBERNETES.md",
        "g=network.openperouter.io  # OpenPERouter does not read the group dualpath.io",
    ): MIGRATION,
    (
        "docs/KUBERNETES.md",
        "kubectl apply --server-side --force-conflicts -f openperouter/config/crd/bases/",
    ): MIGRATION,
    ("docs/LABS.md", "make images"): DOCKER,
    ("docs/LABS.md", "docker exec clab-dualpath-host1 ping -c 3 10.110.0.12"): CLAB,
    (
        "docs/LABS.md",
        "docker exec clab-dualpath-pe1 bash -c 'kill -9 $(pidof zebra bgpd bfdd)'",
    ): CLAB,
    ("docs/LABS.md", "sudo containerlab destroy -t labs/clab/dualpath.clab.yml --cleanup"): DOCKER,
    ("docs/LABS.md", "sudo labs/kind/up"): CLUSTER_OF_KIND,
    ("docs/LABS.md", "export KUBECONFIG=$PWD/labs/kind/kubeconfig"): CLUSTER_OF_KIND,
    (
        "docs/LABS.md",
        "kubectl -n dualpath-system delete pod --selector=app.kubernetes.io/name=dualpath-router",
    ): CLUSTER_OF_KIND,
    ("docs/OPERATIONS.md", "ip netns add grout"): SWITCH,
    ("docs/OPERATIONS.md", "dualpath switch dpdk --dry-run"): SWITCH,
    ("docs/OPERATIONS.md", "cp packaging/dualpath.service /etc/systemd/system/"): UNITS,
    ("docs/OPERATIONS.md", "systemctl stop dualpath frr"): UNITS,
}


def pages() -> list[str]:
    """Return the pages with commands for users."""
    docs = sorted((CHECKOUT / "docs").glob("*.md"))
    return ["README.md", *(f"docs/{page.name}" for page in docs)]


def blocks(page: str) -> Iterator[Block]:
    for language, text in _FENCED.findall((CHECKOUT / page).read_text()):
        yield Block(page, language, text)


def block(key: Key) -> Block:
    """Return one that has commands. Raises StopIteration when there is none."""
    return next(b for b in blocks(key[0]) if b.language in COMMANDS and b.key == key)
