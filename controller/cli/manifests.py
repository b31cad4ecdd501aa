"""Commands about manifests: `render` and `validate` need no daemon, and `diff` may ask one.

`compiled` does their work. It is imported when a command runs, not for help or completion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from controller.cli.command import Argument, Option
from controller.cli.options import UINT32, Output, OutputOption, Target
from controller.cli.terminal import USAGE, fail
from dualpath.process.options import directory
from dualpath.process.options import node_name as valid_name

SECRETS = Path("/etc/dualpath/secrets")
UNDERLAY_MTU = 1500

Paths = Annotated[list[Path], Argument("PATH", help="Manifests: files and directories.")]
SomePaths = Annotated[list[Path] | None, Argument("PATH", help="Manifests: files and directories.")]
Fleet = Annotated[
    Path | None,
    Option("--fleet", metavar="DIR", parse=directory, help="Manifests of many nodes."),
]
NodeName = Annotated[
    str | None,
    Option("--node-name", metavar="NAME", parse=valid_name, help="The node to compile for."),
]
NodeIndex = Annotated[
    int | None, Option("--node-index", low=0, high=UINT32, help="The node's number.")
]
Secrets = Annotated[
    Path,
    Option("--secrets", metavar="DIR", parse=directory, help="Directory of the Secrets."),
]
Mtu = Annotated[
    int, Option("--underlay-mtu", low=1280, high=65535, help="MTU of the narrowest NIC.")
]


def render(
    paths: Paths,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    underlay_mtu: Mtu = UNDERLAY_MTU,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the frr.conf and devices of manifests.

    Touches nothing and asks no daemon. Passwords are masked. Exits with 1 when a resource is
    rejected; the rest is shown. - is standard input.

    dualpath render /etc/dualpath --node-index 3
    dualpath render pe1.yaml -o json | jq -r .frr_conf
    """
    from controller.cli import compiled

    compiled.render(paths, node_name, node_index, secrets, underlay_mtu, output)


def validate(
    paths: SomePaths = None,
    fleet: Fleet = None,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    output: OutputOption = Output.TABLE,
) -> None:
    """Check manifests, without a daemon.

    Shows which resources a node would accept, and all errors, each as FILE:LINE:COLUMN: KIND NAME:
    FIELD: what is wrong. - is standard input. Exits with 1 when a resource is rejected, with 2 when
    a manifest cannot be read at all or none has a resource.

    With --fleet it checks the manifests of many nodes, and compares the nodes with one another. In
    DIR each node has a directory or a file of its own; files that describe no node belong to all.

    dualpath validate new.yaml --node-index 3 && mv new.yaml /etc/dualpath/node.yaml
    dualpath validate --fleet nodes/ -o json
    """
    if fleet is not None:
        if paths or node_name is not None or node_index is not None:
            fail("--fleet takes its nodes from DIR: give no PATH, --node-name, --node-index", USAGE)
        from controller.cli import fleet as many

        many.validate(fleet, output)
    if not paths:
        fail("give manifests, or --fleet DIR; see `dualpath validate --help`", USAGE)
    from controller.cli import compiled

    compiled.validate(paths, node_name, node_index, secrets, output)


def diff(
    target: Target,
    paths: Paths,
    against: Annotated[
        list[Path] | None,
        Option("--against", metavar="PATH", help="Other manifests, instead of the daemon."),
    ] = None,
    node_name: NodeName = None,
    node_index: NodeIndex = None,
    secrets: Secrets = SECRETS,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what applying manifests would change.

    Compares with the manifests of the running daemon, or with other manifests. A password that
    changes is not shown. Exits with 0 when nothing differs, 1 when something does, 2 on trouble.

    dualpath diff /etc/dualpath.new
    dualpath diff new.yaml --against old.yaml --node-index 1
    """
    from controller.cli import compiled

    compiled.diff(target, paths, against, node_name, node_index, secrets, output)
