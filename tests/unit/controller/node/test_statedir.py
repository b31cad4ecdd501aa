"""A state directory whose files are removed while it is in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.node import namespacerecord
from controller.node.namespaces import NamespacePair
from controller.node.statedir import StateDirectory
from datapaths.linux import nicrecords
from datapaths.linux.nicrecords import NicRecord
from dualpath.process.lock import Held, alone
from dualpath.rpc.listen import ListenError

RECORD = NicRecord("eth1", b"\2\0\0\0\0\1", "/proc/1/ns/net", "/run/netns/fwd", up=True, alias="")


class Kept:
    """A file that is written again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.write_text("a")

    def again(self) -> bool:
        if self.file.exists():
            return False
        self.file.write_text("a")
        return True


def clear(directory: Path) -> None:
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()


async def test_removed_files_are_recreated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state"
    path.mkdir()
    kept = Kept(path / "a")
    with alone(path / "lock") as lock:
        directory = StateDirectory(path, [kept.again, lock])
        await directory.look()
        assert caplog.messages == []
        clear(path)
        await directory.look()
        assert {file.name for file in path.iterdir()} == {"a", "lock"}
        with pytest.raises(Held), alone(path / "lock"):
            pass
    assert len(caplog.messages) == 1
    assert directory.problem == ""


@pytest.mark.parametrize("obstacle", ["file", "link"])
async def test_file_in_place_of_the_state_directory_is_a_problem_until_removed(
    tmp_path: Path, obstacle: str
) -> None:
    path, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    path.mkdir()
    elsewhere.mkdir()
    kept = Kept(path / "a")
    directory = StateDirectory(path, [kept.again])
    clear(path)
    if obstacle == "file":
        path.write_text("")
    else:
        path.symlink_to(elsewhere)
    await directory.look()
    assert str(path) in directory.problem
    assert list(elsewhere.iterdir()) == []
    path.unlink()
    await directory.look()
    assert (directory.problem, kept.file.exists()) == ("", True)


async def test_state_directory_that_is_a_symlink_at_start_is_used(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "state").symlink_to(elsewhere)
    kept = Kept(tmp_path / "state" / "a")
    directory = StateDirectory(tmp_path / "state", [kept.again])
    kept.file.unlink()
    await directory.look()
    assert (directory.problem, kept.file.exists()) == ("", True)


async def test_lock_taken_by_another_process_is_a_problem(tmp_path: Path) -> None:
    with alone(tmp_path / "lock") as lock:
        (tmp_path / "lock").unlink()
        with alone(tmp_path / "lock"):
            directory = StateDirectory(tmp_path, [lock])
            await directory.look()
            assert "another process has its lock now" in directory.problem
        await directory.look()
        assert directory.problem == ""


async def test_listener_that_cannot_be_reopened_is_a_problem(tmp_path: Path) -> None:
    class Stuck:
        async def renew(self) -> bool:
            raise ListenError("cannot listen on /a: it is no directory any more")

    directory = StateDirectory(tmp_path)
    directory.listeners.append(Stuck())
    await directory.look()
    assert directory.problem == "cannot listen on /a: it is no directory any more"


def test_removed_namespace_record_is_written_again(tmp_path: Path) -> None:
    again = namespacerecord.write(
        tmp_path, NamespacePair("fwd", "frr", make_forwarding=True, make_control=True), "host"
    )
    before = namespacerecord.read(tmp_path)
    assert not again()
    namespacerecord.forget(tmp_path)
    assert again()
    assert namespacerecord.read(tmp_path) == before


def test_nic_record_is_rewritten_until_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nicrecords, "DIRECTORY", tmp_path / "nics")
    nicrecords.write(RECORD)
    assert not nicrecords.write_again()
    clear(tmp_path / "nics")
    assert nicrecords.read("eth1", RECORD.mac) == RECORD
    assert nicrecords.write_again()
    assert list(nicrecords.every()) == [RECORD]
    nicrecords.remove(RECORD)
    assert not nicrecords.write_again()
    assert list(nicrecords.every()) == []
