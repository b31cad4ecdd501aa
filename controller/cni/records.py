"""Records of interfaces: a file for each, from before ADD until after DEL.

    no file -> ADDING -> plugins run -> ADDED, with the result -> DELETING -> plugins run -> no file

If a controller dies in between, the next one finds ADDING or DELETING and calls DEL, which plugins
must accept for a partial or absent interface. So nothing leaks, and CHECK and DEL have the result
after a restart. The files are below /var, not /run, because plugins keep state there too
(host-local its addresses), which DEL must release after a reboot.

A file is complete or absent. All controllers of the host share the directory; the forwarding
namespace in a file tells whose it is. Tests set DUALPATH_CNI_RECORDS. Only root may read the files,
because a configuration may contain secrets.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from dualpath.model.cni import CniDevice

DIRECTORY = Path(os.environ.get("DUALPATH_CNI_RECORDS", "/var/lib/dualpath/cni"))
FORMAT = 1
MODE = 0o600
SUFFIX = ".json"
_MOST_BYTES = 4 << 20
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Stage(StrEnum):
    ADDING = "adding"
    ADDED = "added"
    DELETING = "deleting"


class Unreadable(Exception):
    """A record cannot be used; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Space:
    """A network namespace, told apart from a later one of the same name."""

    path: str
    boot: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Record:
    """One interface, with the parameters of its ADD."""

    device: CniDevice
    container: str
    space: Space
    stage: Stage
    result: dict[str, Any] | None = field(default=None, repr=False)
    plugins: tuple[str, ...] = ()  # the plugin directories, for `dualpath down`
    host: str = ""  # the namespace in which the plugins run
    dhcp_socket: str = ""  # of the daemon of ours that has the lease


def space_of(path: str) -> Space:
    """Return the namespace of a path as it is now; without one, device and inode are 0."""
    boot = _BOOT.read_text(encoding="ascii").strip()
    try:
        found = os.stat(path)
    except OSError:
        return Space(path, boot, 0, 0)
    return Space(path, boot, found.st_dev, found.st_ino)


def write(record: Record) -> None:
    """Replace an interface's record. Raises OSError, and then the earlier record remains."""
    file = _file(record.space.path, record.device.name)
    partial = file.with_suffix(".new")
    DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        json.dump({"format": FORMAT, **asdict(record)}, opened)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)
    _flush()


def read(path: str, name: str) -> Record | None:
    """Return the record of an interface of a namespace, by its path. Raises Unreadable."""
    return _read(_file(path, name))


def remove(record: Record) -> None:
    _file(record.space.path, record.device.name).unlink(missing_ok=True)


def names(path: str) -> list[str]:
    """Return the interfaces of a namespace, by its path, that have a file."""
    ending = f"@{_digest(path)}{SUFFIX}"
    return sorted(file.name.removesuffix(ending) for file in DIRECTORY.glob(f"*{ending}"))


def every(path: str) -> Iterator[Record]:
    """Yield the records of a namespace, by its path. Raises Unreadable."""
    for name in names(path):
        if record := read(path, name):
            yield record


def _file(path: str, name: str) -> Path:
    return DIRECTORY / f"{name}@{_digest(path)}{SUFFIX}"


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()[:12]


def _flush() -> None:
    descriptor = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> Record | None:
    try:
        with file.open("rb") as opened:
            return _decoded(json.loads(opened.read(_MOST_BYTES)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "malformed"
        raise Unreadable(
            f"{file}: the record of an interface of CNI cannot be read ({why}); delete the "
            "interface with its plugins' own means, then the file"
        ) from None


def _decoded(values: dict[str, Any]) -> Record:
    number = values.pop("format")
    if number != FORMAT:
        raise OSError(0, f"its format is {number}, this version of Dualpath knows {FORMAT} only")
    values["device"] = CniDevice(**values["device"])
    values["space"] = Space(**values["space"])
    values["stage"] = Stage(values["stage"])
    values["plugins"] = tuple(map(str, values["plugins"]))
    return Record(**values)
