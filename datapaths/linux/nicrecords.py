"""Saved state of fetched NICs: a file for each, from the fetch until the NIC is given back.

A file is complete or absent: it is written under another name, flushed to disk and renamed. All
controllers of the machine share the directory. It is below /run, because a reboot resets NICs and
namespaces as well. Tests set DUALPATH_NIC_RECORDS, so that they and the programs that they start
use another directory.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datapaths.linux.wire.nicstate import NicAddress, NicRoute

log = logging.getLogger(__name__)

DIRECTORY = Path(os.environ.get("DUALPATH_NIC_RECORDS", "/run/dualpath/nics"))
SUFFIX = ".json"
MODE = 0o600


@dataclass(frozen=True, slots=True)
class NicRecord:
    """A fetched NIC, with the state that it had at home."""

    name: str
    mac: bytes
    home: str  # the namespace that it came from, as a path
    owner: str  # the forwarding namespace, as a path
    up: bool  # at home
    alias: str  # at home
    addresses: tuple[NicAddress, ...] = ()
    routes: tuple[NicRoute, ...] = ()
    returning: bool = False  # on its way home, or at home and not restored yet


_seen: dict[Path, NicRecord] = {}
"""What this process wrote or read for its own NICs, in case that somebody removes the files."""
_lock = threading.Lock()  # NICs are moved in threads


def write(record: NicRecord) -> None:
    """Replace the NIC's record. Raises OSError, and then the earlier record remains."""
    file = _file(record.name, record.mac)
    with _lock:
        _write(file, record)
        _seen[file] = record


def write_again() -> bool:
    """Write the records whose files somebody removed; return whether any was missing.

    Raises OSError.
    """
    with _lock:
        gone = [file for file in _seen if not file.exists()]
        for file in gone:
            _write(file, _seen[file])
    return bool(gone)


def _write(file: Path, record: NicRecord) -> None:
    partial = file.with_suffix(".new")
    try:
        DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(asdict(record), opened, default=bytes.hex)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
        _flush(DIRECTORY)
    except OSError as error:
        text = f"cannot save the state of {record.name} to {file}, so it is not moved"
        raise OSError(error.errno, f"{text}: {error.strerror}") from error


def read(name: str, mac: bytes) -> NicRecord | None:
    file = _file(name, mac)
    with _lock:
        if record := _read(file) or _seen.get(file):
            _seen[file] = record
        return record


def remove(record: NicRecord) -> None:
    file = _file(record.name, record.mac)
    with _lock:
        _seen.pop(file, None)
        file.unlink(missing_ok=True)


def every() -> Iterator[NicRecord]:
    for file in sorted(DIRECTORY.glob(f"*{SUFFIX}")):
        if record := _read(file):
            yield record


def _file(name: str, mac: bytes) -> Path:
    return DIRECTORY / f"{name}@{mac.hex()}{SUFFIX}"


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(file: Path) -> NicRecord | None:
    try:
        return _decode(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: cannot read the saved state of a NIC (%s); ignoring the file", file, error)
        return None


def _decode(fields: dict[str, Any]) -> NicRecord:
    addresses = (
        NicAddress(**{**it, "attributes": _attributes(it["attributes"])})
        for it in fields.pop("addresses")
    )
    routes = (
        NicRoute(
            **{
                **it,
                "fixed": bytes.fromhex(it["fixed"]),
                "multipath": bytes.fromhex(it["multipath"]),
                "attributes": _attributes(it["attributes"]),
            }
        )
        for it in fields.pop("routes")
    )
    mac = bytes.fromhex(fields.pop("mac"))
    return NicRecord(mac=mac, addresses=tuple(addresses), routes=tuple(routes), **fields)


def _attributes(fields: list[tuple[int, str]]) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(type_), bytes.fromhex(value)) for type_, value in fields)
