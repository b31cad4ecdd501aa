"""The CNI protocol: what a runtime writes to plugins and reads from them. Pure.

https://www.cni.dev/docs/spec/, version 1.1.0; a configuration of 1.0.0 works the same, without
STATUS. For the list {"cniVersion": "1.0.0", "name": "fabric", "plugins": [macvlan, tuning]}:

    ADD    macvlan, then tuning, with macvlan's result as prevResult; tuning's result is kept
    CHECK  macvlan, then tuning, each with the kept result
    DEL    tuning, then macvlan, each with the kept result if ADD came to its end

A plugin's output is checked before it is saved: it goes into messages and, as prevResult, into
other plugins.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dualpath.model.cni import CniDevice

Json = dict[str, Any]

ADD, CHECK, DEL, STATUS, VERSION = "ADD", "CHECK", "DEL", "STATUS", "VERSION"
STATUS_SINCE = "1.1.0"

INCOMPATIBLE, UNSUPPORTED, BAD_ENVIRONMENT = 1, 2, 4
IO_FAILURE, UNDECODABLE, BAD_CONFIGURATION, TRY_LATER = 5, 6, 7, 11
"""Codes of errors (section 5); a plugin has its own from 100 on."""

CORRECT = "correct rawConfig"
ADVICE: Mapping[int, str] = {
    INCOMPATIBLE: "give a `cniVersion` that it supports, or install a newer plugin",
    UNSUPPORTED: "remove that field from rawConfig",
    BAD_ENVIRONMENT: "correct interfaceName",
    UNDECODABLE: CORRECT,
    BAD_CONFIGURATION: CORRECT,
}
"""What to do about an error that no retry cures."""

_MOST_TEXT = 300
_MOST_ITEMS = 64


class PluginError(Exception):
    """A plugin failed, or could not be run; the text says which, why, and what to do."""

    def __init__(
        self, plugin: str, command: str, why: str, *, code: int = 0, advice: str = ""
    ) -> None:
        self.code = code  # 0: not a plugin's own
        self.advice = advice or ADVICE.get(code, "")
        number = f" (code {code})" if code else ""
        text = f"CNI plugin {plugin}, {command}: {why}{number}"
        super().__init__(f"{text}; {self.advice}" if self.advice else text)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an attachment: every plugin gets it with its configuration."""

    container: str
    netns: str  # a path; "" when the namespace of the ADD is gone (allowed for DEL)
    name: str  # of the interface

    def environment(self, command: str, path: str) -> dict[str, str]:
        """Return only the parameters of an operation (section 2)."""
        found = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": self.name,
            "CNI_PATH": path,
        }
        return {name: value for name, value in found.items() if value}


def container_of(node: str, namespace: str) -> str:
    """Return the container id of a node's interfaces: alphanumeric first, then `._-` too.

    A DHCP server tells clients apart by it, so it must differ between nodes, and it should be the
    same after a reboot.
    """
    text = "".join(c if c.isascii() and c.isalnum() else "-" for c in f"{node}-{namespace}")
    return f"dualpath-{text}"[:128]


def execution(device: CniDevice, index: int, previous: Json | None, dhcp_socket: str = "") -> Json:
    """Return the configuration of one plugin of the list (section 3).

    With `dhcp_socket`, the plugin dhcp uses that daemon, unless the list names another.
    """
    conf = device.conf()
    plugin: Json = conf["plugins"][index]
    capabilities = plugin.pop("capabilities", {})
    arguments = device.capability_arguments()
    wanted = {name: arguments[name] for name in arguments if capabilities.get(name)}
    plugin |= {"cniVersion": conf["cniVersion"], "name": conf["name"]}
    if wanted:
        plugin["runtimeConfig"] = wanted
    if previous is not None:
        plugin["prevResult"] = previous
    if dhcp_socket and is_leased(plugin):
        plugin["ipam"] = {"daemonSocketPath": dhcp_socket, **plugin["ipam"]}
    return plugin


def is_leased(plugin: Mapping[str, Any]) -> bool:
    """Return whether a plugin gets its address by DHCP."""
    found: bool = plugin.get("ipam", {}).get("type") == "dhcp"
    return found


def needs_daemon(device: CniDevice) -> bool:
    """Return whether a device needs our DHCP daemon: it uses dhcp, and its list names no socket."""
    plugins = device.conf()["plugins"]
    return any(is_leased(p) and "daemonSocketPath" not in p["ipam"] for p in plugins)


def is_checked(conf: Mapping[str, Any]) -> bool:
    """Return whether CHECK may be called at all (section 1)."""
    return conf.get("disableCheck", False) not in (True, "true")


def encode(conf: Json) -> bytes:
    return json.dumps(conf).encode()


def decode(output: bytes) -> Json | None:
    """Return the JSON object that a plugin wrote; None if it is none."""
    try:
        found = json.loads(output)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def error_of(plugin: str, command: str, output: bytes, errors: bytes, status: int) -> PluginError:
    """Return the error of a plugin that ended with a status other than 0.

    If a plugin dies without an error object (Go panic, script), quote the end of its output.
    """
    found = decode(output)
    if found is not None and isinstance(found.get("msg"), str):
        code = found.get("code")
        words = printable(found["msg"])
        return PluginError(plugin, command, words, code=code if type(code) is int else 0)
    ending = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    words = printable(errors.decode(errors="replace").strip().rpartition("\n")[2])
    return PluginError(plugin, command, f"{ending}, no error object: {words}".removesuffix(": "))


def result_of(plugin: str, output: bytes, version: str) -> Json:
    """Return the result of an ADD (section 5). Raises PluginError if it is none."""
    found = decode(output)
    if found is None:
        raise PluginError(plugin, ADD, "its result is no JSON object", advice="update the plugin")
    for why in _result_faults(found, version):
        text = f"its result is malformed: {why}"
        raise PluginError(plugin, ADD, text, advice="update the plugin")
    return found


def _result_faults(found: Json, version: str) -> Iterator[str]:
    if found.get("cniVersion", version) != version:
        yield f"cniVersion is not {version}"
    for name in ("interfaces", "ips", "routes"):
        items = [] if found.get(name) is None else found[name]
        if not isinstance(items, list) or len(items) > _MOST_ITEMS:
            yield f"{name} is no list of up to {_MOST_ITEMS}"
        elif not all(isinstance(item, dict) for item in items):
            yield f"{name} has an item that is no object"
    for item in found.get("ips") or ():
        try:
            ipaddress.ip_interface(item["address"])
        except (ValueError, KeyError, TypeError):
            yield "ips has an item without an address such as 10.0.0.1/24"


def mac_of(result: Json, name: str) -> bytes:
    """Return the MAC of an interface in a sandbox, as a result has it; b"" if it has none."""
    for item in result.get("interfaces") or []:
        if item.get("name") == name and item.get("sandbox"):
            try:
                return bytes.fromhex(str(item.get("mac", "")).replace(":", ""))
            except ValueError:
                return b""
    return b""


def addresses_of(result: Json) -> list[str]:
    """Return the addresses of a result: `10.0.0.1/24`."""
    return [str(ipaddress.ip_interface(item["address"])) for item in result.get("ips") or []]


def versions_of(output: bytes) -> list[str]:
    """Return the versions that a plugin supports, by its answer to VERSION."""
    found = (decode(output) or {}).get("supportedVersions")
    listed = found if isinstance(found, list) else []
    return [printable(text) for text in listed if isinstance(text, str)]


def printable(text: str) -> str:
    """Return a program's words as one bounded line for a message."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= _MOST_TEXT else f"{line[:_MOST_TEXT]}..."
