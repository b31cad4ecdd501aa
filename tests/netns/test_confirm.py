"""`controller --confirm-within`: an unconfirmed change is rolled back in time, whatever died."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from controller.manifests import trial, watchdog
from datapaths.linux import netns
from tests.netns.machines import Machine, machine
from tests.netns.namespaces import names, run

pytestmark = [
    pytest.mark.netns,
    pytest.mark.program,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]

WITHIN_S = 8


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as one:
        yield one


def until(condition: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


class Controller:
    """A controller under test, and its log."""

    def __init__(self, host: Machine, *options: str) -> None:
        self._log = host.directory / "controller.log"
        with self._log.open("ab") as log:
            command = host.command(*options)
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=Path.cwd()
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def ends(self) -> int:
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def controller(host: Machine, *options: str) -> Iterator[Controller]:
    one = Controller(host, *options)
    try:
        yield one
    finally:
        with suppress(ProcessLookupError):
            one.process.send_signal(signal.SIGCONT)
            one.process.terminate()
        one.process.wait(30)
        trial.end(host.state_dir)
        until(lambda: not watchdog.runs(host.state_dir), "the watchdog ends")


def trying(host: Machine, seconds: int = WITHIN_S) -> tuple[str, ...]:
    return (f"--confirm-within={seconds}",)


def taken(host: Machine, nic: str = "eth7") -> bool:
    log = host.directory / "controller.log"
    assert "Traceback" not in log.read_text(), log.read_text()
    return netns.exists(host.forwarding) and nic in names(host.forwarding)


def at_home(host: Machine, nic: str = "eth7") -> bool:
    return nic in names(host.host) and "192.0.2.2" in run(f"ip -n {host.host} addr show {nic}")


def confirm(host: Machine) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller.cli", "confirm", f"--state-dir={host.state_dir}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


class Session:
    """A TCP session like SSH's: a server on the host that echoes, and a client elsewhere."""

    def __init__(self, host: Machine, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(host.host):
            self._listener = socket.create_server((address, 2222), family=family)
        with netns.entered(host.client):
            self._client = socket.create_connection((address, 2222))
        self._server, _ = self._listener.accept()
        threading.Thread(target=self._echo, daemon=True).start()

    def answers(self, within_s: float) -> bool:
        self._client.settimeout(within_s)
        self._client.sendall(b"x")
        try:
            return self._client.recv(1) == b"x"
        except TimeoutError:
            return False

    def comes_back(self, within_s: float) -> bool:
        """Wait for the echo of what was sent while the NIC was away."""
        self._client.settimeout(within_s)
        return self._client.recv(1) == b"x"

    def close(self) -> None:
        for one in (self._client, self._server, self._listener):
            one.close()

    def _echo(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1):
                self._server.sendall(data)


def whole(host: Machine) -> dict[str, str]:
    """Return the configuration of the host's NIC, without values that count down."""
    addresses = json.loads(run(f"ip -n {host.host} -j addr show dev eth7"))[0]["addr_info"]
    routes = run(f"ip -n {host.host} route; ip -n {host.host} -6 route")
    kept = sorted(f"{a['local']}/{a['prefixlen']}" for a in addresses)
    return {"addresses": " ".join(kept), "routes": "\n".join(sorted(routes.split("\n")))}


@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
def test_ssh_session_recovers_when_nobody_confirms(host: Machine, address: str) -> None:
    before = whole(host)
    session = Session(host, address)
    assert session.answers(5)
    with controller(host, *trying(host)) as one:
        until(lambda: taken(host), "the NIC moves")
        assert not session.answers(0.5)
        assert one.ends() == 4
        assert at_home(host)
        assert whole(host) == before
        assert session.comes_back(30)
        assert "dualpath confirm" in one.log
        assert "gave back everything" in one.log
        assert not netns.exists(host.forwarding)
        assert not netns.exists(host.control)
    session.close()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGSTOP])
def test_nic_is_given_back_however_the_controller_ends(
    host: Machine, death: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = whole(host)
    with controller(host, *trying(host)) as one:
        until(lambda: taken(host), "the NIC moves")
        os.killpg(one.process.pid, death)
        patience_s = watchdog.PATIENCE_S if death is signal.SIGSTOP else 0.0
        until(lambda: at_home(host), "the NIC comes home", WITHIN_S + patience_s + 30)
        until(lambda: trial.read(host.state_dir) is None, "all is given back")
    assert whole(host) == before
    assert not netns.exists(host.forwarding)


def test_confirmed_start_is_kept(host: Machine) -> None:
    with controller(host, *trying(host)) as one:
        until(lambda: taken(host), "the NIC moves")
        done = confirm(host)
        assert (done.returncode, done.stdout) == (0, "confirmed: the change stays\n")
        until(lambda: "confirmed: the change stays" in one.log, "the controller notices")
        time.sleep(WITHIN_S + 1)
        assert taken(host)
        assert one.process.poll() is None
        assert confirm(host).returncode == 1
    with controller(host, *trying(host)) as again:  # the same manifests: nothing is on trial
        until(lambda: "datapath kernel" in again.log[-400:], "it starts")
        time.sleep(1)
        assert trial.read(host.state_dir) is None
        assert taken(host)


def test_restarted_controller_keeps_the_deadline(host: Machine) -> None:
    with controller(host, *trying(host, 15)) as one:
        until(lambda: taken(host), "the NIC moves")
        written = trial.read(host.state_dir)
        one.kill()
        with controller(host) as again:  # even without the option
            until(lambda: "still on trial" in again.log, "it takes the trial over")
            resumed = trial.read(host.state_dir)
            assert written
            assert resumed
            assert resumed.deadline == written.deadline
            assert again.ends() == 4
        assert at_home(host)


def test_start_after_the_deadline_gives_the_nic_back_at_once(host: Machine) -> None:
    with controller(host, *trying(host, 600)) as one:
        until(lambda: taken(host), "the NIC moves")
        until(lambda: watchdog.runs(host.state_dir), "there is a watchdog")
        one.kill()
        end_watchdog(host)
        found = trial.read(host.state_dir)
        assert found
        trial.begin(host.state_dir, trial.Trial(0.0, found.boot, found.pid, first=True))
        with controller(host) as again:
            assert again.ends() == 4
        assert at_home(host)


def end_watchdog(host: Machine) -> None:
    """Kill the watchdog of this state directory, and no other."""
    option = f"--state-dir={host.state_dir}".encode()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = command.read_bytes().split(b"\0")
            if b"controller.manifests.watchdog" in words and option in words:
                os.kill(int(command.parent.name), signal.SIGKILL)
    until(lambda: not watchdog.runs(host.state_dir), "the watchdog is gone")


@contextmanager
def settled(host: Machine) -> Iterator[Controller]:
    """Run a controller whose first start is confirmed, beside a second NIC at home."""
    run(f"ip -n {host.host} link add eth8 type veth peer name wire8 netns {host.client}")
    run(f"ip -n {host.host} addr add 198.51.100.2/24 dev eth8")
    run(f"ip -n {host.host} link set eth8 up")
    with controller(host, *trying(host)) as one:
        until(lambda: taken(host), "the NIC moves")
        assert confirm(host).returncode == 0
        until(lambda: "confirmed: the change stays" in one.log, "the controller notices")
        yield one


def test_changed_manifest_is_rolled_back_when_nobody_confirms(host: Machine) -> None:
    with settled(host) as one:
        host.write("eth8")
        until(lambda: taken(host, "eth8"), "the second NIC moves")
        until(lambda: at_home(host), "the first goes home")
        until(lambda: "eth8" in names(host.host), "the second comes home", WITHIN_S + 30)
        until(lambda: taken(host), "the first is taken again")
        until(lambda: "198.51.100.2" in run(f"ip -n {host.host} addr show eth8"), "its address")
        until(lambda: trial.read(host.state_dir) is None, "nothing is on trial")
        assert "restored the former manifests" in one.log
        assert one.process.poll() is None
        time.sleep(2)
        assert not taken(host, "eth8")  # the manifests still name it
        host.write("eth8")  # written again: another try
        until(lambda: taken(host, "eth8"), "the second NIC moves again")
        assert confirm(host).returncode == 0


def test_nic_of_an_unconfirmed_change_is_given_back_without_a_controller(host: Machine) -> None:
    with settled(host) as one:
        host.manifest.write_text(
            host.manifest.read_text().replace(
                "  neighbors:",
                "  - type: NetworkDevice\n    networkDevice: {interfaceName: eth8}\n  neighbors:",
            )
        )
        until(lambda: taken(host, "eth8"), "the second NIC moves")
        one.kill()
        until(lambda: "eth8" in names(host.host), "it comes home", WITHIN_S + 30)
        assert "198.51.100.2" in run(f"ip -n {host.host} addr show eth8")
        assert taken(host)  # it was there before the change


def test_start_after_the_deadline_of_a_change_restores_the_former_manifests(
    host: Machine,
) -> None:
    with settled(host) as one:
        host.write("eth8")
        until(lambda: taken(host, "eth8"), "the second NIC moves")
        one.kill()
        end_watchdog(host)
        found = trial.read(host.state_dir)
        assert found
        assert not found.first
        trial.begin(host.state_dir, replace(found, deadline=0.0))
        with controller(host) as again:
            until(lambda: taken(host), "the first is taken again")
            until(lambda: "eth8" in names(host.host), "the second comes home")
            assert trial.read(host.state_dir) is None
            assert "not confirmed in time" in again.log


def test_manifest_changed_without_a_controller_is_on_trial_at_the_next_start(host: Machine) -> None:
    with settled(host) as one:
        one.kill()
    host.write("eth8")
    with controller(host, *trying(host)) as again:
        until(lambda: taken(host, "eth8"), "the second NIC moves")
        until(lambda: "restored the former manifests" in again.log, "nobody confirmed")
        until(lambda: taken(host), "the first is taken again")
        until(lambda: "eth8" in names(host.host), "the second comes home")


def test_confirmation_without_a_trial_is_an_error(host: Machine) -> None:
    done = confirm(host)
    assert (done.returncode, done.stderr) == (1, "dualpath: nothing is on trial\n")
