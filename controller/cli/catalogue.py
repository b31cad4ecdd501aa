"""The commands of `dualpath`: for each name the module, and its line in the overview.

A module is imported when its command runs. Importing all of them takes ten times as long as
starting one: `down` alone brings in numpy and pyroute2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    section: str
    module: str  # in controller.cli; its attribute of the command's name is the command
    summary: str  # the first line of the command's docstring; a test compares the two
    function: str = ""  # its attribute, if that has another name than the command


_LOOK, _ROWS = "Look", "Rows"
_MANIFESTS, _CHANGE, _MORE = "Manifests", "Repair and change", "More"

CATALOGUE = {
    "status": Entry(_LOOK, "status", "Show the daemon at a glance."),
    "top": Entry(_LOOK, "top", "Show sessions, rows, rates and failures live."),
    "ui": Entry(_LOOK, "ui", "Serve a live page of the node for a browser."),
    "explain": Entry(_LOOK, "explain", "Show the path to an address, desired and programmed."),
    "trace": Entry(_LOOK, "trace", "Show live packets to and from an address."),
    "watch": Entry(_LOOK, "watch", "Show changes as they happen, until interrupted."),
    "audit": Entry(_LOOK, "repair", "Compare desired, programmed and observed rows."),
    "routes": Entry(_ROWS, "listing", "List routes."),
    "nexthops": Entry(_ROWS, "listing", "List nexthops and groups."),
    "macs": Entry(_ROWS, "listing", "List remote MACs of L2VNIs."),
    "neighbors": Entry(_ROWS, "listing", "List remote hosts' addresses and MACs."),
    "vteps": Entry(_ROWS, "listing", "List remote VTEPs."),
    "vnis": Entry(_ROWS, "listing", "List VNIs."),
    "vrfs": Entry(_ROWS, "listing", "List VRFs."),
    "ports": Entry(_ROWS, "listing", "List ports and their links."),
    "lsps": Entry(_ROWS, "listing", "List MPLS label bindings."),
    "render": Entry(_MANIFESTS, "manifests", "Show the frr.conf and devices of manifests."),
    "validate": Entry(_MANIFESTS, "manifests", "Check manifests, without a daemon."),
    "diff": Entry(_MANIFESTS, "manifests", "Show what applying manifests would change."),
    "switch": Entry(_CHANGE, "switch", "Move ports to another datapath while packets flow."),
    "confirm": Entry(_CHANGE, "confirm", "Keep a start or a change that is on trial."),
    "resync": Entry(_CHANGE, "repair", "Compare with the datapath now, and repair differences."),
    "release": Entry(_CHANGE, "repair", "Remove rows that are held for a dead FRR daemon."),
    "down": Entry(_CHANGE, "down", "Give back NICs; remove devices and namespaces of Dualpath."),
    "support-bundle": Entry(
        _MORE,
        "support",
        "Collect state, logs and manifests without secrets in one file.",
        "support_bundle",
    ),
    "replay": Entry(
        _MORE, "replay", "Replay a recording of frr-bridge, and show what it makes the datapath do."
    ),
    "conformance": Entry(_MORE, "conformance", "Check a datapath server against the contract."),
    "completion": Entry(_MORE, "about", "Print the completion script of a shell."),
    "version": Entry(_MORE, "about", "Show the version."),
    "help": Entry(_MORE, "about", "Show the help of a command.", "show_help"),
}
