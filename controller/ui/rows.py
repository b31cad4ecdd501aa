"""The rows behind a part of the page: what it asks for, and the answer as a table of text.

Columns and their order are those of `dualpath routes` and the other lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.cli import columns, listing
from controller.cli.columns import state_text
from dualpath.pb import inspect_pb2 as pb

CALL_S = 10.0
PAGE = 200
SHAPES = {
    "routes": listing.ROUTES.columns,
    "ports": listing.PORTS.columns,
    **{
        name: getattr(columns, name.upper())
        for name in ("nexthops", "macs", "neighbors", "vteps", "vnis", "vrfs", "lsps")
    },
}
STATES: Mapping[str, Any] = {
    state_text(number): number for number in pb.RowState.values() if number
}


class BadQuery(Exception):
    """The page asked for what there is not; the text says what."""


async def rows(stub: Any, kind: str, query: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401
    """Return one page of rows. Raises BadQuery, grpc.RpcError."""
    shown = [column for column in SHAPES[kind] if not column.wide]
    call = getattr(stub, f"List{kind.capitalize()}")
    found: list[Any] = []
    token = ""
    async for message in call(request(kind, query), timeout=CALL_S):
        found += getattr(message, kind)
        token = message.next_page_token
    return {
        "columns": [column.header for column in shown],
        "rows": [[column.cell(row) for column in shown] for row in found],
        "states": [state_text(row.state) for row in found],
        "next": token,
    }


def request(kind: str, query: Mapping[str, str]) -> pb.ListRequest | pb.ListRoutesRequest:
    """Return the request for one page. Raises BadQuery."""
    unknown = query.keys() - {"vrf", "vni", "state", "page"}
    if unknown:
        raise BadQuery(f"no filter is called {min(unknown)!r}; there are: vrf, vni, state, page")
    vni, state = query.get("vni", "0"), query.get("state", "")
    if not (vni.isascii() and vni.isdigit() and len(vni) <= 8 and int(vni) <= 0xFF_FFFF):
        raise BadQuery("a VNI is a number from 1 to 16777215")
    if state and state not in STATES:
        raise BadQuery(f"no state is called {state!r}; there are: {', '.join(STATES)}")
    make = pb.ListRoutesRequest if kind == "routes" else pb.ListRequest
    return make(
        vrf=query.get("vrf", ""),
        vni=int(vni),
        states=[STATES[state]] if state else [],
        limit=PAGE,
        page_token=query.get("page", ""),
    )
