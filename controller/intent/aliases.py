"""Older forms of the resources, rewritten to today's: whatever is more than a change of case.

Pure. Takes and gives what YAML gives; leaves what it does not know for the models to judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from controller.intent.fields import refusal

Yaml = dict[str, Any]

DURATIONS = {
    "holdTime": "holdTimeSeconds",
    "keepaliveTime": "keepaliveTimeSeconds",
    "connectTime": "connectTimeSeconds",
}
BRIDGE_TYPES = {
    "bridge": "LinuxBridge",
    "linux-bridge": "LinuxBridge",
    "LinuxBridge": "LinuxBridge",
    "ovs-bridge": "OVSBridge",
    "OVSBridge": "OVSBridge",
}
UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def modernise(kind: str, spec: object) -> object:
    """Return the spec of a resource with its older forms replaced.

    Raises PydanticCustomError for one that has no equivalent here.
    """
    rewrite = _REWRITES.get(kind)
    if rewrite is None or not isinstance(spec, dict):
        return spec
    copy = dict(spec)
    rewrite(copy)
    return copy


def _underlay(spec: Yaml) -> None:
    if isinstance(nics := spec.pop("nics", None), list):
        _give(
            spec,
            "interfaces",
            [{"type": "NetworkDevice", "networkDevice": {"interfaceName": n}} for n in nics],
            "nics",
        )
    elif nics is not None:
        raise refusal("`nics` is not a list")
    for where in (_evpn(spec.pop("evpn", None)), spec):
        if (vtep := _pop(where, "vtepcidr", "vtepCIDR")) is not None:
            _give(spec, "tunnelEndpoint", {"cidrs": [vtep]}, "vtepcidr")
    if isinstance(neighbors := spec.get("neighbors"), list):
        spec["neighbors"] = [_neighbor(n) if isinstance(n, dict) else n for n in neighbors]


def _evpn(given: object) -> Yaml:
    """Return what an older Underlay says of EVPN, which was nothing but its VTEPs."""
    if not isinstance(given, dict | None):
        raise refusal("`evpn` is not a mapping")
    evpn: Yaml = dict(given or {})
    if evpn.keys() & {"vtepInterface", "vtepinterface"}:
        raise refusal("`evpn.vtepInterface` is not supported; give tunnelEndpoint.cidrs")
    if unknown := evpn.keys() - {"vtepcidr", "vtepCIDR"}:
        raise refusal(f"evpn.{min(map(str, unknown))}: no such field")
    return evpn


def _neighbor(given: Yaml) -> Yaml:
    neighbor = _session(given)
    multihop = neighbor.pop("ebgpMultiHop", None)
    if multihop is True:
        _give(
            neighbor,
            "properties",
            [{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 255}}],
            "ebgpMultiHop",
        )
    elif multihop not in (None, False):
        raise refusal("the older `ebgpMultiHop` is true or false")
    return neighbor


def _with_host_session(spec: Yaml) -> None:
    for name in ("hostSession", "hostsession"):
        session = spec.get(name)
        if not isinstance(session, dict):
            continue
        session = _session(session)
        if name == "hostsession" and not session.get("hostasn"):
            # The old group left the host's number out, or 0, for an internal session.
            session.pop("hostasn", None)
            if not session.keys() & {"hostASN", "hostType", "hosttype"}:
                session["hostType"] = "Internal"
        spec[name] = session


def _session(given: Yaml) -> Yaml:
    session = dict(given)
    for old, new in DURATIONS.items():
        if (duration := session.pop(old, None)) is not None:
            _give(session, new, _seconds(duration, old), old)
    if isinstance(bfd := session.get("bfd"), dict):
        session["bfd"] = bfd = dict(bfd)
        if "minimumTtl" in bfd:
            _give(bfd, "minimumTTL", bfd.pop("minimumTtl"), "minimumTtl")
        if bfd.get("echoMode") is False:
            del bfd["echoMode"]
        if (passive := _flag(bfd, "passiveMode")) is not None:
            _give(bfd, "sessionMode", "Passive" if passive else "Active", "passiveMode")
    return session


def _l2vni(spec: Yaml) -> None:
    if (single := spec.pop("l2gatewayip", None)) is not None:
        _give(spec, "gatewayIPs", [single], "l2gatewayip")
    if (several := _pop(spec, "l2gatewayips", "l2GatewayIPs")) is not None:
        _give(spec, "gatewayIPs", several, "l2gatewayips")
    for name in ("hostMaster", "hostmaster"):
        if isinstance(master := spec.get(name), dict):
            spec[name] = _host_master(master)


def _host_master(given: Yaml) -> Yaml:
    master = dict(given)
    if isinstance(kind := master.get("type"), str):
        master["type"] = BRIDGE_TYPES.get(kind, kind)
    if master.keys() & {"name", "autocreate", "autoCreate"}:  # the oldest form, without a union
        flat = {k: master.pop(k) for k in ("name", "autocreate", "autoCreate") if k in master}
        union = "ovsBridge" if master.get("type") == "OVSBridge" else "linuxBridge"
        _give(master, union, flat, "autocreate")
    for name in ("linuxBridge", "linuxbridge", "ovsBridge", "ovsbridge"):
        bridge = master.get(name)
        if isinstance(bridge, dict) and "lifecycle" not in bridge:
            bridge = dict(bridge)
            automatic = _flag(bridge, "autoCreate", "autocreate")
            if automatic is not None or "name" in bridge:
                bridge["lifecycle"] = "Managed" if automatic else "External"
            if automatic and not bridge.get("name"):
                bridge.pop("name", None)
            master[name] = bridge
    return master


def _seconds(value: object, name: str) -> int:
    """Read a Go duration such as `1m30s`, which must be whole seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value) if isinstance(value, str) else []
    if not parts or "".join(n + unit for n, unit in parts) != value:
        raise refusal(f"`{name}` is not a duration such as 90s")
    seconds = sum((float(n) * UNIT_S[unit] for n, unit in parts), 0.0)
    if not seconds.is_integer():  # infinity is none
        raise refusal(f"`{name}` is not a whole number of seconds")
    return int(seconds)


def _flag(given: Yaml, *names: str) -> bool | None:
    value = _pop(given, *names)
    if not isinstance(value, bool | None):
        raise refusal(f"the older `{names[0]}` is true or false")
    return value


def _pop(spec: Yaml, *names: str) -> object:
    """Take a field away, by whichever of its spellings is there, and return its value."""
    found = [name for name in names if name in spec]
    if len(found) > 1:
        raise refusal(f"`{found[0]}` is given twice, once as `{found[1]}`")
    return spec.pop(found[0]) if found else None


def _give(spec: Yaml, name: str, value: object, old: str) -> None:
    if name in spec:
        raise refusal(f"`{old}` is the older name of `{name}`; give one of them")
    spec[name] = value


_REWRITES: dict[str, Callable[[Yaml], None]] = {
    "Underlay": _underlay,
    "L3VNI": _with_host_session,
    "L3Passthrough": _with_host_session,
    "L2VNI": _l2vni,
}
