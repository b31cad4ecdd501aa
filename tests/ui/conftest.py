"""A real Chromium in front of the real server; only the daemon's tables are in memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from controller.inspect.server import serve
from controller.ui.board import Board
from controller.ui.feed import Feed
from controller.ui.serve import Server
from dualpath.pb import inspect_pb2_grpc
from tests.fakes.view import MemoryView
from tests.ui import nodes

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LOOK_S = 1.0
WIDE, HIGH = 1440, 900


@dataclass
class Node:
    """A daemon with its page, in a thread."""

    view: MemoryView
    listen: str
    address: str = ""
    server: Server | None = None
    _started: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        asyncio.run(self._run())

    def wait(self) -> None:
        assert self._started.wait(20)

    def stop(self) -> None:
        if self.server:
            self._loop.call_soon_threadsafe(self.server.handle_exit, 0, None)

    def soon(self, action: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(action)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        daemon = await serve(self.view, self.view.datapath, listen=self.listen)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            async with grpc.aio.insecure_channel(self.listen) as channel:
                stub = inspect_pb2_grpc.InspectStub(channel)  # type: ignore[no-untyped-call]
                board = Board()
                nodes.past(self.view, board, time.time())
                feed = Feed(stub, look_s=LOOK_S, board=board)
                self.server = Server(stub, feed, listener)
                self.address = f"{self.server.origin}/?key={self.server.key}"
                self._started.set()
                traffic = asyncio.create_task(self._traffic())
                await self.server.run_all()
                traffic.cancel()
        await daemon.stop()

    async def _traffic(self) -> None:
        """Count packets at every look, and change some routes now and then."""
        number = 0
        while True:
            number += 1
            nodes.count_packets(self.view, number)
            if number % 11 in (3, 4, 9):
                for prefix in range(1 + (number * 7) % 19):
                    self.view.happen(nodes.change(time.time(), f"10.2.{prefix}.0/24"))
            await asyncio.sleep(LOOK_S)


@contextmanager
def running(view: MemoryView, directory: Path) -> Iterator[Node]:
    node = Node(view, f"unix:{directory}/inspect.sock")
    thread = threading.Thread(target=node.run)
    thread.start()
    node.wait()
    try:
        yield node
    finally:
        node.stop()
        thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "no Chromium: run `make ui`"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@dataclass
class Look:
    """An open page, and what the browser said of it."""

    page: Any
    said: list[str]
    asked: list[str]

    def picture(self, name: str) -> None:
        """Renew a picture of the documentation, if that is asked for."""
        if os.environ.get("UPDATE_PICTURES"):
            PICTURES.mkdir(exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png")

    def fill(self) -> None:
        """Wait until the page has drawn its parts. (Its policy forbids a predicate.)"""
        for drawn in ("#bars .bar-of", "#ports tbody tr", "#entries li", "#counts tbody tr"):
            self.page.locator(drawn).first.wait_for(state="attached")


@pytest.fixture
def scheme() -> str:
    return "light"


@pytest.fixture
def look(browser: Any, scheme: str) -> Iterator[Callable[[Node], Look]]:  # noqa: ANN401
    """Open a node's page."""
    size = {"width": WIDE, "height": HIGH}
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.set_default_timeout(30_000)

    def open_(node: Node) -> Look:
        page = context.new_page()
        made = Look(page, [], [])
        page.on("console", lambda message: made.said.append(message.text))
        page.on("pageerror", lambda error: made.said.append(str(error)))
        page.on("request", lambda request: made.asked.append(request.url))
        page.goto(node.address)
        page.wait_for_selector("#columns button")
        return made

    yield open_
    context.close()
