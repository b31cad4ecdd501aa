"""Every rule has a test, and docs/RULES.md lists them.

`UPDATE_VECTORS=1 pytest` writes the page.
"""

from __future__ import annotations

import importlib
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from textwrap import TextWrapper
from types import ModuleType
from typing import Any

from tests.unit.controller.intent.rulebook import BOOK, RULES
from tests.unit.controller.intent.rulebook_differences import ABSENT

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "RULES.md"

HEAD = """# Rules

Every rule of the resources in [MANIFESTS.md](MANIFESTS.md), and of what Dualpath makes of them,
with the tests that enforce it. Tests below `netns` need a real kernel, those below `lab` real FRR,
and those below `unit` nothing. "Dualpath only" means that OpenPERouter does not have it.

A test generates this page from the rules and from the marks of the tests. It fails while the page
is not current, or a rule has no test:
`UPDATE_VECTORS=1 pytest tests/unit/controller/intent/test_rulebook.py` writes the page.
"""
WIDTH = 100


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
        parts.append(f"\n## {title}\n\n")
        for identity, text in rules.items():
            parts.append(_item(f"`{identity}`: {text}"))
            parts += [_item(test, "  - ") for test in _tests(found[identity])]
    parts.append("\n## Without a counterpart\n\nWhat OpenPERouter has, and what Dualpath does:\n\n")
    parts += [_item(f"*{there}*: {here}") for there, here in ABSENT.items()]
    return "".join(parts)


def _item(text: str, mark: str = "- ") -> str:
    """Return an item of a list, wrapped."""
    wrapper = TextWrapper(WIDTH, mark, " " * len(mark))
    wrapper.break_long_words = wrapper.break_on_hyphens = False
    return wrapper.fill(text) + "\n"


def _tests(tests: dict[str, int]) -> Iterator[str]:
    for name, cases in sorted(tests.items()):
        module, _, test = name.rpartition(".")
        yield f"`{module}`: `{test}`" + (f" ({cases} cases)" if cases > 1 else "")


def test_every_rule_is_in_one_part_of_the_rulebook() -> None:
    assert len(RULES) == sum(len(rules) for rules in BOOK.values())


def test_page_refers_to_existing_files() -> None:
    targets = re.findall(r"\]\(([^)#]+)", page())
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []


def test_every_rule_has_a_test() -> None:
    found = enforcers()
    assert [identity for identity in RULES if identity not in found] == []


def test_page_is_current() -> None:
    if os.environ.get("UPDATE_VECTORS"):
        PAGE.write_text(page())
    assert PAGE.exists()
    assert PAGE.read_text() == page()
