"""Real grout in a namespace of its own: the installed one, or that of the lab's root filesystem."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from datapaths.base import Unavailable
from datapaths.grout.process import Grout, GroutProcess, peer_of

LAB = Path(os.environ.get("DUALPATH_LAB_CACHE", "/var/cache/dualpath/lab"))
DRIVER = "usr/lib/x86_64-linux-gnu/dpdk/*/librte_net_tap.so*"
NEEDED = "grout with DPDK's drivers is neither installed nor in the lab's root filesystem"

# In a mount namespace of its own, so nothing is left behind. The state directory keeps its path.
_IN_A_TREE = """
mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; mount --bind /sys "$1/sys"
mount -t tmpfs tmpfs "$1/run"; mkdir -p "$1$2"; mount --bind "$2" "$1$2"
tree=$1; shift 2; exec chroot "$tree" grout "$@"
"""


def command(state_dir: Path) -> tuple[str, ...] | None:
    """Return the command that runs grout, or None without a grout."""
    if shutil.which("grout"):
        return ("grout",)
    trees = [tree for tree in LAB.glob("system-*") if (tree / "usr/bin/grout").exists()]
    trees = [tree for tree in trees if list(tree.glob(DRIVER))]
    if not trees:
        return None
    tree = max(trees, key=lambda tree: tree.stat().st_mtime)
    isolated = ("unshare", "--mount", "--propagation=private", "sh", "-ec", _IN_A_TREE, "sh")
    return (*isolated, str(tree), str(state_dir))


@contextmanager
def state_directory() -> Iterator[Path]:
    """A directory below /run, short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="dp-dev-grout-", dir="/run") as directory:
        yield Path(directory)


@asynccontextmanager
async def running(grout: Grout) -> AsyncIterator[GroutProcess]:
    """Run a grout for the length of a block only: it polls, and so uses a whole CPU."""
    process = GroutProcess(grout)
    task = asyncio.ensure_future(process.run())
    try:
        await up(grout, task)
        yield process
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        kill(grout)


async def up(grout: Grout, task: asyncio.Future[None] | None = None, other_than: int = 0) -> int:
    """Wait until a grout, or a new one, answers; return its pid."""
    async with asyncio.timeout(60):
        while True:
            with suppress(Unavailable):
                if (pid := peer_of(grout.sock)) != other_than:
                    return pid
            if task and task.done():
                task.result()
            await asyncio.sleep(0.05)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a condition without an event; it asks a process or the kernel."""
    async with asyncio.timeout(10):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


def kill(grout: Grout) -> None:
    with suppress(Unavailable, ProcessLookupError):
        os.kill(peer_of(grout.sock), signal.SIGKILL)


def grcli(sock: Path) -> str:
    """Return a shell command that runs grout's own command line tool on a socket."""
    if shutil.which("grcli"):
        return f"grcli -s {sock}"
    trees = [tree for tree in LAB.glob("system-*") if (tree / "usr/bin/grcli").exists()]
    tree = max(trees, key=lambda tree: tree.stat().st_mtime)
    loader, libraries = tree / "usr/lib64/ld-linux-x86-64.so.2", tree / "usr/lib/x86_64-linux-gnu"
    return f"{loader} --library-path {libraries} {tree}/usr/bin/grcli -s {sock}"
