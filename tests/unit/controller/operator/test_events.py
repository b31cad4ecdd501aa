"""Events: what they hold, and which one repeats another."""

from __future__ import annotations

from datetime import UTC, datetime

from controller.operator import events
from controller.operator.events import Note, Published, Series

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
RED = {"metadata": {"name": "red", "namespace": "team", "uid": "u-1"}}
ABOUT = events.regarding("L3VNI", "network.openperouter.io/v1alpha1", RED)
NOTE = Note(ABOUT, "ValidationFailed", "1 of 2 nodes: a: no", warning=True)


def test_an_event_is_about_its_object_in_its_namespace() -> None:
    made = events.body(NOTE, "op-1", AT)
    assert made["metadata"]["namespace"] == "team"
    assert made["regarding"] == {
        "apiVersion": "network.openperouter.io/v1alpha1",
        "kind": "L3VNI",
        "name": "red",
        "namespace": "team",
        "uid": "u-1",
    }
    assert (made["type"], made["reason"]) == ("Warning", "ValidationFailed")
    assert made["eventTime"] == "2026-11-30T12:00:00.000000Z"


def test_an_event_about_a_node_is_in_the_default_namespace() -> None:
    about = events.regarding("Node", "v1", {"metadata": {"name": "n1"}})
    made = events.body(Note(about, "NodeNumbered", "number 0"), "op", AT)
    assert made["metadata"]["namespace"] == "default"
    assert made["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": "n1"}


def test_a_long_note_and_a_long_name_fit() -> None:
    long = events.regarding("L3VNI", "g/v1", {"metadata": {"name": "r" * 253}})
    made = events.body(Note(long, "Progressing", "ä" * 5000), "i" * 300, AT)
    assert len(made["note"].encode()) <= 1024
    assert len(made["metadata"]["name"]) <= 253
    assert len(made["reportingInstance"]) <= 128


def test_the_same_again_counts_and_makes_no_other_event() -> None:
    series = Series()
    assert series.repeats(NOTE, 0.0) is None
    series.made(NOTE, Published("e", 1, 0.0))
    again = series.repeats(NOTE, 60.0)
    assert again == Published("e", 2, 60.0)
    series.made(NOTE, Published("e", 2, 60.0))
    assert series.repeats(NOTE, 60.0 + events.SERIES_S) == Published("e", 3, 60.0 + events.SERIES_S)
    assert series.repeats(NOTE, 61.0 + events.SERIES_S) is None


def test_another_reason_or_object_is_another_event() -> None:
    series = Series()
    series.made(NOTE, Published("e", 1, 0.0))
    other = Note(ABOUT, "Progressing", NOTE.text, warning=True)
    assert series.repeats(other, 1.0) is None


def test_memory_for_series_has_a_limit() -> None:
    series = Series()
    for number in range(events.MOST_SERIES + 10):
        series.made(Note(ABOUT, "Progressing", str(number)), Published(str(number), 1, 0.0))
    assert series.repeats(Note(ABOUT, "Progressing", "0"), 1.0) is None
    assert series.repeats(Note(ABOUT, "Progressing", str(events.MOST_SERIES)), 1.0) is not None
