"""What happened between two answers of the daemon, for the time line. Pure.

The journal of changes has rows. That a session went down, a port lost its link or a datapath took
over is in no journal: it is the difference between two answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Plain = Mapping[str, Any]


class Tone(StrEnum):
    """How a page shows an entry."""

    BAD = "bad"
    GOOD = "good"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Entry:
    tone: Tone
    subject: str  # what it is about: "BGP 192.0.2.1", "port eth1"
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Two parts of the page, as `picture` returns them."""

    status: Plain
    ports: list[dict[str, Any]] = field(default_factory=list)


def differences(before: Seen, after: Seen) -> Iterator[Entry]:
    """Yield one entry for each fault that began or ended."""
    if before.status["started"] != after.status["started"]:
        yield Entry(Tone.NOTE, "controller", "started again")
    yield from _sentence(before.status, after.status)
    yield from _feed(before.status, after.status)
    yield from _sessions(before.status, after.status)
    yield from _links(before, after)
    yield from _planes(before.status, after.status)
    yield from _failed(before.status, after.status)


def _sentence(before: Plain, after: Plain) -> Iterator[Entry]:
    if before["not_ready"] != after["not_ready"]:
        if after["not_ready"]:
            yield Entry(Tone.BAD, "node", f"not ready: {after['not_ready']}")
        else:
            yield Entry(Tone.GOOD, "node", "ready")
    if before["degraded"] != after["degraded"]:
        if after["degraded"]:
            yield Entry(Tone.BAD, "node", f"degraded: {after['degraded']}")
        else:
            yield Entry(Tone.GOOD, "node", "no longer degraded")
    if before["trial"] != after["trial"]:
        yield Entry(Tone.NOTE, "trial", after["trial"] or "ended")


def _feed(before: Plain, after: Plain) -> Iterator[Entry]:
    was, now = ((it["session"], it["session_state"]) for it in (before, after))
    if was != now:
        tone = Tone.GOOD if now[1] == "live" else Tone.BAD
        reason = f": {after['reason']}" if after["reason"] else ""
        yield Entry(tone, f"FPM session {now[0]}", f"{now[1]}{reason}")
    if before["bridge"] != after["bridge"]:
        tone = Tone.GOOD if after["bridge"] == "connected" else Tone.BAD
        yield Entry(tone, "frr-bridge", after["bridge"])


def _sessions(before: Plain, after: Plain) -> Iterator[Entry]:
    was = {(it["vrf"], it["peer"]): it for it in before["sessions"]}
    now = {(it["vrf"], it["peer"]): it for it in after["sessions"]}
    for key, it in now.items():
        old = was.get(key)
        if old is None or (old["state"], old["bfd"]) == (it["state"], it["bfd"]):
            continue
        up = it["state"] == "Established"
        if old["state"] != it["state"]:
            if not up and old["state"] != "Established":
                continue  # Idle, Connect, Active: still down
            reason = f": {it['reason']}" if it["reason"] and not up else ""
            tone = Tone.GOOD if up else Tone.BAD
            yield Entry(tone, f"BGP {it['peer']}", f"{it['state']}{reason}")
        elif it["bfd"]:
            tone = Tone.GOOD if it["bfd"] == "Up" else Tone.BAD
            yield Entry(tone, f"BFD {it['peer']}", it["bfd"])
    for vrf, peer in was.keys() - now.keys():
        yield Entry(Tone.NOTE, f"BGP {peer}", f"removed from VRF {vrf}")


def _links(before: Seen, after: Seen) -> Iterator[Entry]:
    was = {it["name"]: it["link"] for it in before.ports}
    for it in after.ports:
        old, link = was.get(it["name"], it["link"]), it["link"]
        if old != link and "unknown" not in (old, link):
            yield Entry(Tone.GOOD if link == "up" else Tone.BAD, f"port {it['name']}", link)


def _planes(before: Plain, after: Plain) -> Iterator[Entry]:
    if before["datapath"] != after["datapath"]:
        text = f"{after['datapath']} is active, was {before['datapath']}"
        yield Entry(Tone.NOTE, "datapath", text)
    was = {it["name"]: it for it in before["planes"]}
    now = {it["name"]: it for it in after["planes"]}
    for name, it in now.items():
        old = was.get(name)
        if old is None or old["role"] != it["role"]:
            yield Entry(Tone.NOTE, f"datapath {name}", it["role"])
        if old and old["ports"] != it["ports"] and (moved := set(it["ports"]) - set(old["ports"])):
            yield Entry(Tone.NOTE, f"datapath {name}", f"took {', '.join(sorted(moved))}")
        if it["problem"] and (old is None or old["problem"] != it["problem"]):
            yield Entry(Tone.BAD, f"datapath {name}", it["problem"])
    for name in was.keys() - now.keys():
        yield Entry(Tone.NOTE, f"datapath {name}", "removed")


def _failed(before: Plain, after: Plain) -> Iterator[Entry]:
    was = {it["kind"]: it["failed"] for it in before["counts"]}
    for it in after["counts"]:
        old, failed = was.get(it["kind"], 0), it["failed"]
        if failed > old:
            yield Entry(Tone.BAD, f"{it['kind']} rows", f"{failed} refused by the datapath")
        elif old and not failed:
            yield Entry(Tone.GOOD, f"{it['kind']} rows", "none refused any more")
