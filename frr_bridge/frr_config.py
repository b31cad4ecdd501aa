"""Render frr.conf from settings. Pure: it knows neither files nor FRR's state.

The text is in FRR's canonical form, since frr-reload.py compares it with `show running-config`
line by line: a line that FRR prints differently is applied again by every reload, and some lines
reset sessions (`fpm address` with its default port resets FPM).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass

import jinja2

from dualpath.model.frr import (
    BGP_PORT,
    BfdProfile,
    BgpInstance,
    FrrSettings,
    NeighborFamily,
    PrefixList,
    PrefixRule,
    RawSnippet,
    VniTargets,
)
from dualpath.model.redact import secret_head

PERMISSIVE = "permissive"
"""A route-map that permits everything; intent may name it for a session."""

# FRR omits these defaults from its running configuration.
DEFAULTS: dict[str, int | str] = {
    "LOG_LEVEL": "debugging",
    "FPM_PORT": 2620,  # FPM_DEFAULT_PORT in fpm/fpm.h
    "BGP_PORT": BGP_PORT,
    "MAX_TTL": 255,
    "RESTART_S": 120,  # BGP_DEFAULT_RESTART_TIME
    "STALE_S": 360,  # BGP_DEFAULT_STALEPATH_TIME
    "LISTEN_LIMIT": 100,  # BGP_DYNAMIC_NEIGHBORS_LIMIT_DEFAULT
    "PERMISSIVE": PERMISSIVE,
}
COALESCE_MS = 6000
"""How long a session's first announcement waits where graceful restart is on: a failed attempt to
connect (CONNECT_S of intent) and one second, so that every session of a bgpd that has just started
is established and has sent its routes (decision 0065)."""

ISIS_LEVELS = {1: "level-1", 2: "level-2-only"}
BFD_DEFAULTS = {"detect-multiplier": 3, "transmit-interval": 300, "receive-interval": 300}
BFD_MINIMUM_TTL = 254
SEQUENCE = 5  # between lines of a prefix-list

SNIPPET = "RawFRRConfig"
"""A comment line before a snippet: this word and the snippet's name."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VRF = re.compile(r"^vrf (\S+)$", re.MULTILINE)
_ROUTER = re.compile(r"^router bgp ")
_SECTION = re.compile(
    rf"! (?P<snippet>{SNIPPET} \S+)$|vrf (?P<vrf>\S+)$"
    r"|(?P<router>router (?:bgp|isis)) \S+(?: vrf (?P<tenant>\S+))?$|interface \S+$"
)


def render(settings: FrrSettings) -> str:
    """Return frr.conf. Raises ValueError when a value could break out of its line."""
    _refuse_control_characters(settings)
    return _ENVIRONMENT.get_template("frr.conf.j2").render(s=settings)


def secret_changes(old: str, new: str) -> str:
    """Return commands that replace the secrets of `old` by those of `new`, "" for none.

    frr-reload.py would remove an old secret with a command line that any user can see. These
    commands are applied first, from a file, so that frr-reload.py finds nothing to remove.
    """
    before, after = _secrets(old), _secrets(new)
    commands: list[str] = []
    for (context, head), lines in before.items():
        wanted = after.get((context, head), [])
        if gone := [line for line in lines if line not in wanted]:
            commands += context
            commands += _without(context, head, gone, wanted)
            commands += ["exit"] * len(context)
    return "".join(f"{command}\n" for command in commands)


def _without(
    context: tuple[str, ...], head: str, gone: list[str], wanted: list[str]
) -> Iterator[str]:
    """Yield commands that replace each secret by the wanted one.

    BGP replaces a password in place. Elsewhere the old one is removed first: OSPF refuses a key
    whose number is in use. Daemons differ in how much of a command they accept after `no`, so
    each is tried in full, then without its secret; vtysh continues after a refusal.
    """
    if context[:1] and _ROUTER.match(context[0]):
        yield from wanted or [f" no {head.strip()}"]
        return
    indent = " " * len(context)
    yield from (f"{indent}no {line.strip()}" for line in gone)
    yield f"{indent}no {head.strip()}"
    yield from wanted


def vrf_restatement(failed: str, wanted: str) -> str:
    """Return commands that repeat the VRFs of `wanted` after FRR refused `failed`.

    mgmtd keeps a refused change in its candidate configuration, and refuses every later change
    together with it. FRR does not show it, so frr-reload.py cannot find it.
    """
    keep, drop = _vrfs(wanted), _vrfs(failed)
    commands = [f"no vrf {name}" for name in drop if name not in keep]
    for name, vni in keep.items():
        commands += [f"vrf {name}", f" vni {vni}", "exit-vrf"]
    return "".join(f"{command}\n" for command in commands)


def forgotten_vrfs(running: str, wanted: str) -> str:
    """Return commands that remove VRFs of `running` that `wanted` lacks, "" for none.

    frr-reload.py empties them, but does not remove them.
    """
    keep = set(_VRF.findall(wanted))
    return "".join(f"no vrf {name}\n" for name in _VRF.findall(running) if name not in keep)


def section_of_line(text: str, number: int) -> str:
    """Return the origin of a line (counted from 1): a snippet, a VRF, BGP or IS-IS; "" for none."""
    section = ""
    for line in text.splitlines()[:number]:
        match = _SECTION.match(line)
        if match and match["snippet"]:
            section = match["snippet"]
        elif match and not section.startswith(SNIPPET):  # snippets come last
            vrf = match["vrf"] or match["tenant"]
            section = f"vrf {vrf}" if vrf else match["router"] or "router isis"
    return section


def section_of(text: str, lines: Collection[str]) -> str:
    """Return the origin of some lines: a snippet with one of them, else the first origin found."""
    found = [
        section_of_line(text, number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() in lines
    ]
    return min(filter(None, found), key=lambda s: not s.startswith(SNIPPET), default="")


def _vrfs(text: str) -> dict[str, str]:
    return dict(re.findall(r"^vrf (\S+)\n vni (\d+)$", text, re.MULTILINE))


def _secrets(text: str) -> dict[tuple[tuple[str, ...], str], list[str]]:
    """Return the lines with secrets, by context and by the words before the secret."""
    found: dict[tuple[tuple[str, ...], str], list[str]] = {}
    context: list[str] = []
    for line in text.splitlines():
        depth = len(line) - len(line.lstrip())
        if head := secret_head(line):
            found.setdefault((tuple(context[:depth]), head), []).append(line)
        if line.strip() and line[depth] != "!":
            context[depth:] = [line]
    return found


def _bfd_lines(profile: BfdProfile) -> Iterator[str]:
    values = profile.detect_multiplier, profile.transmit_ms, profile.receive_ms
    for (name, default), value in zip(BFD_DEFAULTS.items(), values, strict=True):
        if value not in (0, default):
            yield f"{name} {value}"
    if profile.passive:
        yield "passive-mode"
    if profile.minimum_ttl not in (0, BFD_MINIMUM_TTL):
        yield f"minimum-ttl {profile.minimum_ttl}"


def _prefix_lines(listed: PrefixList) -> Iterator[str]:
    """Yield a prefix-list with gaps between its numbers; an empty one would permit everything."""
    start = f"{'ip' if listed.version == 4 else 'ipv6'} prefix-list {listed.name} seq"
    for number, rule in enumerate(listed.rules, 1):
        yield f"{start} {number * SEQUENCE} {_prefix_rule(rule)}"
    if not listed.rules:
        yield f"{start} {SEQUENCE} deny any"


def _prefix_rule(rule: PrefixRule) -> str:
    verb = "permit" if rule.permit else "deny"
    network = ipaddress.ip_network(rule.prefix)
    if not network.prefixlen and not rule.ge and rule.le == network.max_prefixlen:
        return f"{verb} any"
    lengths = f"{f' ge {rule.ge}' if rule.ge else ''}{f' le {rule.le}' if rule.le else ''}"
    return f"{verb} {rule.prefix}{lengths}"


def _family_lines(instance: BgpInstance, family: str) -> list[str]:
    lines = [f"network {n}" for n in instance.networks if _unicast_of(n) == family]
    for neighbor in instance.neighbors:
        for carried in neighbor.families:
            if carried.name == family:
                lines += [f"neighbor {neighbor.peer} {line}" for line in _policy_lines(carried)]
    return lines + list(_evpn_lines(instance)) if family == "l2vpn evpn" else lines


def _policy_lines(family: NeighborFamily) -> Iterator[str]:
    yield "activate"
    if family.route_reflector_client:
        yield "route-reflector-client"
    if family.next_hop_self:
        yield "next-hop-self force"
    if family.allowas_in:
        yield "allowas-in"
    if family.prefixes_in:
        yield f"prefix-list {family.prefixes_in} in"
    if family.prefixes_out:
        yield f"prefix-list {family.prefixes_out} out"
    if family.route_map:
        yield f"route-map {family.route_map} in"
        yield f"route-map {family.route_map} out"


def _evpn_lines(instance: BgpInstance) -> Iterator[str]:
    if instance.advertise_all_vni:
        yield "advertise-all-vni"
    for targets in instance.vnis:
        yield f"vni {targets.vni}"
        yield from (f" {line}" for line in _target_lines(targets))
        yield "exit-vni"
    if instance.advertise_unicast:
        yield "advertise ipv4 unicast"
        yield "advertise ipv6 unicast"
    yield from _target_lines(instance)


def _target_lines(targets: BgpInstance | VniTargets) -> Iterator[str]:
    yield from (f"route-target import {target}" for target in targets.imports)
    yield from (f"route-target export {target}" for target in targets.exports)


def _unicast_of(network: str) -> str:
    return f"ipv{ipaddress.ip_network(network).version} unicast"


def _refuse_control_characters(value: object) -> None:
    """Raise ValueError: a newline in a name would start a command; only raw text may have them."""
    if isinstance(value, RawSnippet):
        value = value.name
    if isinstance(value, str):
        if _CONTROL.search(value):
            raise ValueError("a value for frr.conf holds a control character")
    elif isinstance(value, tuple):
        for item in value:
            _refuse_control_characters(item)
    elif is_dataclass(value):
        for f in fields(value):
            _refuse_control_characters(getattr(value, f.name))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frr_bridge"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(DEFAULTS, bfd_lines=_bfd_lines, family_lines=_family_lines)
    environment.globals.update(prefix_lines=_prefix_lines, SNIPPET=SNIPPET, COALESCE_MS=COALESCE_MS)
    environment.globals.update(ISIS_LEVELS=ISIS_LEVELS)
    return environment


_ENVIRONMENT = _environment()
