"""docs/MANIFESTS.md lists every difference from OpenPERouter's schemas; its samples are accepted.

`UPDATE_VECTORS=1 pytest` writes the lists.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import TextWrapper

import pytest

from controller.intent.documents import read
from controller.intent.loader import merge
from tests.unit.controller.intent.crd import FIELDS, VECTORS
from tests.unit.controller.intent.crd_differences import DIFFERENT, REFUSED, SAMPLES

PAGE = Path(__file__).parents[4] / "docs" / "MANIFESTS.md"
LISTS = re.compile(r"(?<=crd_differences.py -->\n).*(?=<!-- end -->)", re.DOTALL)
FILES = sorted((VECTORS / "samples").glob("*.yaml"))


def lists() -> str:
    refused = "".join(_item(path, why) for path, why in REFUSED.items())
    different = "".join(_item(field, why) for field, why in DIFFERENT.items())
    return (
        f"\n{refused}"
        "\nThese fields, in any kind, accept other values than the schemas do:\n"
        f"\n{different}\n"
    )


def _item(field: str, why: str) -> str:
    name, _, value = field.partition("=")
    text = f"`{name}`{f' `{value}`' if value else ''}: {why}."
    wrapper = TextWrapper(100, "- ", "  ", break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(text) + "\n"


def test_page_lists_every_difference_from_the_crd() -> None:
    text = PAGE.read_text()
    current, found = LISTS.subn(lambda _: lists(), text)
    assert found == 1
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(current)
        text = current
    assert text == current


def test_every_difference_names_an_existing_field() -> None:
    assert {*DIFFERENT} <= {path.partition(".")[2] for path in FIELDS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_sample_is_accepted_or_listed(path: Path) -> None:
    rejected = merge(read(path.read_text(), path.name)).rejected
    assert bool(rejected) is (path.name in SAMPLES), rejected
    assert all("CNIDevice" in status.message for status in rejected)


def test_all_samples_are_present_and_so_are_the_listed_ones() -> None:
    assert len(FILES) == 17
    assert {*SAMPLES} <= {path.name for path in FILES}
