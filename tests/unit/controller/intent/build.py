"""A valid manifest of each kind, for tests that change one field at a time."""

from __future__ import annotations

import json
from typing import Any

from controller.intent import layout
from controller.intent.documents import read
from controller.intent.layout import Intent
from controller.intent.loader import merge
from controller.intent.node import NO_OVERRIDES, NodeOverrides
from controller.intent.schema import GROUP, Resources
from dualpath.model.view import ResourceStatus

Yaml = dict[str, Any]

GOOD: dict[str, Yaml] = {
    "Underlay": {
        "asn": 65001,
        "neighbors": [{"asn": 65000, "address": "192.168.1.0"}],
        "interfaces": [{"type": "NetworkDevice", "networkDevice": {"interfaceName": "eth1"}}],
        "tunnelEndpoint": {"cidrs": ["100.64.0.0/24"]},
    },
    "L3VNI": {
        "vrf": "red",
        "vni": 100,
        "hostSession": {
            "asn": 65001,
            "hostASN": 65100,
            "localCIDR": {"ipv4": "10.100.0.0/24", "ipv6": "fd00:100::/64"},
        },
    },
    "L2VNI": {
        "vni": 110,
        "routingDomain": {"type": "L3VNI", "l3vni": {"name": "red"}},
        "gatewayIPs": ["10.110.0.1/24", "fd00:110::1/64"],
    },
    "L3Passthrough": {
        "hostSession": {"asn": 65001, "hostASN": 65200, "localCIDR": {"ipv4": "10.200.0.0/24"}}
    },
    "RawFRRConfig": {"rawConfig": "ip prefix-list mine seq 5 permit 10.0.0.0/8\n"},
}


def manifest(kind: str, name: str, /, group: str = GROUP, **changes: Any) -> Yaml:  # noqa: ANN401
    """Return a valid manifest with some fields of its spec changed; None removes a field."""
    spec = {k: v for k, v in {**GOOD[kind], **changes}.items() if v is not None}
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def underlay(**changes: Any) -> Yaml:  # noqa: ANN401
    return manifest("Underlay", "underlay", **changes)


def neighbor(**changes: Any) -> Yaml:  # noqa: ANN401
    """Return an Underlay whose only neighbor has these fields besides its address and ASN."""
    given = {**GOOD["Underlay"]["neighbors"][0], **changes}
    return underlay(neighbors=[{k: v for k, v in given.items() if v is not None}])


def session(**changes: Any) -> Yaml:  # noqa: ANN401
    """Return a host session for `hostSession=`."""
    given = {**GOOD["L3VNI"]["hostSession"], **changes}
    return {k: v for k, v in given.items() if v is not None}


def resources(*manifests: Yaml, overrides: NodeOverrides = NO_OVERRIDES) -> Resources:
    text = "\n---\n".join(json.dumps(m) for m in manifests)
    return merge(read(text, "pe.yaml"), overrides)


def intent(*manifests: Yaml, index: int = 1, mtu: int = 1500) -> Intent:
    """Compile manifests for the node with this index."""
    found = resources(*manifests, overrides=NodeOverrides(index=index))
    return layout.compile(found, found.node, mtu)


def status(result: Intent, kind: str, name: str) -> ResourceStatus:
    return next(s for s in result.statuses if (s.kind, s.name) == (kind, name))
