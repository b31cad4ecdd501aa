"""Manifests that are read again and again: only the documents that changed are parsed."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.intent import documents
from controller.intent.documents import ManifestError, Reader, read
from controller.intent.loader import load
from tests.architecture import ROOT

RED, BLUE = "kind: L3VNI\nmetadata: {name: red}\n", "kind: L3VNI\nmetadata: {name: blue}\n"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the texts that are parsed."""
    texts: list[str] = []
    parse = documents._read

    def note(text: str, path: str, line: int) -> object:
        texts.append(text)
        return parse(text, path, line)

    monkeypatch.setattr(documents, "_read", note)
    return texts


def test_only_a_changed_document_is_parsed_and_the_others_know_their_lines(
    parsed: list[str],
) -> None:
    reader = Reader()
    first = reader.read(f"{RED}---\n{BLUE}", "m.yaml")
    assert [it.source("metadata") for it in first] == ["m.yaml:2", "m.yaml:5"]
    parsed.clear()
    longer = RED + "spec:\n  vni: 7\n"
    second = reader.read(f"{longer}---\n{BLUE}", "m.yaml")
    assert parsed == [longer]
    assert [it.source("metadata") for it in second] == ["m.yaml:2", "m.yaml:7"]
    assert [it.value["metadata"]["name"] for it in second] == ["red", "blue"]
    assert second[0].part("spec").source("vni") == "m.yaml:4"


def test_an_error_has_its_line_and_the_next_read_knows_what_was_good(parsed: list[str]) -> None:
    reader = Reader()
    reader.read(f"{RED}---\n{BLUE}", "m.yaml")
    with pytest.raises(ManifestError, match=r"m\.yaml:5:1: not valid YAML"):
        reader.read(f"{RED}---\nkind: [", "m.yaml")
    parsed.clear()
    reader.read(f"{RED}---\n{BLUE}", "m.yaml")
    assert parsed == []


def test_one_text_in_two_files_is_two_documents() -> None:
    reader = Reader()
    assert [reader.read(RED, path)[0].path for path in ("a.yaml", "b.yaml")] == ["a.yaml", "b.yaml"]


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path, parsed: list[str]) -> None:
    reader = Reader()
    node = tmp_path / "node.yaml"
    node.write_text("kind: Node\napiVersion: dualpath.io/v1alpha1\nspec: {nodeIndex: 1}\n")
    red = tmp_path / "red.yaml"
    for _ in range(2):
        red.write_text(RED)
        load([tmp_path], reader=reader)
        red.unlink()
        load([tmp_path], reader=reader)
    assert parsed.count(RED) == 2


def test_loading_changes_no_document() -> None:
    """They are used again by the next load."""
    reader = Reader()
    examples = sorted((ROOT / "examples").rglob("*.yaml"))
    assert examples
    for path in examples:
        load([path], reader=reader)
        after = reader.read(path.read_text(), str(path))
        assert [it.value for it in after] == [it.value for it in read(path.read_text(), str(path))]
