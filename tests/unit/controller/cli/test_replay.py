"""`dualpath replay`: what a recording makes the datapath do, without a daemon."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from frr_bridge.recording import pcapng
from tests.unit.controller.cli.conftest import run
from tests.unit.frr_bridge.recording.test_player import LIVE, route, withdrawal

SECOND = 1_000_000


def recording(path: Path, *parts: str | bytes) -> Path:
    """Write a recording with a second between two parts."""
    data = pcapng.head()
    position = 0
    for number, part in enumerate(parts):
        if isinstance(part, bytes):
            data += pcapng.fpm(number * SECOND, 1, position, part)
            position += len(part)
        else:
            data += pcapng.mark(number * SECOND, part)
    path.write_bytes(data)
    return path


@pytest.fixture
def bug(tmp_path: Path) -> Path:
    return recording(tmp_path / "bug.pcapng", *LIVE, route(1), route(2), withdrawal(1))


def replayed(*words: str) -> list[dict[str, Any]]:
    result = run("replay", *words, "-o", "json")
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def test_operations_have_the_times_of_the_recording(bug: Path) -> None:
    routes = [found for found in replayed(str(bug)) if found["kind"] == "route"]
    assert [(it["at_s"], it["op"], it["row"], it["value"]) for it in routes] == [
        (6.0, "+", "20.0.1.0/24", "blackhole"),
        (7.0, "+", "20.0.2.0/24", "blackhole"),
        (8.0, "-", "20.0.1.0/24", ""),
    ]


def test_same_recording_gives_the_same_operations(bug: Path) -> None:
    assert replayed(str(bug)) == replayed(str(bug))


def test_table_ends_with_what_the_datapath_holds(bug: Path) -> None:
    result = run("replay", str(bug))
    assert result.code == 0
    first, *_, last = result.out.splitlines()
    assert first.split() == ["SECONDS", "KIND", "VRF", "ROW", "VALUE"]
    assert last == (
        "9 entries, 8.0 s; session 1 is live; 0 messages not decoded; the datapath holds 1 route"
    )


def test_session_s_states_are_shown(bug: Path) -> None:
    states = [found["value"] for found in replayed(str(bug)) if found["kind"] == "session"]
    assert states == ["idle", "replaying", "converging", "live"]


def test_yaml_has_a_document_for_each_operation(bug: Path) -> None:
    result = run("replay", str(bug), "-o", "yaml")
    assert (result.code, result.err) == (0, "")
    assert list(yaml.safe_load_all(result.out)) == replayed(str(bug))


def test_replay_stops_where_it_is_told_to(bug: Path) -> None:
    found = replayed(str(bug), "--until", "6.5")
    assert [it["row"] for it in found if it["kind"] == "route"] == ["20.0.1.0/24"]


def test_gzipped_recording_is_replayed(bug: Path, tmp_path: Path) -> None:
    packed = tmp_path / "bug.gz"
    packed.write_bytes(gzip.compress(bug.read_bytes()))
    assert replayed(str(packed)) == replayed(str(bug))


def test_speed_takes_a_part_of_the_time(bug: Path) -> None:
    assert replayed(str(bug), "--speed", "1000") == replayed(str(bug))


def test_files_are_replayed_one_after_the_other(bug: Path, tmp_path: Path) -> None:
    rest = recording(tmp_path / "rest.pcapng", "part 2", "state live", withdrawal(2))
    routes = [it["op"] for it in replayed(str(bug), str(rest)) if it["kind"] == "route"]
    assert routes == ["+", "+", "-", "-"]


def test_damaged_recording_is_replayed_as_far_as_it_goes(bug: Path) -> None:
    bug.write_bytes(bug.read_bytes()[:-3])
    result = run("replay", str(bug))
    assert result.code == 1
    assert "20.0.2.0/24" in result.out
    assert f"dualpath: {bug}: cut off at byte" in result.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"hello", "not a recording of frr-bridge; `frr-bridge --record FILE` makes one"),
        (b"\x1f\x8bhello", "the gzip file is damaged"),
        (gzip.compress(pcapng.head())[:-9], "the gzip file is damaged"),
        (gzip.compress(b"hello"), "not a recording"),
    ],
)
def test_foreign_file_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    result = run("replay", str(path))
    assert result.code == 1
    assert f"dualpath: {path}: " in result.err
    assert why in result.err


def test_missing_file_is_named(tmp_path: Path) -> None:
    result = run("replay", str(tmp_path / "none"))
    assert (result.code, result.err) == (
        1,
        f"dualpath: {tmp_path}/none: No such file or directory\n",
    )
