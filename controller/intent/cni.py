"""An interface that CNI plugins create: its fields in a manifest, and their checks.

The network configuration list is the operator's, and is meant for the plugins: nothing in it is
changed or dropped. Only two things are checked: the fields that the CNI specification assigns to
the runtime (https://www.cni.dev/docs/spec/, section 1), and the names of plugins, because these
become names of files that the controller runs as root. Pure. A message never contains a part of the
configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from controller.intent.fields import DeviceName
from controller.intent.rules import Complaint, Strict, refusal, rule
from dualpath.model.cni import CniDevice as Attachment

VERSIONS = ("1.0.0", "1.1.0")
"""The versions of the CNI specification that the controller speaks."""
PLUGIN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
"""The name of a plugin: of a file in the plugin directories, without a slash."""
NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,126}")
MOST_PLUGINS = 16
MOST_BYTES = 65536
MADE_BY_RUNTIME = ("prevResult", "runtimeConfig")


def _json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse values that JSON cannot express, and a text that is too long for a plugin."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise refusal(
            "holds a value that JSON has no form for, such as an unquoted date: quote it"
        ) from None
    if len(text) > MOST_BYTES:
        raise refusal(f"is longer than {MOST_BYTES} bytes")
    return value


def _list(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse anything but a network configuration list of CNI 1.0 or 1.1."""
    for why in _faults(_json(value)):
        raise refusal(why)
    return value


def _faults(conf: Mapping[str, Any]) -> Iterator[str]:
    if conf.get("cniVersion") not in VERSIONS:
        yield f"`cniVersion` must be a text, one of {', '.join(VERSIONS)}"
    name = conf.get("name")
    if not isinstance(name, str) or not NETWORK.fullmatch(name):
        yield "`name`, of the network, must be letters, digits, `_`, `.` or `-`"
    if conf.get("disableCheck", False) not in (True, False, "true", "false"):
        yield "`disableCheck` must be true or false"
    plugins = conf.get("plugins")
    if not isinstance(plugins, list) or not 1 <= len(plugins) <= MOST_PLUGINS:
        yield f"`plugins` must be a list of 1 to {MOST_PLUGINS} plugins"
        return
    for index, plugin in enumerate(plugins):
        yield from _plugin_faults(plugin, f"plugins[{index}]")


def _plugin_faults(plugin: object, at: str) -> Iterator[str]:
    if not isinstance(plugin, dict):
        yield f"`{at}` must be a mapping"
        return
    if not _is_plugin(plugin.get("type")):
        yield f"`{at}.type` must be the name of a plugin, such as macvlan, without a slash"
    for name in MADE_BY_RUNTIME:
        if name in plugin:
            yield f"`{at}.{name}` is given to the plugin by the controller: leave it out"
    ipam = plugin.get("ipam", {})
    if not isinstance(ipam, dict):
        yield f"`{at}.ipam` must be a mapping"
    elif "type" in ipam and not _is_plugin(ipam["type"]):
        yield f"`{at}.ipam.type` must be the name of a plugin, such as static, without a slash"
    capabilities = plugin.get("capabilities", {})
    if not isinstance(capabilities, dict) or not all(
        isinstance(value, bool) for value in capabilities.values()
    ):
        yield f"`{at}.capabilities` must map names to true or false"


def _is_plugin(value: object) -> bool:
    return isinstance(value, str) and PLUGIN.fullmatch(value) is not None


NetworkList = Annotated[
    dict[str, Any],
    AfterValidator(_list),
    WithJsonSchema({"type": "object", "format": "cni-list"}),
]
CapabilityArguments = Annotated[
    dict[str, Any],
    AfterValidator(_json),
    WithJsonSchema({"type": "object", "format": "cni-arguments"}),
]


class CniDevice(Strict):
    """An interface of the Underlay that CNI plugins create in the forwarding namespace."""

    type: Literal["RawConfig"]
    raw_config: NetworkList
    interface_name: DeviceName = "net1"
    runtime_config: CapabilityArguments = Field(default_factory=dict)

    @rule
    def _arguments_have_a_plugin_that_takes_them(self) -> Iterator[Complaint]:
        taken = {
            name
            for plugin in self.raw_config["plugins"]
            for name, wanted in plugin.get("capabilities", {}).items()
            if wanted
        }
        for name in self.runtime_config:
            if name not in taken:
                text = "no plugin of rawConfig has this capability: add it to its `capabilities`"
                yield Complaint(("runtimeConfig", name), text)

    @property
    def attachment(self) -> Attachment:
        """Return the node's attachment for it."""
        return Attachment(
            self.interface_name,
            json.dumps(self.raw_config, sort_keys=True),
            json.dumps(self.runtime_config, sort_keys=True),
        )
