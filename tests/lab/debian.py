"""Packages of any Debian suite, fetched without touching this machine's own package lists."""

from __future__ import annotations

from pathlib import Path

from tests.lab import host


def private_apt(work: Path, suite: str) -> list[str]:
    """Return an apt-get command that keeps its state in `work`; make `work`/root to unpack into."""
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (work / directory).mkdir(parents=True)
    signed = f"check-valid-until=no signed-by={host.DEBIAN_KEYRING}"
    (work / "sources.list").write_text(f"deb [{signed}] {host.mirror()} {suite} main\n")
    state = {
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/nonexistent",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in state.items())]
