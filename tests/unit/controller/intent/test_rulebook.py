"""Every rule has a test, and docs/RULES.md says which.

`UPDATE_VECTORS=1 pytest` writes the page anew.
"""

from __future__ import annotations

import importlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.unit.controller.intent.rulebook import BOOK, RULES
from tests.unit.controller.intent.rulebook_differences import ABSENT

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "RULES.md"

HEAD = """# Rules

Every rule of the resources of [MANIFESTS.md](MANIFESTS.md) and of what comes of them, with the
tests that enforce it: those of `netns` need a real kernel, those of `lab` real FRR, all others
nothing. This page is generated from them: a test fails while it is not current, and while a rule
has no test. `UPDATE_VECTORS=1 pytest tests/unit/controller/intent/test_rulebook.py` writes it. What
is "ours" is not OpenPERouter's.
"""


def modules() -> Iterator[ModuleType]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.name != Path(__file__).name and "rulebook" in path.read_text():
            yield importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def enforcers() -> dict[str, dict[str, int]]:
    """Return by rule the tests that enforce it, and with how many cases."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for module in modules():
        for name, test in vars(module).items():
            if name.startswith("test_"):
                for identity in _rules(test):
                    found[identity][f"{module.__name__.removeprefix('tests.')}.{name}"] += 1
    return found


def _rules(test: Any) -> Iterator[str]:  # noqa: ANN401 - a function that pytest has marked
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "rule":
            yield from mark.args
        elif mark.name == "parametrize":
            for parameter in mark.args[1]:
                marks = getattr(parameter, "marks", ())
                yield from (i for m in marks if m.name == "rule" for i in m.args)


def page() -> str:
    found = enforcers()
    parts = [HEAD]
    for title, rules in BOOK.items():
        parts.append(f"\n## {title}\n\n| rule | says | enforced by |\n|---|---|---|\n")
        parts += [_row(f"`{i}`", says, _tests(found[i])) for i, says in rules.items()]
    parts.append("\n## What has no counterpart\n\n| there | here |\n|---|---|\n")
    parts += [_row(there, here) for there, here in ABSENT.items()]
    return "".join(parts)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _tests(tests: dict[str, int]) -> str:
    shown = [f"`{name}`" + (f" ({n} cases)" if n > 1 else "") for name, n in sorted(tests.items())]
    return "<br>".join(shown)


def test_every_rule_is_in_one_part_of_the_book() -> None:
    assert len(RULES) == sum(len(rules) for rules in BOOK.values())


def test_what_the_page_refers_to_is_there() -> None:
    targets = re.findall(r"\]\(([^)#]+)", page())
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []


def test_every_rule_has_a_test() -> None:
    found = enforcers()
    assert [identity for identity in RULES if identity not in found] == []


def test_the_page_of_rules_is_current() -> None:
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(page())
    assert PAGE.exists()
    assert PAGE.read_text() == page()
