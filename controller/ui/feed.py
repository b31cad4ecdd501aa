"""Asks the daemon while somebody looks, and fills the board. Without a page open it asks nothing.

A look is one Status and the ports, every two seconds; VRFs, VNIs and VTEPs are read again when a
change was counted, at the latest after ten seconds. Watch gives the rows of the time line. A
million changes would keep the daemon, this process and the page busy with rows that nobody can
read: above RATE changes in a look, Watch is ended, and only their number is shown.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc

from controller.cli.columns import kind_text, state_text
from controller.ui import picture
from controller.ui.board import Board
from controller.ui.faults import Entry, Seen, Tone, differences
from dualpath.pb import inspect_pb2 as pb

LOOK_S = 2.0
NODE_S = 10.0
CALL_S = 10.0
ALIVE_S = 15.0  # a comment to a page with no news, which shows that it is gone
RATE = 400
BACK = 100  # changes from before the page was opened
MOST_ROWS = 20_000
MOST_STREAMS = 16

ODD = (pb.ROW_STATE_FAILED, pb.ROW_STATE_STALE, pb.ROW_STATE_PENDING)

Stub = Any  # generated without types


class Busy(Exception):
    """MOST_STREAMS pages are open."""


class Feed:
    """The board, what fills it, and the streams that read it."""

    def __init__(
        self,
        stub: Stub,
        *,
        look_s: float = LOOK_S,
        most: int = MOST_STREAMS,
        board: Board | None = None,
    ) -> None:
        self._stub = stub
        self._look_s = look_s
        self._most = most
        self._streams = 0
        self._board = board or Board()
        self._wanted = asyncio.Event()  # a page is open
        self._news = asyncio.Event()
        self._closed = False
        self._seen: Seen | None = None
        self._counters: tuple[float, Any] = (0.0, {})
        self._sequence = 0
        self._node_at = 0.0
        self._last = 0  # the last change on the time line

    @property
    def streams(self) -> int:
        return self._streams

    @property
    def looking(self) -> bool:
        """Whether a page is open, so that the daemon is asked."""
        return self._wanted.is_set()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._tell()

    def enter(self) -> None:
        """Count a stream. Raises Busy."""
        if self._streams >= self._most:
            raise Busy
        self._streams += 1
        self._wanted.set()

    def leave(self) -> None:
        self._streams -= 1
        if not self._streams:
            self._wanted.clear()

    async def stream(self) -> AsyncIterator[str]:
        """Yield server-sent events, first all that is known."""
        number = 0
        while not self._closed:
            news = self._news
            texts = [f"event: {part}\ndata: {text}\n\n" for part, text in self._board.since(number)]
            number = self._board.number
            yield "".join(texts) or ": alive\n\n"
            with suppress(TimeoutError):
                async with asyncio.timeout(ALIVE_S):
                    await news.wait()

    async def run(self) -> None:
        """Look and follow, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._look))
            group.create_task(self._forever(self._follow))

    async def _forever(self, work: Callable[[], Any]) -> None:
        while True:
            await self._wanted.wait()
            due = time.monotonic() + self._look_s
            try:
                await work()
            except grpc.RpcError as error:
                self._lost(error)
            self._tell()
            await asyncio.sleep(max(self._look_s / 10, due - time.monotonic()))

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _lost(self, error: Any) -> None:  # noqa: ANN401 - grpc has no types
        code = error.code()
        if code in (grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.CANCELLED):
            return  # the journal begins later: the next look says where
        text = " ".join(str(error.details() or code.name).split())[:300]
        self._put("daemon", {"problem": text})

    # -- looks ------------------------------------------------------------------------------------

    async def _look(self) -> None:
        answer = await self._stub.Status(pb.StatusRequest(), timeout=CALL_S)
        rows, problem = await self._ports()
        now = time.monotonic()
        counters, seconds = picture.counters(rows), now - self._counters[0]
        seen = Seen(picture.status(answer), picture.ports(rows))
        changes = max(0, answer.sequence - self._sequence) if self._seen else 0
        if self._seen is None or changes or now - self._node_at >= NODE_S:
            self._put("node", await self._node(answer))
            self._node_at = now
        self._put("daemon", {"problem": ""})
        self._put("status", seen.status)
        self._put("ports", {"problem": problem, "ports": seen.ports})
        for entry in differences(self._seen, seen) if self._seen else ():
            self._enter(time.time(), entry)
        if self._seen:
            rates = picture.rates(counters, self._counters[1], seconds)
            sample = {"at": round(time.time(), 1), "changes": changes, "rates": rates}
            self._board.add("sample", _json(sample))
        self._seen, self._counters, self._sequence = seen, (now, counters), answer.sequence

    async def _ports(self) -> tuple[list[pb.Port], str]:
        rows: list[pb.Port] = []
        problem = ""
        async for message in self._stub.ListPorts(pb.ListRequest(limit=MOST_ROWS), timeout=CALL_S):
            rows += message.ports
            problem = problem or message.unavailable
        return rows, problem

    async def _node(self, answer: pb.StatusResponse) -> picture.Plain:
        everything = pb.ListRequest(limit=MOST_ROWS)
        odd = pb.ListRequest(limit=MOST_ROWS, states=ODD)
        vrfs = [r async for m in self._stub.ListVrfs(everything, timeout=CALL_S) for r in m.vrfs]
        vnis = [r async for m in self._stub.ListVnis(everything, timeout=CALL_S) for r in m.vnis]
        vteps = [r async for m in self._stub.ListVteps(odd, timeout=CALL_S) for r in m.vteps]
        return picture.node(vrfs, vnis, vteps, answer.vnis)

    # -- the journal ------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Put changes on the time line until there are too many, or no page is open."""
        status = await self._stub.Status(pb.StatusRequest(), timeout=CALL_S)
        after = max(0, status.sequence - BACK)
        if self._last <= status.sequence:  # else the daemon, and its count, began again
            after = max(after, self._last)
        call = self._stub.Watch(pb.WatchRequest(after=after))
        try:
            await self._read(call)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.OUT_OF_RANGE:
                raise
            call = self._stub.Watch(pb.WatchRequest(after=status.sequence))
            await self._read(call)
        finally:
            call.cancel()

    async def _read(self, call: Any) -> None:  # noqa: ANN401
        room, until = RATE, time.monotonic() + self._look_s
        async for message in call:
            if not self._streams:
                return
            if time.monotonic() > until:
                room, until = RATE, time.monotonic() + self._look_s
            room -= len(message.changes)
            if room < 0:
                text = "many changes at once: their rows are not shown here"
                self._enter(time.time(), Entry(Tone.NOTE, "time line", text))
                return
            for change in message.changes:
                self._enter(_at(change), _entry(change))
                self._last = change.sequence
            self._tell()

    def _enter(self, at: float, entry: Entry) -> None:
        values = [round(at, 3), entry.tone.value, entry.subject, entry.text]
        self._board.add("entry", _json(values))

    def _put(self, part: str, value: object) -> None:
        self._board.put(part, _json(value))


def _entry(change: pb.Change) -> Entry:
    kind = kind_text(change.kind)
    where = f" in {change.vrf}" if change.vrf and change.text != change.vrf else ""
    failed = change.state == pb.ROW_STATE_FAILED and not change.withdrawn
    what = "withdrawn" if change.withdrawn else state_text(change.state)
    detail = f"  {change.detail}" if change.detail else ""
    tone = Tone.BAD if failed else Tone.NOTE
    return Entry(tone, f"{kind} {change.text}", f"{what}{where}{detail}")


def _at(change: pb.Change) -> float:
    return float(change.at.seconds + change.at.nanos / 1e9)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
