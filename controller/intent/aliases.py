"""Rewrites older forms of the resources into today's, where more than letter case differs. Pure.

Input and output are plain values, as parsed from YAML. Unknown fields stay, and the models report
them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from controller.intent.rules import Complaints, closest

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
OLDER = {
    **{new: (old,) for old, new in DURATIONS.items()},
    "interfaces": ("nics",),
    "tunnelEndpoint": ("evpn", "vtepcidr", "vtepCIDR"),
    "properties": ("ebgpMultiHop",),
    "gatewayIPs": ("l2gatewayip", "l2gatewayips", "l2GatewayIPs"),
    "sessionMode": ("passiveMode",),
    "minimumTTL": ("minimumTtl",),
}
"""Older names of a field, by today's name: for finding its line in a manifest."""
EVPN = ("vtepcidr", "vtepCIDR")
UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def modernise(kind: str, spec: object, complaints: Complaints) -> object:
    """Return the spec of a resource with its older forms replaced.

    A form without an equivalent is left out, with a complaint.
    """
    rewrite = _REWRITES.get(kind)
    if rewrite is None or not isinstance(spec, dict):
        return spec
    copy = dict(spec)
    rewrite(copy, complaints)
    return copy


def _underlay(spec: Yaml, complaints: Complaints) -> None:
    if isinstance(nics := spec.pop("nics", None), list):
        _give(
            spec,
            "interfaces",
            [{"type": "NetworkDevice", "networkDevice": {"interfaceName": n}} for n in nics],
            "nics",
            complaints,
        )
    elif nics is not None:
        complaints.add("`nics` is not a list", "nics")
    for where in (_evpn(spec.pop("evpn", None), complaints), spec):
        if (vtep := _pop(where, complaints, *EVPN)) is not None:
            _give(spec, "tunnelEndpoint", {"cidrs": [vtep]}, "vtepcidr", complaints)
    if isinstance(neighbors := spec.get("neighbors"), list):
        spec["neighbors"] = [
            _neighbor(n, complaints.at("neighbors", i)) if isinstance(n, dict) else n
            for i, n in enumerate(neighbors)
        ]


def _evpn(given: object, complaints: Complaints) -> Yaml:
    """Return the VTEPs of an older Underlay, whose `evpn` contained nothing else."""
    if not isinstance(given, dict | None):
        complaints.add("`evpn` is not a mapping", "evpn")
        return {}
    evpn: Yaml = dict(given or {})
    for name in [name for name in evpn if name not in EVPN]:
        del evpn[name]
        if str(name).lower() == "vtepinterface":
            text = "`evpn.vtepInterface` is not supported; give tunnelEndpoint.cidrs"
            complaints.add(text, "evpn", name)
        else:
            complaints.add("unknown field", "evpn", name, meant=closest(name, EVPN))
    return evpn


def _neighbor(given: Yaml, complaints: Complaints) -> Yaml:
    neighbor = _session(given, complaints)
    multihop = neighbor.pop("ebgpMultiHop", None)
    if multihop is True:
        _give(
            neighbor,
            "properties",
            [{"type": "ebgpMultiHop", "ebgpMultiHop": {"ttl": 255}}],
            "ebgpMultiHop",
            complaints,
        )
    elif multihop not in (None, False):
        complaints.add("the older `ebgpMultiHop` is true or false", "ebgpMultiHop")
    return neighbor


def _with_host_session(spec: Yaml, complaints: Complaints) -> None:
    for name in ("hostSession", "hostsession"):
        session = spec.get(name)
        if not isinstance(session, dict):
            continue
        session = _session(session, complaints.at(name))
        if name == "hostsession" and not session.get("hostasn"):
            # In the old group, an internal session had no host ASN, or 0.
            session.pop("hostasn", None)
            if not session.keys() & {"hostASN", "hostType", "hosttype"}:
                session["hostType"] = "Internal"
        spec[name] = session


def _session(given: Yaml, complaints: Complaints) -> Yaml:
    session = dict(given)
    for old, new in DURATIONS.items():
        duration = session.pop(old, None)
        if duration is not None and (seconds := _seconds(duration, old, complaints)) is not None:
            _give(session, new, seconds, old, complaints)
    if isinstance(bfd := session.get("bfd"), dict):
        session["bfd"] = bfd = dict(bfd)
        of_bfd = complaints.at("bfd")
        if "minimumTtl" in bfd:
            _give(bfd, "minimumTTL", bfd.pop("minimumTtl"), "minimumTtl", of_bfd)
        if bfd.get("echoMode") is False:
            del bfd["echoMode"]
        if (passive := _flag(bfd, of_bfd, "passiveMode")) is not None:
            _give(bfd, "sessionMode", "Passive" if passive else "Active", "passiveMode", of_bfd)
    return session


def _l2vni(spec: Yaml, complaints: Complaints) -> None:
    if (single := spec.pop("l2gatewayip", None)) is not None:
        _give(spec, "gatewayIPs", [single], "l2gatewayip", complaints)
    if (several := _pop(spec, complaints, "l2gatewayips", "l2GatewayIPs")) is not None:
        _give(spec, "gatewayIPs", several, "l2gatewayips", complaints)
    for name in ("hostMaster", "hostmaster"):
        if isinstance(master := spec.get(name), dict):
            spec[name] = _host_master(master, complaints.at(name))


def _host_master(given: Yaml, complaints: Complaints) -> Yaml:
    master = dict(given)
    if isinstance(kind := master.get("type"), str):
        master["type"] = BRIDGE_TYPES.get(kind, kind)
    if master.keys() & {"name", "autocreate", "autoCreate"}:  # the oldest form, without a union
        flat = {k: master.pop(k) for k in ("name", "autocreate", "autoCreate") if k in master}
        union = "ovsBridge" if master.get("type") == "OVSBridge" else "linuxBridge"
        _give(master, union, flat, "autocreate", complaints)
    for name in ("linuxBridge", "linuxbridge", "ovsBridge", "ovsbridge"):
        bridge = master.get(name)
        if isinstance(bridge, dict) and "lifecycle" not in bridge:
            bridge = dict(bridge)
            automatic = _flag(bridge, complaints, "autoCreate", "autocreate")
            if automatic is not None or "name" in bridge:
                bridge["lifecycle"] = "Managed" if automatic else "External"
            if automatic and not bridge.get("name"):
                bridge.pop("name", None)
            master[name] = bridge
    return master


def _seconds(value: object, name: str, complaints: Complaints) -> int | None:
    """Read a Go duration such as `1m30s`, which must be whole seconds."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value) if isinstance(value, str) else []
    if not parts or "".join(n + unit for n, unit in parts) != value:
        complaints.add(f"`{name}` is not a duration such as 90s", name)
        return None
    seconds = sum((float(n) * UNIT_S[unit] for n, unit in parts), 0.0)
    if not seconds.is_integer():  # no number of seconds for infinity
        complaints.add(f"`{name}` is not a whole number of seconds", name)
        return None
    return int(seconds)


def _flag(given: Yaml, complaints: Complaints, *names: str) -> bool | None:
    value = _pop(given, complaints, *names)
    if isinstance(value, bool | None):
        return value
    complaints.add(f"the older `{names[0]}` is true or false", names[0])
    return None


def _pop(spec: Yaml, complaints: Complaints, *names: str) -> object:
    """Remove a field, under any of its names, and return its value."""
    found = [name for name in names if name in spec]
    if len(found) > 1:
        complaints.add(f"`{found[0]}` is given twice, once as `{found[1]}`", found[1])
    values = [spec.pop(name) for name in found]
    return values[0] if values else None


def _give(spec: Yaml, name: str, value: object, old: str, complaints: Complaints) -> None:
    if name in spec:
        complaints.add(f"`{old}` is the older name of `{name}`; give one of them", old)
    else:
        spec[name] = value


_REWRITES: dict[str, Callable[[Yaml, Complaints], None]] = {
    "Underlay": _underlay,
    "L3VNI": _with_host_session,
    "L3Passthrough": _with_host_session,
    "L2VNI": _l2vni,
}
