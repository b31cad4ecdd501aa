"""How a check reports a violation of the contract. Not by `assert`, which -O removes."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Set as AbstractSet

SHOWN = 5


class Violation(Exception):
    """The datapath breaks the contract; the text says how."""


def expect(got: object, wanted: object, what: str) -> None:
    """Raise Violation unless both are equal; for sets and dicts it shows the difference."""
    if got == wanted:
        return
    if isinstance(got, AbstractSet) and isinstance(wanted, AbstractSet):
        raise Violation(f"{what}: missing {_some(wanted - got)}, unexpected {_some(got - wanted)}")
    if isinstance(got, dict) and isinstance(wanted, dict):
        missing, extra = wanted.items() - got.items(), got.items() - wanted.items()
        raise Violation(f"{what}: missing {_some(missing)}, unexpected {_some(extra)}")
    raise Violation(f"{what}: got {got}, wanted {wanted}")


def expect_none(failures: Collection[object], what: str) -> None:
    """Raise Violation if a row failed in a batch that must succeed."""
    if failures:
        raise Violation(f"{what}: {_some(failures)}")


def _some(values: Collection[object]) -> str:
    if not values:
        return "nothing"
    shown = ", ".join(sorted(map(str, values))[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown} and {len(values) - SHOWN} more"
