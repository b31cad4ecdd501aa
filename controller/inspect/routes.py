"""Routes from columns to messages: filters and conversion over whole pages. Pure."""

from __future__ import annotations

import socket

import numpy as np
import numpy.typing as npt

from controller.inspect.encoding import Encoded, Rows, encoded_time
from controller.inspect.filters import FAMILIES, MAX_DIGITS, BadRequest, parse_family, parse_prefix
from controller.inspect.rows import STATES, Nexthops, Resolve
from controller.inspect.text import errno_text, protocol_text
from dualpath.model.nexthops import Nexthop, unsupported_reason
from dualpath.model.routes import U8, U32, Family
from dualpath.model.view import RouteRows, RowState
from dualpath.pb import inspect_pb2 as pb

Mask = npt.NDArray[np.bool_]

_BYTES_PER_WIDTH = {4: np.dtype("V4"), 16: np.dtype("V16")}


def take(rows: RouteRows, chosen: npt.NDArray[np.intp] | slice) -> RouteRows:
    """Return a copy of the chosen rows."""
    return RouteRows(
        rows.vrf,
        rows.family,
        np.array(rows.prefixes[chosen]),
        np.array(rows.lengths[chosen]),
        np.array(rows.protocols[chosen]),
        np.array(rows.desired[chosen]),
        np.array(rows.programmed[chosen]),
        np.array(rows.states[chosen]),
        np.array(rows.errors[chosen]),
        np.array(rows.sessions[chosen]),
        np.array(rows.changed_at[chosen]),
    )


def netmasks(family: Family) -> U8:
    """Return the netmask of every prefix length, as (lengths, width)."""
    bits = family.width * 8
    ones = np.tri(bits + 1, bits, k=-1, dtype=np.uint8)  # row n has n ones
    return np.packbits(ones, axis=1)


class RouteFilter:
    """The filters of a ListRoutesRequest, applied to pages. Raises BadRequest."""

    def __init__(self, request: pb.ListRoutesRequest) -> None:
        self.vrf = request.vrf
        self.family = parse_family(request.family)
        self._states = np.array(request.states, np.uint8)
        self._vni = request.vni
        self._nexthop_id = request.nexthop_id
        self._longer = request.longer
        self._prefix: tuple[U8, int] | None = None
        if request.prefix:
            family, packed, length = parse_prefix(request.prefix)
            if self.family not in (None, family):
                raise BadRequest(f"{request.prefix} is not of the requested family")
            self.family = family
            self._prefix = np.frombuffer(packed, np.uint8), length
        elif request.longer:
            raise BadRequest("`longer` needs a prefix")

    def wants(self, vrf: str, family: Family) -> bool:
        return self.vrf in ("", vrf) and self.family in (None, family)

    def mask(self, rows: RouteRows, resolve: Resolve) -> Mask:
        """Return which rows of a page pass."""
        mask = np.ones(len(rows.lengths), np.bool_)
        if self._prefix:
            mask &= self._within(rows, *self._prefix)
        if len(self._states):
            mask &= np.isin(rows.states, self._states)
        if self._nexthop_id:
            mask &= (rows.desired == self._nexthop_id) | (rows.programmed == self._nexthop_id)
        if self._vni:
            over = _over(np.stack([rows.desired, rows.programmed]), self._vni, resolve)
            mask &= over.any(axis=0)
        return mask

    def _within(self, rows: RouteRows, prefix: U8, length: int) -> Mask:
        if not self._longer:
            same: Mask = (rows.prefixes == prefix).all(axis=1) & (rows.lengths == length)
            return same
        masked = rows.prefixes & netmasks(rows.family)[length]
        within: Mask = (masked == prefix).all(axis=1) & (rows.lengths >= length)
        return within


def _over(nexthops: U32, vni: int, resolve: Resolve) -> Mask:
    """Return which of the nexthop ids use a VNI, or have a member that does."""
    ids = np.unique(nexthops)
    chosen = [id_ for id_ in ids.tolist() if _uses(resolve(id_), vni, resolve)]
    return np.isin(nexthops, np.array(chosen, np.uint32))


def _uses(nexthop: Nexthop | None, vni: int, resolve: Resolve) -> bool:
    if nexthop is None:
        return False
    legs = [resolve(member.id) for member in nexthop.members]
    return nexthop.vni == vni or any(leg is not None and leg.vni == vni for leg in legs)


_ROUTES = Rows(pb.ListRoutesResponse, "prefix", "desired", "programmed", "changed_at")
_STATE_NUMBERS = {int(state): STATES[state] for state in RowState}


def encoded_nexthops(resolve: Resolve) -> Encoded[int]:
    """Return nexthops for `message`. Keep them briefly: nexthops are replaced in place."""
    return Encoded(Nexthops(resolve).message)


def message(rows: RouteRows, nexthops: Encoded[int]) -> pb.ListRoutesResponse:
    """Return rows as a message. A row takes three microseconds, so pass few rows."""
    family, family_number = int(rows.family), FAMILIES[rows.family]
    packed = np.ascontiguousarray(rows.prefixes).view(_BYTES_PER_WIDTH[rows.family.width])
    prefixes = [
        f"{socket.inet_ntop(family, prefix)}/{length}".encode()
        for prefix, length in zip(packed.ravel().tolist(), rows.lengths.tolist(), strict=True)
    ]
    desired, programmed = rows.desired.tolist(), rows.programmed.tolist()
    shared = zip(
        rows.protocols.tolist(),
        map(unsupported_reason, desired),
        rows.states.tolist(),
        rows.errors.tolist(),
        rows.sessions.tolist(),
        strict=True,
    )

    def make(key: tuple[int, str, int, int, int]) -> pb.Route:
        protocol, reason, state, error, session = key
        return pb.Route(
            vrf=rows.vrf,
            family=family_number,
            protocol=protocol_text(protocol),
            state=_STATE_NUMBERS[state],
            error=f"EOPNOTSUPP: {reason}" if reason else errno_text(error),
            session=session,
        )

    own = (
        prefixes,
        [nexthops[id_] for id_ in desired],
        [nexthops[id_] for id_ in programmed],
        map(encoded_time, rows.changed_at.tolist()),
    )
    return _ROUTES.message(shared, own, make)


def position(vrf: str, family: Family, slot: int) -> str:
    """Return the page token for the rows of a table from `slot` on."""
    return f"{vrf}/{FAMILIES[family]}/{slot}"


def parse_token(token: str) -> tuple[str, Family, int]:
    """Read a page token. Raises BadRequest."""
    vrf, _, rest = token.partition("/")
    family, _, slot = rest.partition("/")
    digits = slot.isdigit() and len(slot) <= MAX_DIGITS
    if token.isascii() and family in ("4", "6") and digits:
        return vrf, Family.INET if family == "4" else Family.INET6, int(slot)
    raise BadRequest(f"page token {token!r} does not belong to this list")
