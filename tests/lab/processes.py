"""Commands that a scenario waits for, and daemons that run beside it."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.waiting import SLOWNESS, wait_until

STOPPING_S = 10.0 * SLOWNESS


class CommandFailed(Exception):
    """A command ended with an exit code other than 0; the text is what it said."""

    def __init__(self, argv: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"`{' '.join(argv)}` ended with {code}: {output.strip()}")
        self.code = code


def run(argv: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0) -> str:
    """Return what `argv` wrote to its output; raise CommandFailed if it did not succeed."""
    done = subprocess.run(
        argv,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s * SLOWNESS,
        check=False,
    )
    if done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stderr or done.stdout)
    return done.stdout


class Daemon:
    """A process of ours that writes to `log`; it may be started, killed and started again.

    Where `argv` begins with wrappers (nsenter and unshare fork once and wait), `program` is the
    name of what they run in the end, and that is what gets the signals.
    """

    def __init__(self, name: str, argv: Sequence[str], log: Path, program: str = "") -> None:
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, below all wrappers; waits until they have got that far."""
        return wait_until(self._find, f"process of {self.name}", timeout_s=10.0, every_s=0.02)

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        assert not self.running, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._find() or self._outermost, number)

    def wait(self, timeout_s: float = STOPPING_S) -> None:
        """Wait for the end; when it does not come in time, make it."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOPPING_S)

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.send(number)
        self.wait()

    def stop(self) -> None:
        self.kill(signal.SIGTERM)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def _outermost(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def _find(self) -> int:
        """Return the process id below all wrappers, or 0 when it is not there (yet)."""
        if not self._program:
            return self._outermost
        return next((pid for pid in _descent(self._outermost) if _comm(pid) == self._program), 0)


def _descent(pid: int) -> Iterator[int]:
    """Yield a process, its first child, and so on."""
    while pid:
        yield pid
        pid = _first_child(pid)


def _first_child(pid: int) -> int:
    return int((_read(f"/proc/{pid}/task/{pid}/children").split() or ["0"])[0])


def _comm(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
