"""Apply a rendered frr.conf with FRR's own programs: vtysh and frr-reload.py.

The result is judged by the configuration that FRR shows afterwards, never by exit codes:
frr-reload.py returns 0 when mgmtd is dead and half of the file had no effect, and 1 when FRR
accepted everything but refused a repeated line. No shell is used, and passwords stay out of command
lines, logs and other users' reach.

FRR's user owns the directories. So the programs run with that user's rights, and files are opened
by `directory`: an attacker who controls FRR gains nothing here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dualpath.model.redact import redact, secret_head
from frr_bridge import coalesce, frr_version
from frr_bridge.directory import Directory, Unsafe
from frr_bridge.frr_config import (
    forgotten_vrfs,
    secret_changes,
    section_of,
    section_of_line,
    vrf_restatement,
)
from frr_bridge.frr_difference import Difference, parse, shutdowns
from frr_bridge.frr_version import Version
from frr_bridge.rights import Rights, of_frr, ours

log = logging.getLogger(__name__)

TIME_LIMIT_S = 400.0
"""For one program. A reload that adds a hundred VRFs takes more than two minutes on a slow machine,
and one that is ended halfway must start from the beginning."""
OUTPUT_MAX = 64 << 20
"""Bytes that a program may write: a daemon that misbehaves could reply without end."""
PASSES = 3
"""frr-reload.py sometimes needs a second run: it deletes `bfd` before the profiles in it."""
MODE = 0o640  # as Debian's package has it: FRR's group may read, others may not
_PAM = re.compile(r"vtysh_pam: [^\n]*?\(\d+\)")
"""vtysh prints this, and continues, when PAM may not read the expiry of user frr in /etc/shadow."""
_HANG = "FRR's programs did not end in time"
_INSTALL = "install frr and frr-pythontools, and give --frr-name as the -N of FRR's daemons"
VTYSH_CONF = "vtysh.conf"
NO_HOSTNAME = "(none)"  # the name that uname reports when none was set


@dataclass(frozen=True, slots=True)
class FrrPaths:
    """The directories and programs of one FRR. The directories select it, so `-N` is not needed."""

    config_dir: Path = Path("/etc/frr")
    run_dir: Path = Path("/var/run/frr")  # holds the vty sockets
    vtysh: Path = Path("/usr/bin/vtysh")
    library: Path = Path("/usr/lib/frr")  # holds frr-reload.py and the daemons
    rights: Callable[[], Rights] = ours  # the user that both directories belong to

    @classmethod
    def named(cls, name: str) -> FrrPaths:
        """Return the directories of an FRR started with `-N name`, "" for the only one."""
        return cls(Path("/etc/frr", name), Path("/var/run/frr", name), rights=of_frr)

    @property
    def file(self) -> Path:
        return self.config_dir / "frr.conf"


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of one attempt."""

    ok: bool  # FRR runs the given configuration
    changed: bool  # commands were given to FRR
    message: str = ""  # one sentence when not ok, or a remark
    section: str = ""  # the part of the text that the message is about


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that ended: its exit code, and what it wrote to stdout and to stderr."""

    code: int
    output: str
    errors: str = ""

    @property
    def complaint(self) -> str:
        return _complaint(f"{self.output}\n{self.errors}")


class _Unreadable(OSError):
    """FRR's programs do not show what differs; the text is one sentence."""


class Run(Protocol):
    """Runs a program to its end. Raises TimeoutError at a time limit, OSError if it cannot run."""

    async def __call__(self, arguments: Sequence[str]) -> Finished: ...


class FrrApply:
    """Makes one FRR run a configuration, one attempt at a time."""

    def __init__(self, paths: FrrPaths, run: Run | None = None) -> None:
        self._paths = paths
        self._run = run if run is not None else self._run_with_rights
        self._busy = asyncio.Lock()
        self._running = ""  # the configuration that FRR showed last
        self._in_force = ""  # the last file, if FRR accepted all of it
        self.changes = 0  # attempts that may have changed FRR's configuration
        self._logs_to_file: bool | None = None  # whether frr-reload.py knows --logfile

    async def apply(self, text: str, raw: Collection[str] = ()) -> Applied:
        """Make FRR run `text`, or return why not and restore the previous configuration.

        `raw` are the user's own snippets in it. FRR may print their lines in another form, as if it
        had refused them; that alone is no failure.
        """
        async with self._busy:
            before, self._in_force = self._in_force, ""
            try:
                applied = await self._apply(text, before, frozenset(_lines(raw)))
                self.changes += applied.changed
                self._in_force = text if applied.ok else ""
                return applied
            except TimeoutError:
                self.changes += 1
                return Applied(False, True, _HANG)
            except FileNotFoundError as error:
                return Applied(False, False, f"{error.filename} does not exist: {_INSTALL}")
            except OSError as error:
                return Applied(False, False, _reason(error))

    async def shorten(self) -> bool:
        """Shorten `coalesce-time` in FRR, not in the file; return whether FRR shows it."""
        async with self._busy:
            try:
                await self._run_private(coalesce.shorter(await self._configuration()))
                return not coalesce.shorter(await self._configuration())
            except OSError as error:
                log.debug("coalesce-time: %s", error)
                return False

    async def version(self) -> Version | None:
        """Return the release of the installed zebra, None if zebra cannot run."""
        try:
            shown = await self._run([str(self._paths.library / "zebra"), "--version"])
        except (OSError, TimeoutError):
            return None
        return frr_version.parse(shown.output)

    async def _apply(self, text: str, before: str, tolerated: frozenset[str]) -> Applied:
        if f"\nhostname {NO_HOSTNAME}\n" in f"\n{text}":
            return Applied(False, False, "the system has no hostname, which FRR needs; set one")
        if refused := frr_version.refusal(await self.version()):
            return Applied(False, False, refused)
        with self._config_directory() as directory, _candidate(directory, text) as candidate:
            urgent = shutdowns(before, text)  # FRR has the rest
            current = _read(directory, self._paths.file.name)
            if urgent.lines and current == before and await self._shut(urgent, text):
                directory.replace(self._paths.file.name, candidate.name)
                return Applied(True, True)
            check = await self._vtysh("-C", "-f", str(candidate))
            if check.code:
                complaint = check.complaint
                section = section_of_line(text, _line_number(complaint))
                return Applied(False, False, f"FRR refuses it: {complaint}", section)
            missing = await self._missing_daemons(text)
            previous = _read(directory, self._paths.file.name)
            directory.replace(self._paths.file.name, candidate.name)
        if missing:
            return Applied(
                False, False, f"frr.conf is written, but these daemons do not run: {missing}"
            )
        applied = await self._judged(text, tolerated)
        if not applied.ok and previous not in (None, text):
            assert previous is not None
            return await self._put_back(previous, text, applied)
        return applied

    async def _shut(self, urgent: Difference, text: str) -> bool:
        """Shut sessions with two runs of vtysh; a whole attempt takes ten programs."""
        await self._run_private(urgent.commands)
        with contextlib.suppress(_Unreadable):
            await self._show(text)
        return set(urgent.lines) <= {line.strip() for line in self._running.splitlines()}

    async def _judged(self, text: str, tolerated: frozenset[str]) -> Applied:
        """Reload and judge the result. A program that hangs, is missing or prints nothing fails."""
        try:
            return await self._reload(text, tolerated)
        except TimeoutError:
            return Applied(False, True, _HANG)
        except OSError as error:
            self._running = ""
            return Applied(False, True, _reason(error))

    async def _reload(self, text: str, tolerated: frozenset[str]) -> Applied:
        """Make FRR run the configuration in the file.

        Ask FRR for its configuration only after an attempt, because that can take a minute. Before
        the attempt, assume the configuration of the last time; a wrong assumption shows in the
        reply.
        """
        changed = bool(self._running) and await self._apply_small(await self._difference())
        left = await self._look(text)
        if not changed and await self._apply_small(left):
            changed, left = True, await self._look(text)
        reload = Finished(0, "")
        for _ in range(PASSES):
            if not left.lines:
                break
            before, changed = left, True
            if kept := await self._exchange_secrets(text):
                message = f"FRR keeps `{redact(kept)}`; frr-reload.py would show the secret"
                return Applied(False, True, message)
            with self._private_directory() as directory:
                reload = await self._frr_reload("--reload", "--rundir", str(directory))
            left = await self._look(text)
            if left == before:
                break
        await self._run_private(forgotten_vrfs(self._running, text))
        return _verdict(text, left.lines, tolerated, reload) if changed else Applied(True, False)

    async def _exchange_secrets(self, text: str) -> str:
        """Replace FRR's secrets by those of `text`; return one that FRR did not remove, else "".

        frr-reload.py would remove it with a command line, which every user can see.
        """
        commands = secret_changes(self._running, text)
        if not commands:
            return ""
        await self._run_private(commands)
        shown = await self._vtysh("-c", "show running-config no-header")
        left = shown.output.splitlines()
        gone = set(self._running.splitlines()) - set(text.splitlines())
        return next((line.strip() for line in left if line in gone and secret_head(line)), "")

    async def _apply_small(self, difference: Difference) -> bool:
        """Apply a small difference by vtysh, and return whether it was one.

        frr-reload.py would read FRR's configuration twice and send every line twice. But a file for
        vtysh reaches all daemons at once, and bgpd removes an instance only after zebra has removed
        its VNI: a difference that is not small is left to frr-reload.py.
        """
        if not difference.lines or not difference.small:
            return False
        await self._run_private(difference.commands)
        return True

    async def _look(self, text: str) -> Difference:
        """Ask FRR for its configuration, and return the difference of the file from it."""
        await self._show(text)
        return await self._difference()

    async def _show(self, text: str) -> None:
        """Ask FRR for its configuration, and note it as the file with `text` would have it."""
        self._running = ""
        self._running = coalesce.as_written(await self._configuration(), text)

    async def _configuration(self) -> str:
        shown = await self._vtysh("-c", "show running-config no-header")
        if shown.code:
            raise _Unreadable(f"FRR does not show its configuration: {shown.complaint}")
        return shown.output

    async def _put_back(self, previous: str, text: str, failed: Applied) -> Applied:
        with self._config_directory() as directory, _candidate(directory, previous) as candidate:
            directory.replace(self._paths.file.name, candidate.name)
        await self._run_private(vrf_restatement(text, previous))
        back = await self._judged(previous, frozenset())
        done = (
            "the previous configuration is restored"
            if back.ok
            else "and the previous configuration could not be restored"
        )
        return Applied(False, failed.changed, f"{failed.message}; {done}", failed.section)

    async def _missing_daemons(self, text: str) -> str:
        """Return the daemons that the text needs and that do not run, or ""."""
        needed = {"zebra", "bgpd"}
        if (self._paths.library / "mgmtd").exists():  # since FRR 9; without it FRR loses VNIs
            needed.add("mgmtd")
        if "\nbfd\n" in text:
            needed.add("bfdd")
        if "\nrouter isis " in text:
            needed.add("isisd")
        shown = await self._vtysh("-c", "show daemons")
        return ", ".join(sorted(needed - set(shown.output.split())))

    async def _difference(self) -> Difference:
        """Return the difference of the file from the configuration that FRR showed last."""
        with self._private_directory("running", self._running) as directory:
            shown = await self._frr_reload("--test", "--input", str(directory / "running"))
        found = parse(shown.output)
        if shown.code and not found.lines:
            raise _Unreadable(f"frr.conf: {shown.complaint}")
        return found

    async def _run_private(self, commands: str) -> None:
        """Run commands from a file that nobody else can read; they may hold passwords."""
        if not commands:
            return
        with self._private_directory("commands", commands) as directory:
            await self._vtysh("-f", str(directory / "commands"))

    async def _vtysh(self, *arguments: str) -> Finished:
        paths = self._paths
        return await self._run(
            [
                str(paths.vtysh),
                "--config_dir",
                str(paths.config_dir),
                "--vty_socket",
                str(paths.run_dir),
                *arguments,
            ]
        )

    async def _frr_reload(self, *arguments: str) -> Finished:
        paths = self._paths
        return await self._run(
            [
                str(paths.library / "frr-reload.py"),
                # A log file would hold passwords; stdout reaches only this process.
                *("--stdout", "--log-level", "error"),
                *await self._no_log_file(),
                *("--bindir", str(paths.vtysh.parent)),
                # With any other --confdir it ends with `write`, which would replace frr.conf.
                *("--confdir", str(paths.config_dir)),
                *("--vty_socket", str(paths.run_dir)),
                *arguments,
                str(paths.file),
            ]
        )

    async def _no_log_file(self) -> Sequence[str]:
        """Return the option that keeps frr-reload.py from opening a log file as well as stdout.

        FRR 10.7 opens /var/log/frr/frr-reload.log unless `--logfile` names another. FRR 10.3 and
        before open none with `--stdout`, and refuse the option.
        """
        if self._logs_to_file is None:
            shown = await self._run([str(self._paths.library / "frr-reload.py"), "--help"])
            self._logs_to_file = "--logfile" in shown.output
        return ("--logfile", os.devnull) if self._logs_to_file else ()

    def _config_directory(self) -> Directory:
        return Directory(self._paths.config_dir, self._paths.rights())

    @contextlib.contextmanager
    def _private_directory(self, name: str = "", text: str = "") -> Iterator[Path]:
        """Create a directory for FRR's user alone, with a file in it if it has a name.

        Files there, also those of frr-reload.py, hold passwords.
        """
        with (
            Directory(self._paths.run_dir, self._paths.rights()) as directory,
            directory.private("reload-", {name: text} if name else {}) as made,
        ):
            yield made

    async def _run_with_rights(self, arguments: Sequence[str]) -> Finished:
        return await run_program(arguments, rights=self._paths.rights())


async def run_program(
    arguments: Sequence[str], time_limit_s: float = TIME_LIMIT_S, rights: Rights | None = None
) -> Finished:
    """Run a program without a shell; kill it and its children at the time limit.

    Files that it creates are for the user of `rights` alone, by default this process's. Raises
    TimeoutError, and OSError when it cannot run or writes without end.
    """
    _require(arguments[0])
    process = await asyncio.create_subprocess_exec(
        *(rights if rights is not None else ours()).command(arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "VTYSH_PAGER": "cat"},
        start_new_session=True,
        cwd="/",  # FRR's user may have no access to this process's working directory
        umask=0o077,
    )
    assert process.stdout
    assert process.stderr
    try:
        async with asyncio.timeout(time_limit_s), asyncio.TaskGroup() as group:
            written = [group.create_task(_read_all(s)) for s in (process.stdout, process.stderr)]
            group.create_task(process.wait())
    except BaseException as error:
        # Kill its children too: they may outlive it and keep its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Otherwise `wait` waits for pipes that no task reads, or that another process group keeps
        # open. asyncio.subprocess has no public way to close them.
        process._transport.close()  # type: ignore[attr-defined]
        await process.wait()
        if isinstance(error, BaseExceptionGroup):  # _Endless
            raise OSError(
                errno.EFBIG, f"it wrote more than {OUTPUT_MAX >> 20} MiB", arguments[0]
            ) from None
        raise
    output, errors = (task.result() for task in written)
    assert process.returncode is not None
    text = _PAM.sub("", errors.decode(errors="replace"))
    return Finished(process.returncode, output.decode(errors="replace"), text)


class _Endless(Exception):
    """A program wrote more than any of FRR's does."""


async def _read_all(stream: asyncio.StreamReader) -> bytes:
    """Return what a program writes until it closes the stream. Raises _Endless."""
    read = bytearray()
    while chunk := await stream.read(65536):
        read += chunk
        if len(read) > OUTPUT_MAX:
            raise _Endless
    return bytes(read)


def _require(program: str) -> None:
    """Raise FileNotFoundError for a program that is not installed; setpriv would hide that."""
    if not Path(program).exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _reason(error: OSError) -> str:
    """Return an error's text; that of a full file system names no file."""
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)


def _verdict(
    text: str, left: Sequence[str], tolerated: frozenset[str], reload: Finished
) -> Applied:
    """Judge by the lines that still differ after a reload."""
    if not left:
        return Applied(True, True)
    own = [line for line in left if line in tolerated]
    # A line that FRR prints differently is added in the user's form and deleted in FRR's.
    refused = [line for line in left if line not in own and not (own and line.startswith("no "))]
    if not refused:
        message = f"FRR prints `{redact(own[-1])}` differently, or refused it"
        return Applied(True, True, message, section_of(text, own))
    why = f" ({reload.complaint})" if reload.code else ""
    message = f"FRR refused `{redact(refused[0])}`{why}"
    return Applied(False, True, message, section_of(text, refused))


def _line_number(complaint: str) -> int:
    """Return the number of the line that vtysh complains about, or 0."""
    match = re.search(r"\bline (\d+)", complaint)
    return int(match[1]) if match else 0


def _lines(snippets: Collection[str]) -> Iterator[str]:
    for snippet in snippets:
        yield from (line.strip() for line in snippet.splitlines() if line.strip())


def _complaint(output: str) -> str:
    """Return the line of a program's output that gives the reason."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        if "%" in line or "ERROR" in line:
            return redact(line)
    return redact(lines[-1]) if lines else "no reason given"


def _read(directory: Directory, name: str) -> str | None:
    """Return a file's contents; None also for one that is not FRR's and is not restored."""
    try:
        return directory.read(name)
    except Unsafe as error:
        log.warning("%s: %s; replacing it", error.filename, error.strerror)
        return None


@contextlib.contextmanager
def _candidate(directory: Directory, text: str) -> Iterator[Path]:
    """Write `text` beside frr.conf, for its owner and group only; remove it after the block."""
    if not directory.exists(VTYSH_CONF):  # without it vtysh complains on every call
        directory.create(VTYSH_CONF, "", MODE)
    with directory.candidate(".frr.conf.", text, MODE) as candidate:
        yield candidate
