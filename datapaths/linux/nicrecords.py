"""What a NIC had before it was fetched, in a file for each, until it is given back.

A file is whole or absent: it is written beside, flushed to the disk and renamed. The directory is
one for the machine, below /run as the NICs and namespaces are: a reboot ends them all. Tests set
DUALPATH_NIC_RECORDS, so that they and the programs they start leave this machine's directory alone.
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
    """A NIC that is ours for now, and what it is to have wherever it is."""

    name: str
    mac: bytes
    home: str  # the namespace that it came from, as a path
    owner: str  # the forwarding namespace, as a path
    up: bool  # at home
    alias: str  # at home
    addresses: tuple[NicAddress, ...] = ()
    routes: tuple[NicRoute, ...] = ()
    returning: bool = False  # it is on its way home, or there and not whole yet


_seen: dict[Path, NicRecord] = {}
"""What this process wrote or read for its own NICs, in case that somebody removes the files."""
_lock = threading.Lock()  # NICs are moved in threads


def write(record: NicRecord) -> None:
    """Keep a record instead of the NIC's earlier one. Raises OSError; then that one stays."""
    file = _file(record.name, record.mac)
    with _lock:
        _write(file, record)
        _seen[file] = record


def write_again() -> bool:
    """Write the records whose files somebody removed; tell whether there were any.

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
        text = f"cannot write down what {record.name} has, so it is left alone: {file}"
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
        log.warning("%s: %s; it is left alone", file, error)
        return None


def _decode(told: dict[str, Any]) -> NicRecord:
    addresses = (
        NicAddress(**{**it, "attributes": _attributes(it["attributes"])})
        for it in told.pop("addresses")
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
        for it in told.pop("routes")
    )
    mac = bytes.fromhex(told.pop("mac"))
    return NicRecord(mac=mac, addresses=tuple(addresses), routes=tuple(routes), **told)


def _attributes(told: list[tuple[int, str]]) -> tuple[tuple[int, bytes], ...]:
    return tuple((int(type_), bytes.fromhex(value)) for type_, value in told)
