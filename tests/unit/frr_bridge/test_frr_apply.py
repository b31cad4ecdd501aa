"""What becomes of an attempt, with an FRR that has the faults of the real one."""

from __future__ import annotations

import asyncio
import errno
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from frr_bridge.frr_apply import Applied, Finished, FrrApply, FrrPaths
from tests.unit.controller.intent.rulebook import rule

GOOD = "hostname pe1\nrouter bgp 1\n neighbor a password old\nexit\n"
BETTER = GOOD + "vrf red\n vni 100\nexit-vrf\n"


@dataclass
class FakeFrr:
    """FRR's programs in one: a set of running lines, and how they fail."""

    paths: FrrPaths
    running: list[str] = field(default_factory=list)
    daemons: str = " mgmtd zebra bgpd staticd\n"
    syntax_error: str = ""
    code: int = 0  # what a reload ends with, which says nothing
    differs: int = 0  # what frr-reload.py ends with when something differs
    shows: int = 0  # what `show running-config` ends with
    takes: Callable[[list[str]], list[str]] = list
    per_pass: int = 1000  # lines that one reload gets done
    version: str = "10.7.1"
    logs_to_file: bool = True  # frr-reload.py has --logfile, since after FRR 10.3
    commands: list[tuple[str, ...]] = field(default_factory=list)
    files_seen: list[tuple[str, int]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)  # what frr-reload.py took away by command lines

    async def __call__(self, arguments: Sequence[str]) -> Finished:
        self.commands.append(tuple(arguments))
        last = Path(arguments[-1])
        if "--version" in arguments:
            return Finished(0, f"zebra version {self.version}\n")
        if "--help" in arguments:
            return Finished(0, "[--logfile LOGFILE]" if self.logs_to_file else "[--stdout]")
        if "--logfile" in arguments and not self.logs_to_file:
            return Finished(2, "frr-reload.py: error: unrecognized arguments: --logfile /dev/null")
        if "-C" in arguments:
            return Finished(2 if self.syntax_error else 0, self.syntax_error)
        if "show daemons" in arguments:
            return Finished(0, self.daemons)
        if "show running-config no-header" in arguments:
            return Finished(self.shows, "\n".join(self.running))
        if "--test" in arguments:
            running = Path(arguments[arguments.index("--input") + 1])
            text = self._difference(last, running)
            return Finished(self.differs if text else 0, text)
        if "--reload" in arguments:
            return self._reload(last)
        return self._file(last)

    def _file(self, file: Path) -> Finished:
        self.files_seen.append(
            (file.read_text(errors="replace"), stat.S_IMODE(file.parent.stat().st_mode))
        )
        lines = self._wanted(file)
        gone = tuple(line.strip()[3:] + " " for line in lines if line.strip().startswith("no "))
        new = [line for line in lines if line not in self.running and "no " not in line[:5]]
        new = self.takes(new)[: self.per_pass]
        if any(line.startswith(" coalesce-time ") for line in new):
            gone += ("coalesce-time ",)  # FRR has one value only
        self.running = [r for r in self.running if not f"{r.strip()} ".startswith(gone)]
        self.running += new
        return Finished(0, "")

    def _wanted(self, file: Path) -> list[str]:
        return [
            line
            for line in file.read_text(errors="replace").splitlines()
            if line not in ("exit", "exit-vrf")
        ]

    def _difference(self, file: Path, running: Path) -> str:
        runs = running.read_text().splitlines()
        add = [line for line in self._wanted(file) if line not in runs]
        delete = [line for line in runs if line not in self._wanted(file)]
        text = ""
        if delete:
            text += "\nLines To Delete\n===============\n" + "".join(f"no {d}\n" for d in delete)
        if add:
            text += "\nLines To Add\n============\n" + "".join(f"{a}\n" for a in add)
        return text

    def _reload(self, file: Path) -> Finished:
        taken = self.takes(self._wanted(file))
        missing = [line for line in taken if line not in self.running][: self.per_pass]
        self.shown += [line for line in self.running if line not in taken]
        self.running = [line for line in self.running if line in taken] + missing
        return Finished(self.code, "% Configuration failed.\n" if self.code else "")


@pytest.fixture
def frr(tmp_path: Path) -> FakeFrr:
    for name in ("etc", "run", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib" / "mgmtd").touch()
    paths = FrrPaths(tmp_path / "etc", tmp_path / "run", Path("/usr/bin/vtysh"), tmp_path / "lib")
    return FakeFrr(paths)


def reloads(frr: FakeFrr) -> int:
    return sum("--reload" in command for command in frr.commands)


async def apply(frr: FakeFrr, text: str, raw: Sequence[str] = ()) -> Applied:
    return await FrrApply(frr.paths, frr).apply(text, raw)


@rule("Conf.twice")
async def test_configuration_is_applied_once_and_then_left_alone(frr: FakeFrr) -> None:
    assert await apply(frr, GOOD) == Applied(True, True)
    assert await apply(frr, GOOD) == Applied(True, False)
    assert (len(frr.files_seen), reloads(frr)) == (1, 0)


async def test_an_frr_reload_without_a_log_file_option_is_not_given_one(frr: FakeFrr) -> None:
    frr.logs_to_file = False
    assert await apply(frr, BETTER) == Applied(True, True)
    assert await apply(frr, GOOD) == Applied(True, True)
    assert reloads(frr) == 1


async def test_an_frr_reload_with_a_log_file_option_writes_no_log(frr: FakeFrr) -> None:
    await apply(frr, GOOD)
    tests = [command for command in frr.commands if "--test" in command]
    assert tests
    assert all(("--logfile", "/dev/null") in pairwise(command) for command in tests)


async def test_an_frr_that_is_too_old_is_refused_before_anything_is_written(frr: FakeFrr) -> None:
    frr.version = "7.5.1"
    result = await apply(frr, GOOD)
    assert not result.ok
    assert "FRR 7.5 found" in result.message
    assert not frr.paths.file.exists()


async def test_small_change_reads_frr_s_configuration_once(frr: FakeFrr) -> None:
    applier = FrrApply(frr.paths, frr)
    await applier.apply(GOOD)
    frr.commands.clear()
    assert await applier.apply(BETTER) == Applied(True, True)
    assert reloads(frr) == 0
    assert sum("show running-config no-header" in command for command in frr.commands) == 1


SHUT = GOOD.replace("exit", " neighbor a shutdown\nexit")


async def test_a_session_is_shut_by_two_programs(frr: FakeFrr) -> None:
    """Traffic is lost from then on until the NIC has gone."""
    applier = FrrApply(frr.paths, frr)
    await applier.apply(GOOD)
    frr.commands.clear()
    assert await applier.apply(SHUT) == Applied(True, True)
    assert " neighbor a shutdown" in frr.running
    assert frr.paths.file.read_text() == SHUT
    assert sum(str(frr.paths.vtysh) in command for command in frr.commands) == 2
    assert not [command for command in frr.commands if "--test" in command]


async def test_an_frr_that_shuts_no_session_is_given_the_whole_file(frr: FakeFrr) -> None:
    applier = FrrApply(frr.paths, frr)
    await applier.apply(GOOD)
    frr.takes = lambda lines: [line for line in lines if "shutdown" not in line]
    assert not (await applier.apply(SHUT)).ok
    assert reloads(frr) > 0


async def test_a_shut_session_hides_nothing_that_frr_does_not_run(frr: FakeFrr) -> None:
    applier = FrrApply(frr.paths, frr)
    takes, frr.takes = frr.takes, lambda lines: [line for line in lines if "neighbor b" not in line]
    both = GOOD.replace("exit", " neighbor b remote-as 2\nexit")
    assert not (await applier.apply(both)).ok
    frr.paths.file.write_text(both)  # as where a daemon is missing: written, and not running
    shut = both.replace("exit", " neighbor a shutdown\nexit")
    assert not (await applier.apply(shut)).ok
    frr.takes = takes
    assert await applier.apply(shut) == Applied(True, True)
    assert " neighbor b remote-as 2" in frr.running


async def test_a_session_that_was_shut_opens_again(frr: FakeFrr) -> None:
    applier = FrrApply(frr.paths, frr)
    for text in (GOOD, SHUT, GOOD):
        assert await applier.apply(text) == Applied(True, True)
    assert " neighbor a shutdown" not in frr.running


async def test_an_frr_that_was_started_again_gets_all_of_it(frr: FakeFrr) -> None:
    """What is known of it from the last time is wrong then."""
    applier = FrrApply(frr.paths, frr)
    await applier.apply(GOOD)
    frr.running.clear()
    assert await applier.apply(BETTER) == Applied(True, True)
    assert set(frr.running) == {line for line in BETTER.splitlines() if "exit" not in line}


async def test_change_beyond_bgp_lines_is_left_to_frr_reload(frr: FakeFrr) -> None:
    await apply(frr, BETTER)
    assert await apply(frr, GOOD) == Applied(True, True)
    assert reloads(frr) == 1


async def test_frr_that_shows_nothing_is_given_no_commands(frr: FakeFrr) -> None:
    frr.shows = 1
    result = await apply(frr, GOOD)
    assert result == Applied(False, True, "FRR does not show its configuration: no reason given")
    assert not frr.files_seen


async def test_the_file_is_for_its_owner_and_group_only_and_nothing_is_left_beside_it(
    frr: FakeFrr,
) -> None:
    await apply(frr, GOOD)
    directory = frr.paths.config_dir
    assert frr.paths.file.read_text() == GOOD
    assert stat.S_IMODE(frr.paths.file.stat().st_mode) == 0o640
    assert sorted(p.name for p in directory.iterdir()) == ["frr.conf", "vtysh.conf"]
    assert not list(frr.paths.run_dir.iterdir())


@rule("Conf.refused")
async def test_a_syntax_error_leaves_the_old_file_and_never_reaches_frr(frr: FakeFrr) -> None:
    await apply(frr, GOOD)
    frr.syntax_error = "line 3: % Unknown command:  fpm addres 1\n"
    result = await apply(frr, BETTER)
    assert result == Applied(
        False, False, "FRR refuses it: line 3: % Unknown command:  fpm addres 1", "router bgp"
    )
    assert frr.paths.file.read_text() == GOOD
    assert len(frr.files_seen) == 1


async def test_an_exit_code_of_1_is_no_failure_when_frr_shows_what_was_wanted(
    frr: FakeFrr,
) -> None:
    frr.code = 1
    assert await apply(frr, GOOD) == Applied(True, True)


async def test_an_exit_code_of_0_is_a_failure_when_a_line_is_missing(frr: FakeFrr) -> None:
    frr.takes = lambda lines: [line for line in lines if "vni" not in line]
    result = await apply(frr, BETTER)
    assert result == Applied(False, True, "FRR refused `vni 100`", "vrf red")


async def test_partly_applied_configuration_is_restored(frr: FakeFrr) -> None:
    await apply(frr, GOOD)
    frr.code = 1
    frr.takes = lambda lines: [line for line in lines if "vni" not in line]
    result = await apply(frr, BETTER)
    assert result.message == (
        "FRR refused `vni 100` (% Configuration failed.); the previous configuration is restored"
    )
    assert frr.paths.file.read_text() == GOOD
    assert "vrf red" not in frr.running
    assert ("no vrf red\n", 0o700) in frr.files_seen


async def test_configuration_that_fails_twice_is_not_put_back_in_place_of_itself(
    frr: FakeFrr,
) -> None:
    await apply(frr, GOOD)
    frr.takes = lambda lines: [line for line in lines if "vni" not in line]
    frr.paths.file.write_text(BETTER)
    assert "previous" not in (await apply(frr, BETTER)).message


async def test_exit_code_of_a_difference_that_is_shown_does_not_count(frr: FakeFrr) -> None:
    await apply(frr, GOOD)
    frr.differs = 1
    assert await apply(frr, BETTER) == Applied(True, True)


async def test_a_reload_that_gets_half_done_is_done_again(frr: FakeFrr) -> None:
    frr.per_pass = 1
    assert await apply(frr, GOOD) == Applied(True, True)
    assert reloads(frr) == 2


async def test_a_reload_that_gets_nothing_done_is_not_repeated(frr: FakeFrr) -> None:
    frr.takes = lambda _: []
    assert not (await apply(frr, GOOD)).ok
    assert reloads(frr) == 1


@pytest.mark.parametrize(
    ("daemons", "text", "missing"),
    [
        (" zebra bgpd\n", GOOD, "mgmtd"),
        ("\n", GOOD, "bgpd, mgmtd, zebra"),
        (" mgmtd zebra bgpd\n", GOOD + "bfd\nexit\n", "bfdd"),
        (" mgmtd zebra bgpd\n", GOOD + "router isis underlay\nexit\n", "isisd"),
    ],
)
async def test_a_dead_daemon_is_named_and_the_file_waits_for_it(
    frr: FakeFrr, daemons: str, text: str, missing: str
) -> None:
    frr.daemons = daemons
    result = await apply(frr, text)
    assert result == Applied(
        False, False, f"frr.conf is written, but these daemons do not run: {missing}"
    )
    assert frr.paths.file.read_text() == text
    assert reloads(frr) == 0


async def test_an_frr_from_before_mgmtd_does_without_it(frr: FakeFrr) -> None:
    (frr.paths.library / "mgmtd").unlink()
    frr.daemons = " zebra bgpd\n"
    assert (await apply(frr, GOOD)).ok


async def test_missing_hostname_is_reported(frr: FakeFrr) -> None:
    result = await apply(frr, "hostname (none)\n")
    assert result.message == "the system has no hostname, which FRR needs; set one"
    assert not frr.commands


async def test_a_users_own_line_that_frr_spells_differently_is_no_failure(frr: FakeFrr) -> None:
    frr.takes = lambda lines: [line.replace("255.0.0.0", "/8") for line in lines]
    raw = "ip route 10.0.0.0 255.0.0.0 blackhole\n"
    result = await apply(frr, f"{GOOD}! RawFRRConfig mine\n{raw}", [raw])
    assert result.ok
    assert result.section == "RawFRRConfig mine"


async def test_no_password_is_on_a_command_line_or_in_a_message(frr: FakeFrr) -> None:
    await apply(frr, GOOD)
    frr.takes = lambda lines: [line for line in lines if "password" not in line]
    result = await apply(frr, GOOD.replace("old", "new"))
    assert result.message.startswith("FRR keeps `neighbor a password ***`")
    assert not [word for command in frr.commands for word in command if word in ("old", "new")]
    assert ("router bgp 1\n neighbor a password new\nexit\n", 0o700) in frr.files_seen


@pytest.mark.parametrize(
    "secret",
    [
        "enable password s3cret\n",
        "password 8 s3cret\n",
        "interface eth0\n ip ospf authentication-key s3cret\nexit\n",
        "interface eth0\n ip ospf message-digest-key 1 md5 s3cret\nexit\n",
        "interface eth0\n isis password md5 s3cret\nexit\n",
        "router isis a\n area-password clear s3cret\nexit\n",
        "key chain a\n key 1\n  key-string s3cret\n exit\nexit\n",
        "router bgp 2\n neighbor b password s3cret\nexit\n",
    ],
)
@pytest.mark.parametrize("then", [GOOD, GOOD + "vrf red\n vni 200\nexit-vrf\n"])
async def test_a_secret_that_goes_is_on_no_command_line(
    frr: FakeFrr, secret: str, then: str
) -> None:
    frr.daemons += " isisd"
    attempt = FrrApply(frr.paths, frr)
    assert (await attempt.apply(BETTER + secret)).ok
    assert (await attempt.apply(then)).ok
    assert reloads(frr)  # the change is one for frr-reload.py
    assert "s3cret" not in str((frr.commands, frr.shown))


async def test_a_secret_that_stays_keeps_frr_reload_from_showing_it(frr: FakeFrr) -> None:
    attempt = FrrApply(frr.paths, frr)
    kept = "enable password s3cret"
    assert (await attempt.apply(f"{BETTER}{kept}\n")).ok
    before = reloads(frr)

    async def stubborn(arguments: Sequence[str]) -> Finished:
        done = await frr(arguments)
        frr.running += [kept] * (kept not in frr.running)
        return done

    attempt._run = stubborn
    result = await attempt.apply(GOOD)
    assert result.message.startswith("FRR keeps `enable password ***`")
    assert (reloads(frr), frr.shown) == (before, [])


async def test_directories_select_frr_and_it_never_writes_its_file(
    frr: FakeFrr,
) -> None:
    await apply(frr, BETTER)
    await apply(frr, GOOD)
    (command,) = [c for c in frr.commands if "--reload" in c]
    assert command[command.index("--confdir") + 1] == str(frr.paths.file.parent)
    assert command[command.index("--vty_socket") + 1] == str(frr.paths.run_dir)
    assert "--overwrite" not in command
    assert FrrPaths.named("pe1").file == Path("/etc/frr/pe1/frr.conf")
    assert FrrPaths.named("").file == Path("/etc/frr/frr.conf")


async def test_a_missing_directory_is_named(frr: FakeFrr) -> None:
    frr.paths.config_dir.rmdir()
    result = await apply(frr, GOOD)
    assert not result.ok
    assert f"{frr.paths.file.parent} does not exist" in result.message
    assert "install frr" in result.message


async def test_attempts_do_not_overlap(frr: FakeFrr) -> None:
    applier = FrrApply(frr.paths, frr)
    first, second = await asyncio.gather(applier.apply(GOOD), applier.apply(GOOD))
    assert (first, second) == (Applied(True, True), Applied(True, False))


async def test_a_hang_is_a_result(frr: FakeFrr) -> None:
    async def hang(arguments: Sequence[str]) -> Finished:
        raise TimeoutError

    result = await FrrApply(frr.paths, hang).apply(GOOD)
    assert result.message == "FRR's programs did not end in time"


async def test_an_earlier_file_in_latin_1_is_replaced_and_put_back_as_it_was(
    frr: FakeFrr,
) -> None:
    before = b"! Jos\xe9\nhostname pe1\nvrf caf\xe9\n vni 7\nexit-vrf\n"
    frr.paths.file.write_bytes(before)
    frr.shows = 1
    result = await apply(frr, BETTER)
    assert not result.ok
    assert frr.paths.file.read_bytes() == before
    frr.shows = 0
    assert (await apply(frr, BETTER)).ok


@pytest.mark.parametrize("fails", ["--test", "show running-config no-header"])
@pytest.mark.parametrize("hangs", [False, True])
async def test_silent_programs_restore_the_previous_file(
    frr: FakeFrr, fails: str, hangs: bool
) -> None:
    async def failing(arguments: Sequence[str]) -> Finished:
        if fails not in arguments:
            return await frr(arguments)
        if hangs:
            raise TimeoutError
        return Finished(1, "% nothing to say")

    assert (await apply(frr, GOOD)).ok
    result = await FrrApply(frr.paths, failing).apply(BETTER)
    assert result.message.endswith("; and the previous configuration could not be restored")
    assert frr.paths.file.read_text() == GOOD


async def test_missing_programs_restore_the_previous_file(frr: FakeFrr) -> None:
    async def without(arguments: Sequence[str]) -> Finished:
        if "--test" in arguments:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", arguments[0])
        return await frr(arguments)

    frr.paths.file.write_text(GOOD)
    applied = await FrrApply(frr.paths, without).apply(BETTER)
    assert not applied.ok
    assert "frr-reload.py: No such file or directory" in applied.message
    assert frr.paths.file.read_text() == GOOD


async def test_full_directory_is_reported_without_a_file_name(frr: FakeFrr) -> None:
    async def full(arguments: Sequence[str]) -> Finished:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert (await FrrApply(frr.paths, full).apply(GOOD)).message == "No space left on device"
