"""Counts of things as text. Pure."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return `1 route`, `2 routes`; for nouns that take an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
