"""docs/KUBERNETES.md has every reason, and every field that only Dualpath has."""

from __future__ import annotations

import re
from pathlib import Path

from controller.intent.reasons import Reason
from controller.intent.schema import KINDS
from controller.kubernetes.crd import spec
from tests.unit.controller.intent.crd import FIELDS, fields

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "KUBERNETES.md").read_text()
OPEN = [p for p, s in FIELDS.items() if s.get("x-kubernetes-preserve-unknown-fields")]
"""Objects of which OpenPERouter's schema takes every field."""
REFUSED = ("echoMode", "echoInterval")  # in our schema so that they can be refused


def reasons(page: str) -> list[str]:
    return [r for r in re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) if r in {*Reason}]


def theirs(path: str) -> bool:
    return path in FIELDS or any(path.startswith(f"{whole}.") for whole in OPEN)


def only_ours(kind: str) -> set[str]:
    """Return the fields of a kind that OpenPERouter lacks; of a part, the part alone."""
    ours = {path for path, _ in fields(spec(kind), kind) if not theirs(path)}
    tops = {
        p for p in ours if not any(p != q and re.match(re.escape(q) + r"[.\[]", p) for q in ours)
    }
    return {p.removeprefix(f"{kind}.") for p in tops if not p.endswith(REFUSED)}


def test_every_reason_is_explained() -> None:
    assert reasons(PAGE) == [*Reason]
    manifests = (DOCS / "MANIFESTS.md").read_text()
    assert reasons(manifests) == [r for r in Reason if r is not Reason.CONFIGURATION_SUCCESSFUL]


def test_every_field_that_only_dualpath_has_is_named() -> None:
    found = re.findall(r"^- (`\w+`(?: and `\w+`)?): ((?:.+\n)(?:  .+\n)*)", PAGE, re.MULTILINE)
    listed = {
        kind: {*re.findall(r"`([^`]+)`", names)}
        for kinds, names in found
        for kind in re.findall(r"\w+", kinds)
        if kind in KINDS
    }
    assert listed == {kind: only_ours(kind) for kind in KINDS if only_ours(kind)}


def test_the_search_before_the_way_back_finds_such_fields() -> None:
    (pattern,) = re.findall(r"grep -nE '(.+)' before", PAGE)
    alone = {"dpdk", "datapath", "suppressFIBPending", "hostNetns", "importFilter", "exportFilter"}
    named = {path.rpartition(".")[2] for kind in KINDS for path in only_ours(kind)}
    assert alone <= named
    for name in alone:
        assert re.search(pattern, f"    - {name}:")
        assert re.search(pattern, f"    {name}: x")
    described = PAGE[PAGE.index("OpenPERouter's `hostSession` also has no") :].replace("\n", " ")
    times = {"holdTimeSeconds", "keepaliveTimeSeconds", "connectTimeSeconds"}  # "timers"
    assert {n for n in named - alone - times if f"`{n}`" not in described} == set()
