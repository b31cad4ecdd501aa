"""One FRR, as Debian ships it, in namespaces of a scenario's choice.

Its daemons run in the foreground as children of the scenario, so that they can be killed one by
one and leave no zombies. From outside, an FRR is reached by files: /run/frr/NAME/*.vty and
/etc/frr/NAME/frr.conf are the same for everybody in the lab, whatever namespaces FRR is in.
"""

import json
import pwd
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.lab.namespaces import Namespace
from tests.lab.processes import CommandFailed, Daemon, run
from tests.lab.waiting import wait_until

RUN = Path("/run/frr")
CONFIGURATION = Path("/etc/frr")
STARTING_S = 180.0  # in a guest with one CPU and much else to do
FRR_EXEC = (sys.executable, "-P", "-m", "frr_bridge.frr_exec")


class Version(StrEnum):
    SID = "sid"  # 10.7 or later
    TRIXIE = "10.3"  # Debian 13's
    BOOKWORM = "8.4"  # Debian 12's, and Ubuntu 24.04's

    @property
    def tree(self) -> Path:
        """The root filesystem that has it."""
        return Path("/") if self is Version.SID else Path(f"/opt/frr-{self.value}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How an FRR is started; what it does then is its configuration's business."""

    version: Version = Version.SID
    daemons: tuple[str, ...] = ("mgmtd", "zebra", "bgpd", "bfdd", "staticd")
    zebra: tuple[str, ...] = ()  # more arguments, as in ("-K20",)
    bgpd: tuple[str, ...] = ()
    configuration: str = ""  # applied at the first start; empty leaves that to somebody else
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # for other daemons


class Frr:
    """An FRR instance called `name` in `namespace`; every method may be called again and again."""

    def __init__(self, name: str, namespace: Namespace, logs: Path, settings: Settings) -> None:
        self.name = name
        self.namespace = namespace
        self._settings = settings
        self._logs = logs
        self._daemons: dict[str, Daemon] = {}

    @property
    def run_directory(self) -> Path:
        return RUN / self.name

    @property
    def configuration_file(self) -> Path:
        return CONFIGURATION / self.name / "frr.conf"

    @property
    def daemons(self) -> tuple[str, ...]:
        if self._settings.version is Version.BOOKWORM:  # it has no mgmtd
            return tuple(name for name in self._settings.daemons if name != "mgmtd")
        return self._settings.daemons

    def start(self) -> None:
        """Start what is not running, then load frr.conf into it if there is one."""
        self._make_directories()
        for name in self.daemons:
            self._start_daemon(name)
        self.load()

    def load(self) -> None:
        """Give frr.conf to the daemons, as FRR's own start-up does."""
        if self.configuration_file.exists() and self.configuration_file.read_text().strip():
            self._vtysh("-b", timeout_s=STARTING_S)

    def kill(self, *names: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to these daemons, or to all, at once, and wait for their end."""
        chosen = [self._daemons[name] for name in names] or list(self._daemons.values())
        for daemon in chosen:
            daemon.send(number)
        for daemon in chosen:
            daemon.wait()

    def restart(self, *names: str) -> None:
        """Kill these daemons, or all, and start them again."""
        self.kill(*names)
        self.start()

    def stop(self) -> None:
        self.kill()

    def pids(self) -> dict[str, int]:
        """Return the running daemons' process ids, as the lab sees them."""
        return {name: daemon.pid for name, daemon in self._daemons.items() if daemon.running}

    def vtysh(self, *commands: str) -> str:
        words = [word for command in commands for word in ("-c", command)]
        return self._vtysh(*words)

    def vtysh_json(self, command: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.vtysh(f"{command} json") or "{}")
        return found

    def configure(self, *lines: str) -> None:
        self.vtysh("configure terminal", *lines)

    def wait_for(self, predicate: Callable[["Frr"], object], what: str, timeout_s: float) -> None:
        """Wait until `predicate` is true of this FRR; while it cannot be asked, it is not."""

        def holds() -> bool:
            try:
                return bool(predicate(self))
            except (CommandFailed, json.JSONDecodeError):
                return False

        wait_until(holds, f"{self.name}: {what}", timeout_s, every_s=0.5)

    def _vtysh(self, *words: str, timeout_s: float = 30.0) -> str:
        return run([*self._tree(), "vtysh", "-N", self.name, *words], timeout_s=timeout_s)

    def _tree(self) -> list[str]:
        version = self._settings.version
        return [] if version is Version.SID else ["chroot", str(version.tree)]

    def _make_directories(self) -> None:
        user = pwd.getpwnam("frr")
        uid, gid = user.pw_uid, user.pw_gid
        for directory in (self.run_directory, self.configuration_file.parent):
            directory.mkdir(parents=True, exist_ok=True)
            shutil.chown(directory, uid, gid)
        (self.configuration_file.parent / "vtysh.conf").touch()
        if self._settings.configuration and not self.configuration_file.exists():
            self.configuration_file.write_text(self._settings.configuration)
            shutil.chown(self.configuration_file, uid, gid)

    def _start_daemon(self, name: str) -> None:
        daemon = self._daemons.get(name)
        if daemon is not None and daemon.running:
            return
        socket = self.run_directory / f"{name}.vty"
        socket.unlink(missing_ok=True)
        log = self._logs / f"{self.name}-{name}.log"
        daemon = Daemon(f"{self.name}-{name}", self._command(name), log, program=name)
        self._daemons[name] = daemon
        daemon.start()
        wait_until(
            lambda: socket.exists() or not daemon.running, f"{socket}", STARTING_S, every_s=0.05
        )
        assert daemon.running, f"{self.name}: {name} did not start: {daemon.text()[-500:]}"

    def _command(self, name: str) -> list[str]:
        log = ["--log", "stdout", "--log-level", "informational"]
        return self._inside(f"/usr/lib/frr/{name}", "-N", self.name, *log, *self._more(name))

    def _inside(self, *argv: str) -> list[str]:
        """Return what runs `argv` as a user runs FRR; frr-exec lets nobody change root."""
        if self._tree() or self.namespace.userns is None:
            return self.namespace.inside(*self._tree(), *argv)
        return [*FRR_EXEC, f"--netns={self.namespace.name}", "--", *argv]

    def _more(self, name: str) -> Iterable[str]:
        match name:
            case "zebra":
                return ("-M", "dplane_fpm_nl", *self._settings.zebra)
            case "bgpd":
                return self._settings.bgpd
            case _:
                return self._settings.extra.get(name, ())
