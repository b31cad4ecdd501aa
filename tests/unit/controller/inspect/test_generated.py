from __future__ import annotations

from pathlib import Path

from dualpath.pb.generate import generate, stale


def test_generated_code_is_current(tmp_path: Path) -> None:
    assert stale(generate(tmp_path)) == []


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    wanted = generate(tmp_path) | {"inspect_pb2.py": "", "new_pb2.py": ""}
    assert stale(wanted) == ["inspect_pb2.py", "new_pb2.py"]
