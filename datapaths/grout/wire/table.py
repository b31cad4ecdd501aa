"""The struct layouts of one API version, as numpy types.

An array of such a type has the bytes of grout's structs, padding included, so one codec serves a
single request and a column of a million. Integers are host-endian; addresses and names are bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

DType = np.dtype[np.void]
Rows = npt.NDArray[np.void]

INTEGERS = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}
BYTES = frozenset({"mac", "ip", "nh", "dest.ip", "addr.ip", "ipv6", "local.ipv6", "members"})
BYTES |= {"vtep.ipv6", "vtep.addr.ipv6", "dest"}


class DecodeError(Exception):
    """Bytes that do not fit grout's API."""

    def __init__(self, reason: str, *, offset: int = 0) -> None:
        super().__init__(f"{reason} (byte {offset})")


class UnknownVersion(Exception):
    """No table for an API version."""


@dataclass(frozen=True, slots=True, eq=False)
class Api:
    """One API version: message types by name, and structs."""

    version: int
    release: str  # of grout, whose headers these are
    types: Mapping[str, int]
    structs: Mapping[str, DType]
    constants: Mapping[str, int]

    def new(self, struct: str, **fields: Any) -> Rows:  # noqa: ANN401  whatever a field takes
        """Return one zeroed struct with some fields set; `__` stands for a dot."""
        row = np.zeros(1, self.structs[struct])
        for name, value in fields.items():
            row[name.replace("__", ".")] = value
        return row

    def pack(self, struct: str, **fields: Any) -> bytes:  # noqa: ANN401
        return self.new(struct, **fields).tobytes()

    def one(self, struct: str, data: bytes, offset: int = 0) -> np.void:
        """Read a struct. Raises DecodeError when `data` is too short."""
        dtype = self.structs[struct]
        if offset + dtype.itemsize > len(data):
            raise DecodeError(f"{struct} needs {dtype.itemsize} bytes", offset=offset)
        return np.frombuffer(data, dtype, 1, offset)[0]  # type: ignore[no-any-return]

    def many(self, struct: str, data: bytes, offset: int, count: int) -> Rows:
        """Read an array of structs that starts at `offset`. Raises DecodeError."""
        dtype = self.structs[struct]
        if count < 0 or offset + count * dtype.itemsize > len(data):
            raise DecodeError(f"{count} of {struct} do not fit", offset=offset)
        return np.frombuffer(data, dtype, count, offset)

    def size(self, struct: str) -> int:
        return self.structs[struct].itemsize


def versions() -> list[int]:
    """Return the API versions that have a table, newest first."""
    names = [entry.name for entry in resources.files(__package__).iterdir()]
    found = [name[3:-5] for name in names if name.startswith("api") and name.endswith(".json")]
    return sorted((int(number) for number in found), reverse=True)


@cache
def api(version: int) -> Api:
    """Load a version's table. Raises UnknownVersion."""
    if version not in versions():
        known = ", ".join(str(number) for number in versions())
        raise UnknownVersion(f"no layout table for grout's API {version}, only for {known}")
    table = json.loads(resources.files(__package__).joinpath(f"api{version}.json").read_text())
    structs = {name: _dtype(name, struct) for name, struct in table["structs"].items()}
    return Api(version, table["release"], table["requests"], structs, table["constants"])


def _dtype(struct: str, layout: Mapping[str, Any]) -> DType:
    fields = layout["fields"]
    return np.dtype(
        {
            "names": list(fields),
            "formats": [_format(struct, name, size) for name, (_, size) in fields.items()],
            "offsets": [offset for offset, _ in fields.values()],
            "itemsize": layout["size"],
        }
    )


def _format(struct: str, name: str, size: int) -> Any:  # noqa: ANN401  what numpy takes
    if name in BYTES or size not in INTEGERS:
        return np.dtype(("u1", (size,)))
    return np.dtype(INTEGERS[size])
