"""The command that shows the daemon at a glance. Without a daemon it needs none of `statuspage`."""

from __future__ import annotations

from controller.cli.client import connected
from controller.cli.options import Output, OutputOption, Target


def status(target: Target, output: OutputOption = Output.TABLE) -> None:
    """Show the daemon at a glance.

    Ready or why not, the FPM session, counts of rows, resources, BGP sessions, VNIs, the datapath.
    `unmanaged` rows are shown, but no datapath is given them: connected and kernel routes, LSPs.

    dualpath status
    dualpath status -o wide                 # with the nodes of the packet graph
    dualpath status -o json | jq .ready
    """
    with connected(target) as stub:
        from controller.cli import statuspage  # takes a third of a start, with protobuf

        statuspage.show(stub, output)
