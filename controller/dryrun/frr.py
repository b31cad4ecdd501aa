"""Finds how frr.conf would change, and whether the installed FRR can run it. Reads only."""

from __future__ import annotations

import difflib
import socket
from dataclasses import dataclass, replace

from dualpath.model.frr import FrrSettings
from dualpath.model.redact import redact
from frr_bridge import frr_version
from frr_bridge.directory import Directory
from frr_bridge.frr_apply import FrrApply, FrrPaths
from frr_bridge.frr_config import render


@dataclass(frozen=True, slots=True)
class FrrConf:
    """The difference as lines of `diff -u` without the header, passwords masked."""

    path: str
    exists: bool
    lines: tuple[str, ...] = ()
    problem: str = ""


def difference(settings: FrrSettings, frr_name: str, paths: FrrPaths | None = None) -> FrrConf:
    """Compare the configuration that would be written with the file."""
    paths = paths or FrrPaths.named(frr_name)
    text = render(replace(settings, hostname=settings.hostname or socket.gethostname()))
    try:
        with Directory(paths.config_dir, paths.rights()) as directory:
            before = directory.read(paths.file.name)
    except FileNotFoundError:
        problem = f"there is no {paths.config_dir}: install frr and frr-pythontools"
        return FrrConf(str(paths.file), False, _lines("", text), problem)
    except OSError as error:
        return FrrConf(str(paths.file), False, (), f"{error.filename}: {error.strerror}")
    return FrrConf(str(paths.file), before is not None, _lines(before or "", text))


def _lines(before: str, after: str) -> tuple[str, ...]:
    old, new = redact(before).splitlines(), redact(after).splitlines()
    shown = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    if not shown and before != after:
        shown = ["~ a password (not shown)"]
    return tuple(shown)


async def release(frr_name: str) -> tuple[str, str]:
    """Return why the installed FRR is refused, and its limits; "" for none."""
    version = await FrrApply(FrrPaths.named(frr_name)).version()
    return frr_version.refusal(version), frr_version.limits(version)
