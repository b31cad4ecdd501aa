"""Namespaces for tests: fresh, named dp-test-*, and always removed."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from datapaths.linux import netns

PREFIX = "dp-test-"


@contextmanager
def fresh(hint: str = "") -> Iterator[str]:
    """Make a namespace for the length of a block; yield its name."""
    name = f"{PREFIX}{hint}{secrets.token_hex(3)}"
    netns.create(name)
    try:
        yield name
    finally:
        netns.remove(name)


def ip(name: str, command: str, *, check: bool = True) -> str:
    """Run an `ip` command in a namespace and return what it prints."""
    return _run(["ip", "-n", name, *command.split()], check)


def bridge(name: str, command: str, *, check: bool = True) -> str:
    return _run(["bridge", "-n", name, *command.split()], check)


def _run(command: list[str], check: bool) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
