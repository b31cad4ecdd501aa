"""Events of events.k8s.io/v1: what `kubectl describe` shows below an object. Pure.

An Event that repeats one of the last `SERIES_S` increments the count of that one: a condition that
changes every minute for a day causes one Event, not 1,440.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from controller.kubernetes.objects import Object
from controller.operator.lease import micro_time

GROUP = "events.k8s.io/v1"
CONTROLLER = "dualpath.io/operator"
SERIES_S = 600.0
MOST_SERIES = 4096
LONGEST_NOTE = 1000  # characters; the API server accepts 1024 bytes
LONGEST_INSTANCE = 128
EVERYWHERE = "default"  # of Events about cluster-wide objects, such as Nodes


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """The contents of an Event."""

    regarding: Regarding
    reason: str
    text: str
    warning: bool = False
    action: str = "Report"

    @property
    def namespace(self) -> str:
        return self.regarding.namespace or EVERYWHERE


@dataclass(frozen=True, slots=True)
class Published:
    """A created Event."""

    name: str
    count: int
    at_s: float


def regarding(kind: str, group: str, item: Object) -> Regarding:
    metadata = item["metadata"]
    namespace, uid = (str(metadata.get(name) or "") for name in ("namespace", "uid"))
    return Regarding(group, kind, metadata["name"], namespace, uid)


class Series:
    """The Events of the last `SERIES_S`."""

    def __init__(self) -> None:
        self._published: dict[Note, Published] = {}

    def repeats(self, note: Note, now_s: float) -> Published | None:
        """Return the Event that a note repeats, with its new count; None for a new Event."""
        event = self._published.get(note)
        if event is None or now_s - event.at_s > SERIES_S:
            return None
        return Published(event.name, event.count + 1, now_s)

    def made(self, note: Note, event: Published) -> None:
        """Note that an Event was created or counted."""
        self._published.pop(note, None)
        self._published[note] = event
        while len(self._published) > MOST_SERIES:
            del self._published[next(iter(self._published))]


def body(note: Note, instance: str, at: datetime) -> Object:
    """Return a new Event."""
    when = micro_time(at)
    return {
        "apiVersion": GROUP,
        "kind": "Event",
        "metadata": {"name": _name(note, when), "namespace": note.namespace},
        "eventTime": when,
        "type": "Warning" if note.warning else "Normal",
        "reason": note.reason,
        "action": note.action,
        "note": _cut(note.text),
        "regarding": _reference(note.regarding),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:LONGEST_INSTANCE],
    }


def series(event: Published, at: datetime) -> Object:
    """Return the merge patch that increments an Event's count."""
    return {"series": {"count": event.count, "lastObservedTime": micro_time(at)}}


def _reference(about: Regarding) -> Object:
    reference = {
        "apiVersion": about.api_version,
        "kind": about.kind,
        "name": about.name,
        "namespace": about.namespace,
        "uid": about.uid,
    }
    return {name: text for name, text in reference.items() if text}


def _name(note: Note, when: str) -> str:
    digest = hashlib.sha256(f"{note.reason} {note.text} {when}".encode()).hexdigest()[:16]
    return f"{note.regarding.name[:200].rstrip('.-')}.{digest}"


def _cut(text: str) -> str:
    return text.encode()[:LONGEST_NOTE].decode(errors="ignore")
