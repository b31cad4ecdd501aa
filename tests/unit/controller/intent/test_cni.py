"""What a manifest may say about an interface that CNI plugins make."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.intent import cni as of_intent
from controller.intent.show import show
from tests.unit.controller.intent.build import Yaml, intent, resources, underlay
from tests.unit.controller.intent.rulebook import cases, rule
from tests.unit.controller.intent.test_rules import device


def cni(*, arguments: Yaml | None = None, **changes: Any) -> list[Yaml]:  # noqa: ANN401
    """Return the interfaces of an Underlay: one of CNI; a raw list with None is left out."""
    raw = {"cniVersion": "1.0.0", "name": "fabric", "plugins": [{"type": "macvlan"}]}
    made: Yaml = {"type": "RawConfig", "rawConfig": {**raw, **changes}}
    if "rawConfig" in changes:
        made["rawConfig"] = changes["rawConfig"]
    if arguments is not None:
        made["runtimeConfig"] = arguments
    return [{"type": "CNIDevice", "cniDevice": made}]


BROKEN = {
    "Underlay.interfaces.type: mixed": (
        underlay(interfaces=[device("eth1"), *cni()]),
        "all interfaces must be of one type",
    ),
    "Underlay.interfaces.type: other device": (
        underlay(interfaces=[{**device("eth1"), **cni()[0], "type": "NetworkDevice"}]),
        "`cniDevice` is valid with type CNIDevice",
    ),
    "Underlay.interfaces.type: no device": (
        underlay(interfaces=[{"type": "CNIDevice"}]),
        "`cniDevice` is valid with type CNIDevice",
    ),
    "Underlay.interfaces.unique: both of the default name": (
        underlay(interfaces=cni() * 2),
        "interface net1 is given twice",
    ),
    "Underlay.cniDevice: no list": (
        underlay(interfaces=cni(rawConfig=None)),
        "rawConfig: required, but missing",
    ),
    "Underlay.cniDevice: version": (
        underlay(interfaces=cni(cniVersion="0.4.0")),
        "`cniVersion` must be a text, one of 1.0.0, 1.1.0",
    ),
    "Underlay.cniDevice: version as a number": (
        underlay(interfaces=cni(cniVersion=1.0)),
        "`cniVersion` must be a text",
    ),
    "Underlay.cniDevice: network name": (underlay(interfaces=cni(name="../x")), "`name`, of the"),
    "Underlay.cniDevice: no plugins": (underlay(interfaces=cni(plugins=[])), "`plugins` must be"),
    "Underlay.cniDevice: plugin is a path": (
        underlay(interfaces=cni(plugins=[{"type": "../../bin/sh"}])),
        "`plugins[0].type` must be the name of a plugin",
    ),
    "Underlay.cniDevice: plugin is no mapping": (
        underlay(interfaces=cni(plugins=["macvlan"])),
        "`plugins[0]` must be a mapping",
    ),
    "Underlay.cniDevice: ipam is a path": (
        underlay(interfaces=cni(plugins=[{"type": "macvlan", "ipam": {"type": "/bin/sh"}}])),
        "`plugins[0].ipam.type` must be the name of a plugin",
    ),
    "Underlay.cniDevice: ipam is no mapping": (
        underlay(interfaces=cni(plugins=[{"type": "macvlan", "ipam": "dhcp"}])),
        "`plugins[0].ipam` must be a mapping",
    ),
    "Underlay.cniDevice: capabilities": (
        underlay(interfaces=cni(plugins=[{"type": "macvlan", "capabilities": ["mac"]}])),
        "`plugins[0].capabilities` must map names to true or false",
    ),
    "Underlay.cniDevice: prevResult": (
        underlay(interfaces=cni(plugins=[{"type": "macvlan", "prevResult": {}}])),
        "`plugins[0].prevResult` is given to the plugin by the controller",
    ),
    "Underlay.cniDevice: disableCheck": (
        underlay(interfaces=cni(disableCheck="yes")),
        "`disableCheck` must be true or false",
    ),
    "Underlay.cniDevice: long": (
        underlay(interfaces=cni(plugins=[{"type": "macvlan", "note": "x" * 65536}])),
        "is longer than 65536 bytes",
    ),
    "Underlay.cniDevice: capability of no plugin": (
        underlay(interfaces=cni(arguments={"bandwidth": {}})),
        "no plugin of rawConfig has this capability",
    ),
}


@pytest.mark.parametrize("case", cases(BROKEN))
def test_violated_rule_rejects_the_underlay_with_a_reason(case: str) -> None:
    bad, complaint = BROKEN[case]
    found = resources(bad)
    assert not found.items
    (status,) = found.rejected
    assert status.reason == "ValidationFailed"
    assert complaint in status.message


ALLOWED = {
    "Underlay.cniDevice: of 1.1.0": underlay(interfaces=cni(cniVersion="1.1.0")),
    "Underlay.cniDevice: without checks": underlay(interfaces=cni(disableCheck="true")),
    "Underlay.cniDevice: capabilities": underlay(
        interfaces=cni(
            plugins=[{"type": "macvlan", "capabilities": {"mac": True, "ips": False}}],
            arguments={"mac": "02:00:00:00:00:01"},
        )
    ),
    "Underlay.cniDevice: a field of the plugin's own": underlay(
        interfaces=cni(plugins=[{"type": "my.plugin", "anything": {"below": [1, None]}}])
    ),
}


@pytest.mark.parametrize("case", cases(ALLOWED))
def test_list_of_the_specification_is_accepted(case: str) -> None:
    found = resources(ALLOWED[case])
    assert not found.rejected


@pytest.mark.parametrize("value", [float("nan"), {1, 2}])
def test_value_without_a_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(Exception, match="JSON has no form for"):
        of_intent._json({"x": value})


@rule("Underlay.cniDevice")
def test_interface_is_a_port_that_is_called_net1_and_comes_from_nowhere() -> None:
    found = intent(underlay(interfaces=cni()))
    (port,) = (port for port in found.ports if port.name == "net1")
    assert (port.source_netns, port.twin) == (None, True)
    (made,) = found.cni
    assert made.conf()["plugins"] == [{"type": "macvlan"}]


def test_configuration_is_in_no_plan_and_no_repr() -> None:
    secret = {"type": "macvlan", "token": "hunter2", "ipam": {"type": "dhcp"}}
    found = intent(underlay(interfaces=cni(plugins=[secret])))
    assert "hunter2" not in repr(found)
    assert "hunter2" not in repr(show(found))
    (shown,) = (d for d in show(found).devices if d.name == "net1")
    assert shown.attributes["cni"] == "macvlan (dhcp)"
    assert "hunter2" in json.dumps(found.cni[0].conf())
