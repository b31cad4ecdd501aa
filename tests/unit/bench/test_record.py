"""The JSON of a run is read as it was written, and nothing else is taken for one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import record as records
from tests.bench.record import SCHEMA, UnknownSchema, begin, read
from tests.unit.bench.build import figure, ratio, record


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    found, path = record(*ratio("a", 0.9, 1.1, routes=5)), tmp_path / "new" / "run.json"
    found.write(path)
    assert read(path) == found


def test_every_key_of_the_description_is_in_the_file() -> None:
    found = record(figure("a", 1.0, routes=5)).as_json()
    described = records.__doc__ or ""
    keys = {*found, *found["machine"], *found["benches"][0], *found["figures"][0]}
    assert [key for key in sorted(keys) if key not in described] == []
    assert found["schema"] == SCHEMA


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    found, path = record(figure("a", 1.0)), tmp_path / "run.json"
    data = found.as_json()
    for one in (data, data["machine"], data["benches"][0], data["figures"][0]):
        one["added-later"] = 1
    path.write_text(json.dumps(data))
    assert read(path) == found


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_anything_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(UnknownSchema, match=r"run\.json"):
        read(path)


def test_a_record_names_this_machine() -> None:
    found = begin("quick")
    assert found.date.endswith("Z")
    assert found.machine.cpus >= 1
    assert found.machine.cpu
    assert found.machine.kernel
