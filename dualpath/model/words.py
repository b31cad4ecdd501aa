"""Counts and errnos as text. Pure."""

from __future__ import annotations

import errno


def counted(number: int, noun: str) -> str:
    """Return `1 route`, `2 routes`; for nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def errno_name(number: int) -> str:
    """Return `ENOENT` for 2, for logs and reports; code compares numbers."""
    return errno.errorcode.get(number, f"errno {number}")


def errno_number(name: str) -> int:
    """Return 2 for `ENOENT`, and 0 for a text that names no errno."""
    return _NUMBERS.get(name, 0)


_NUMBERS = {name: number for number, name in errno.errorcode.items()}
