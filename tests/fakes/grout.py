"""A socket that answers GR_HELLO like grout, and other requests as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from datapaths.grout.wire.frames import REQUEST, RESPONSE
from datapaths.grout.wire.table import api, versions

EBADMSG = 74  # grout's answer to GR_HELLO with another version


Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers the request with an id."""


class FakeGrout:
    """`hangs` makes it silent, without closing a connection; `known` is False for another API.

    `answers` has payloads by the type of a request; the last of a list is empty. `answer` replaces
    them for every request but GR_HELLO.
    """

    def __init__(self) -> None:
        self.hangs = False
        self.known = True
        self.answers: dict[str, tuple[bytes, ...]] = {}
        self.answer: Answer | None = None
        self.asked: list[str] = []
        self.connections: list[asyncio.Task[None]] = []
        self._names = {number: name for name, number in api(versions()[0]).types.items()}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                id_, type_, length = REQUEST.unpack(await reader.readexactly(REQUEST.size))
                await reader.readexactly(length)
                self.asked.append(self._names[type_])
                if self.answer and self.asked[-1] != "GR_HELLO":
                    await self.answer(writer, id_)
                elif not self.hangs:
                    for payload in self.answers.get(self.asked[-1], (b"",)):
                        status = 0 if self.known else EBADMSG
                        writer.write(RESPONSE.pack(id_, status, len(payload)) + payload)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[FakeGrout]:
    """Listen for the length of a block, and until all clients have closed their connections."""
    grout = FakeGrout()
    async with await asyncio.start_unix_server(grout.accept, path):
        yield grout
        await asyncio.gather(*grout.connections)
