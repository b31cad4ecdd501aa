"""Run the program grout: start it, wait until it answers, restart it after it died.

Never stop a grout that answers: it forwards packets, and outlives the controller. If a grout
already answers on the socket, use that one (decision 0022).
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datapaths.base import DatapathError, Unavailable, Unsupported
from datapaths.grout.channel import Connection
from datapaths.linux import netns
from dualpath.process.backoff import Backoff
from dualpath.process.ending import is_ending
from dualpath.process.pidfd import Process, listening_pid

log = logging.getLogger(__name__)

START_S = 60.0  # after this, log that the start is slow: DPDK first maps and clears its memory
AGAIN_S, AGAIN_MOST_S = 0.5, 30.0
STEADY_S = 60.0  # a grout that ran for this long restarts after AGAIN_S
LOOK_S = 0.05
SOCKET_S, MISSING = 5.0, 2  # between two looks for the socket file; looks without one
END_S = 5.0  # between SIGTERM and SIGKILL
LOG_TAIL = 2000  # bytes

TEST_MODE = frozenset({"-t", "--test-mode"})
HINTS = (
    ("fslmc", "DPDK's drivers are missing; on Debian: apt install librte-meta-allpmds"),
    ("Cannot get hugepage", "too few hugepages; sysctl vm.nr_hugepages=1024, or run without"),
    ("No free", "too few hugepages; sysctl vm.nr_hugepages=1024, or run without"),
    ("Address already in use", "another grout has that socket or metrics address"),
)


@dataclass(frozen=True, slots=True)
class Grout:
    """How to run grout."""

    sock: Path
    netns: str  # name or path; it must exist
    state_dir: Path  # directory of the log and of the socket of grout's own metrics
    hugepages: bool | None = None  # None: if the machine has free ones
    cpus: str = ""  # taskset's format; the first is for control; "" is all
    max_mtu: int = 1800  # the size of DPDK's buffers follows from it
    command: tuple[str, ...] = ("grout",)
    extra: tuple[str, ...] = ()  # further arguments, also `--` and EAL's


def command_line(grout: Grout, *, hugepages: bool) -> list[str]:
    """Return the command that starts grout. Pure."""
    pinned = ["taskset", "--cpu-list", grout.cpus] if grout.cpus else []
    return [
        "nsenter",
        f"--net={netns.path_of(grout.netns)}",
        *pinned,
        *grout.command,
        f"--socket={grout.sock}",
        # Its default is TCP on every address.
        f"--metrics=unix:{grout.state_dir / 'grout-metrics.sock'}",
        f"--max-mtu={grout.max_mtu}",
        *([] if hugepages else ["--test-mode"]),
        *grout.extra,
    ]


def free_hugepages(meminfo: Path = Path("/proc/meminfo")) -> int:
    for line in meminfo.read_text().splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


def peer_of(sock: Path) -> int:
    """Return the pid of the grout that listens on a socket. Raises Unavailable."""
    try:
        return listening_pid(sock)
    except OSError as error:
        reason = error.strerror or str(error)
        raise Unavailable(f"cannot connect to grout at {sock}: {reason}") from error


def locate(sock: Path) -> str:
    """Return the network namespace, as a path, of the grout that listens on a socket.

    Raises Unavailable when none listens, and Unsupported when its process is hidden.
    """
    pid = peer_of(sock)
    path = _namespace_of(pid)
    if not pid or not netns.exists(path):
        raise Unsupported("grout's process is not visible; run in its pid namespace")
    return path


def _namespace_of(pid: int) -> str:
    return f"/proc/{pid}/ns/net"


class Life:
    """Follows the grout that listens on a socket: does it still run, and in which namespace?

    It remembers the process. A grout whose socket file was deleted continues to forward, and to
    answer connected clients; only new connections are impossible. Cheap enough to call often.
    Blocks.
    """

    def __init__(self, sock: Path) -> None:
        self._sock = sock
        self._process: Process | None = None

    def runs(self) -> bool:
        """Return False once grout has begun to end, or when none listens."""
        process = self._process
        if process and not process.ended and not is_ending(process.pid):
            return True
        try:
            pid = self._find()  # a grout that ends is found until its socket is closed
        except Unavailable:
            return False
        return not (pid and is_ending(pid))  # 0: hidden, so it is not known to end

    def home(self) -> str:
        """Return its network namespace, as `locate` does."""
        process = self._process
        if not process or process.ended:
            path = locate(self._sock)
            self._find()
            return path
        return _namespace_of(process.pid)

    def _find(self) -> int:
        self._process = None
        pid = peer_of(self._sock)
        with suppress(ProcessLookupError, OSError):
            self._process = Process(pid) if pid else None
        return pid


def memory(sock: Path) -> str:
    """Return the kind of memory that a grout uses, as text; from its command line."""
    try:
        command = Path(f"/proc/{peer_of(sock)}/cmdline").read_bytes()
    except (DatapathError, OSError):
        return "unknown"  # grout's process is hidden from us
    return memory_of([word.decode(errors="replace") for word in command.split(b"\0")])


def memory_of(command: list[str]) -> str:
    return "no hugepages (test mode)" if TEST_MODE & set(command) else "hugepages"


class GroutProcess:
    """Keeps one grout running."""

    def __init__(self, grout: Grout) -> None:
        self._grout = grout
        self._log = grout.state_dir / "grout.log"
        self.starts = 0
        self._up = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled. Raises Unsupported when no restart can help."""
        if not shutil.which(self._grout.command[0]):
            raise Unsupported(
                f"no program {self._grout.command[0]}; install grout, or start it yourself"
            )
        backoff = Backoff(AGAIN_S, AGAIN_MOST_S, steady_s=STEADY_S)
        while True:
            since, why = asyncio.get_running_loop().time(), "grout is gone"
            try:
                await self._life()
            except Unavailable as error:
                why = str(error)
            except OSError as error:
                why = f"grout cannot be started: {error.filename}: {error.strerror}"
            pause_s = backoff.after(asyncio.get_running_loop().time() - since)
            log.warning("%s; retrying in %.1f s", why, pause_s)
            await asyncio.sleep(pause_s)

    async def end(self) -> None:
        """Stop the grout that answers on the socket, whoever started it. Call it after `run`."""
        with suppress(Unavailable, ProcessLookupError):
            pid = peer_of(self._grout.sock)
            os.kill(pid, signal.SIGTERM)
            try:
                async with asyncio.timeout(END_S):
                    await died(pid)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                await died(pid)
            log.info("grout, pid %d, ended", pid)

    async def up(self) -> None:
        """Return when grout answers."""
        await self._up.wait()

    async def _life(self) -> None:
        """Use the grout that answers, or start one; return when it has died."""
        try:
            pid = peer_of(self._grout.sock)
        except Unavailable:
            pid = await self._begin()
            log.info("grout started, pid %d", pid)
        else:
            await self._check_version()  # Unavailable when it hangs: start no other
            log.info("grout is already running, pid %d; using it", pid)
        self._up.set()
        looking = asyncio.create_task(self._miss_socket(pid))
        try:
            await died(pid)
        finally:
            looking.cancel()
        self._up.clear()

    async def _miss_socket(self, pid: int) -> None:
        """Log once that the socket was deleted: only a new grout creates another one.

        A grout that ends in order deletes it too, so it must be missing at two looks.
        """
        missing = 0
        while missing < MISSING:
            await asyncio.sleep(SOCKET_S)
            missing = 0 if self._grout.sock.exists() else missing + 1
        log.error(
            "grout, pid %d, has lost its socket %s: it forwards, but no other client can connect;"
            " kill it when packets may be lost for some seconds, and it is started again",
            pid,
            self._grout.sock,
        )

    async def _begin(self) -> int:
        """Start grout, and return its pid when it answers."""
        pid = self._start()
        try:
            await self._answered(pid)
            await self._check_version()
        except DatapathError:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await died(pid)
            raise
        return pid

    def _start(self) -> int:
        hugepages = self._grout.hugepages
        if hugepages is None:
            hugepages = free_hugepages() > 0
        if not hugepages:
            text = "no free hugepages: starting grout without them; good for tests, slow otherwise"
            log.warning(text)
        self.starts += 1
        argv = command_line(self._grout, hugepages=hugepages)
        # Not a pipe: grout outlives its reader.
        output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        try:
            # Neither asyncio's nor subprocess's start: both expect to outlive the child.
            return os.posix_spawnp(
                argv[0],
                argv,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsid=True,
            )
        finally:
            os.close(output)

    async def _answered(self, pid: int) -> None:
        """Wait until grout accepts connections; a dead grout may have left a socket file."""
        ended = asyncio.ensure_future(died(pid))
        text = "grout, pid %d, does not answer yet; see %s"
        slow = asyncio.get_running_loop().call_later(START_S, log.warning, text, pid, self._log)
        try:
            while not ended.done():
                with suppress(Unavailable):
                    peer_of(self._grout.sock)
                    return
                await asyncio.sleep(LOOK_S)
        finally:
            slow.cancel()
            ended.cancel()
        raise self._failure()

    async def _check_version(self) -> None:
        (await Connection.open(str(self._grout.sock))).close()

    def _failure(self) -> Unavailable:
        """Return why grout did not start, from its log."""
        text = self._log.read_bytes()[-LOG_TAIL:].decode(errors="replace")
        lines = [line for line in text.splitlines() if line.startswith("ERR")] or [text.strip()]
        hint = next((hint for word, hint in HINTS if word in text), f"see {self._log}")
        return Unavailable(f"grout does not start: {lines[0]} ({hint})")


async def died(pid: int) -> None:
    """Return when a process has ended. Reap it if it is our child."""
    try:
        process = Process(pid)
    except ProcessLookupError:
        return
    await process.wait()
    _reap(pid)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):  # the child of an earlier controller
        os.waitpid(pid, os.WNOHANG)
