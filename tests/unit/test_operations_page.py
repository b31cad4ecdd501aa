"""docs/OPERATIONS.md names files as the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture import ORDER, ROOT, Source

PAGE = (ROOT / "docs" / "OPERATIONS.md").read_text()
DERIVED = {"NAME", "bus.lock"}  # a placeholder; frr-bridge names its lock after the bus's socket
CODE = "\n".join(path.read_text() for path in Source(ROOT, ORDER).files.values())


def state_files() -> set[str]:
    """Return the names of files that the page's list of files has in the state directory."""
    rows = re.findall(r"^- (`/run/dualpath/[^:]*):", PAGE, re.MULTILINE)
    names = {Path(name).name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return {name.removesuffix("DIGEST") for name in names} - DERIVED


def test_documented_state_files_have_the_names_of_the_code() -> None:
    assert len(state_files()) > 7
    assert [name for name in sorted(state_files()) if name not in CODE] == []
