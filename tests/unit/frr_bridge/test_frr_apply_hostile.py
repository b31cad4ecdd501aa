"""Configuring an FRR that was taken over: its user gets nothing of root's by it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from frr_bridge.frr_apply import Finished, FrrApply, FrrPaths, run_program
from frr_bridge.rights import Rights, of_frr, ours
from tests.fakes.planted import FRR, OBSTACLES, SECRET, Outside, untouched
from tests.unit.frr_bridge.test_frr_apply import BETTER, GOOD, FakeFrr

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has power to be misused")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with untouched(tmp_path / "root") as made:
        yield made


@pytest.fixture
def frr(tmp_path: Path) -> FakeFrr:
    for name in ("etc", "run", "lib"):
        (tmp_path / name).mkdir()
    (tmp_path / "lib" / "mgmtd").touch()
    for name in ("etc", "run"):
        os.chown(tmp_path / name, FRR.uid, FRR.gid)
    paths = FrrPaths(
        tmp_path / "etc",
        tmp_path / "run",
        Path("/usr/bin/vtysh"),
        tmp_path / "lib",
        rights=lambda: FRR,
    )
    return FakeFrr(paths)


def of_frr_alone(directory: Path) -> bool:
    return all(
        (path.lstat().st_uid, path.lstat().st_gid) == (FRR.uid, FRR.gid)
        for path in directory.iterdir()
    )


@pytest.mark.parametrize("name", ["frr.conf", "vtysh.conf"])
@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
async def test_obstacle_is_replaced_and_never_followed(
    frr: FakeFrr, outside: Outside, name: str, obstacle: Callable[[Path, Outside], object]
) -> None:
    obstacle(frr.paths.config_dir / name, outside)
    async with asyncio.timeout(5.0):
        assert (await FrrApply(frr.paths, frr).apply(GOOD)).ok
    assert frr.paths.file.read_text() == GOOD
    assert frr.paths.file.lstat().st_uid == FRR.uid
    assert name != "frr.conf" or of_frr_alone(frr.paths.config_dir)


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
async def test_a_failed_attempt_does_not_put_back_what_root_may_read(
    frr: FakeFrr,
    outside: Outside,
    obstacle: Callable[[Path, Outside], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    obstacle(frr.paths.file, outside)
    frr.shows = 1
    async with asyncio.timeout(5.0):
        result = await FrrApply(frr.paths, frr).apply(GOOD)
    assert not result.ok
    assert frr.paths.file.read_text() == GOOD
    assert "secret" not in result.message + caplog.text
    assert f"{frr.paths.file}: not used: " in caplog.text


@pytest.mark.parametrize("which", ["config_dir", "run_dir"])
async def test_a_link_in_place_of_a_routers_directory_is_refused(
    frr: FakeFrr, outside: Outside, tmp_path: Path, which: str
) -> None:
    """/etc/frr is root's to exchange; /etc/frr/pe1 is FRR's."""
    link = tmp_path / "etc" / "pe1"
    link.symlink_to(outside.path)
    shutil.copytree(frr.paths.library, tmp_path / "lib2")
    config_dir, run_dir = frr.paths.config_dir, frr.paths.run_dir
    paths = FrrPaths(
        link if which == "config_dir" else config_dir,
        link if which == "run_dir" else run_dir,
        Path("/usr/bin/vtysh"),
        tmp_path / "lib2",
        rights=lambda: FRR,
    )
    result = await FrrApply(paths, FakeFrr(paths)).apply(GOOD)
    assert not result.ok
    assert "pe1 is a link" in result.message


@pytest.mark.parametrize("step", ["-C", "show daemons", "--test"])
async def test_file_replaced_between_two_steps_is_not_followed(
    frr: FakeFrr, outside: Outside, step: str
) -> None:
    """Whatever FRR's user does while vtysh runs, a later step of ours does not follow."""
    config_dir = frr.paths.config_dir

    async def exchanging(arguments: Sequence[str]) -> Finished:
        done = await frr(arguments)
        if step in arguments:
            for path in config_dir.iterdir():
                path.unlink()
                path.symlink_to(outside.path / path.name)
            for path in frr.paths.run_dir.iterdir():
                path.rename(frr.paths.run_dir / "aside")
                path.symlink_to(outside.path)
        return done

    async with asyncio.timeout(5.0):
        await FrrApply(frr.paths, exchanging).apply(GOOD)
        await FrrApply(frr.paths, exchanging).apply(BETTER)


async def test_files_are_frrs_own_and_closed_to_others(frr: FakeFrr) -> None:
    modes: dict[str, tuple[int, int]] = {}

    async def looking(arguments: Sequence[str]) -> Finished:
        for word in arguments:
            if word.startswith((f"{frr.paths.run_dir}/", f"{frr.paths.config_dir}/")):
                found = os.stat(word)
                modes[os.path.basename(word)] = found.st_uid, found.st_mode
        return await frr(arguments)

    await FrrApply(frr.paths, looking).apply(GOOD)
    await FrrApply(frr.paths, looking).apply(BETTER)
    assert {"frr.conf", "running", "commands"} <= set(modes)
    assert {uid for uid, _ in modes.values()} == {FRR.uid}
    assert not any(mode & 0o007 for _, mode in modes.values())


async def test_programs_run_with_frrs_rights_and_cannot_gain_any() -> None:
    shown = await run_program(["/bin/cat", "/proc/self/status"], rights=FRR)
    status = dict(line.split(":\t", 1) for line in shown.output.splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(FRR.uid)] * 4
    assert status["Gid"].split() == [str(FRR.gid)] * 4
    assert sorted(status["Groups"].split()) == [str(group) for group in FRR.groups]
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Umask"]) == ("1", "0077")


def test_programs_read_nothing_that_frrs_user_may_not_read() -> None:
    with tempfile.TemporaryDirectory() as made:
        secret = Path(made, "secret")
        secret.write_text(SECRET)
        Path(made).chmod(0o755)
        secret.chmod(0o640)
        shown = asyncio.run(run_program(["/bin/cat", str(secret)], rights=FRR))
    assert shown.code
    assert shown.output == ""
    assert "Permission denied" in shown.errors


async def test_a_missing_program_is_missing_with_any_rights() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await run_program(["/usr/bin/no-vtysh"], rights=FRR)
    assert caught.value.filename == "/usr/bin/no-vtysh"


def test_without_a_user_frr_the_owner_of_its_directory_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frr_bridge.rights.USER", "no-such-user")
    os.chown(tmp_path, FRR.uid, FRR.gid)
    assert of_frr(tmp_path) == Rights(FRR.uid, FRR.gid, (FRR.gid,))
    assert of_frr(tmp_path / "missing") == ours()


def test_the_user_frr_is_known_by_name_with_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frr_bridge.rights.USER", "daemon")
    found = of_frr()
    assert (found.uid, found.gid) == (1, 1)
    assert 1 in found.groups
    assert FrrPaths.named("pe1").rights() == found


async def test_pam_s_line_for_an_unprivileged_vtysh_is_no_error(tmp_path: Path) -> None:
    script = tmp_path / "vtysh"
    script.write_text(
        "#!/bin/sh\n"
        "echo 'hostname pe1'\n"
        "printf 'vtysh_pam: Failed in account validation: Authentication failure(7)' >&2\n"
        "echo 'line 1: % Unknown command' >&2\n"
    )
    script.chmod(0o755)
    shown = await run_program([str(script)])
    assert (shown.output, shown.errors) == ("hostname pe1\n", "line 1: % Unknown command\n")
    assert shown.complaint == "line 1: % Unknown command"


def test_rights_with_another_group_are_not_ours() -> None:
    mine = ours()
    assert mine.ours
    other = Rights(mine.uid, mine.gid + 1)
    assert not other.ours
    assert f"--regid={other.gid}" in other.command(["vtysh"])
