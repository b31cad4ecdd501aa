"""docs/MANIFESTS.md shows where our verdict differs from OpenPERouter's schemas, and their samples
are taken.

`UPDATE_VECTORS=1 pytest` writes the tables anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from controller.intent.documents import read
from controller.intent.loader import merge
from tests.unit.controller.intent.crd import FIELDS, VECTORS
from tests.unit.controller.intent.crd_differences import DIFFERENT, REFUSED, SAMPLES

PAGE = Path(__file__).parents[4] / "docs" / "MANIFESTS.md"
TABLES = re.compile(r"(?<=crd_differences.py -->\n).*(?=<!-- end -->)", re.DOTALL)
FILES = sorted((VECTORS / "samples").glob("*.yaml"))


def tables() -> str:
    refused = "".join(_row(path, why) for path, why in REFUSED.items())
    different = "".join(_row(field, why) for field, why in DIFFERENT.items())
    return (
        f"\n| refused | why |\n|---|---|\n{refused}"
        "\nAnd where a value is judged otherwise than by them, in whatever kind has the field:\n"
        f"\n| field | takes |\n|---|---|\n{different}\n"
    )


def _row(field: str, why: str) -> str:
    name, _, value = field.partition("=")
    return f"| `{name}`{f' `{value}`' if value else ''} | {why} |\n"


def test_the_page_of_manifests_shows_every_difference() -> None:
    text = PAGE.read_text()
    current, found = TABLES.subn(lambda _: tables(), text)
    assert found == 1
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(current)
        text = current
    assert text == current


def test_every_difference_is_about_a_field_that_there_is() -> None:
    assert {*DIFFERENT} <= {path.partition(".")[2] for path in FIELDS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_sample_is_taken_or_listed(path: Path) -> None:
    rejected = merge(read(path.read_text(), path.name)).rejected
    assert bool(rejected) is (path.name in SAMPLES), rejected
    assert all("CNIDevice" in status.message for status in rejected)


def test_there_are_samples_and_those_that_are_listed_are_there() -> None:
    assert len(FILES) == 17
    assert {*SAMPLES} <= {path.name for path in FILES}
