"""Root at work in a directory that another user owns."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from frr_bridge import directory as directory_module
from frr_bridge.directory import Directory, Unsafe, connect_to, open_directory
from frr_bridge.rights import ours
from tests.fakes.planted import FRR, OBSTACLES, SECRET, Outside, untouched

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has power to be misused")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    with untouched(tmp_path / "root") as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory of FRR's user."""
    path = tmp_path / "frr"
    path.mkdir()
    os.chown(path, FRR.uid, FRR.gid)
    return path


def owner(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def test_a_new_file_belongs_to_the_directorys_user(home: Path) -> None:
    with Directory(home, FRR) as directory:
        directory.create("frr.conf", "hostname pe1\n", 0o640)
        assert directory.read("frr.conf") == "hostname pe1\n"
        assert directory.read("other") is None
    assert owner(home / "frr.conf") == (FRR.uid, FRR.gid, 0o640)


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_obstacle_at_the_name_is_neither_read_nor_written(
    home: Path, outside: Outside, obstacle: Callable[[Path, Outside], object]
) -> None:
    obstacle(home / "frr.conf", outside)
    before = owner(home / "frr.conf")
    with Directory(home, FRR) as directory:
        with pytest.raises(Unsafe):
            directory.read("frr.conf")
        with pytest.raises(FileExistsError):
            directory.create("frr.conf", "mine", 0o666)
        assert directory.exists("frr.conf")
        assert owner(home / "frr.conf") == before


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_replacing_a_link_leaves_its_target(
    home: Path, outside: Outside, obstacle: Callable[[Path, Outside], object]
) -> None:
    obstacle(home / "frr.conf", outside)
    with Directory(home, FRR) as directory, directory.candidate(".new", "mine", 0o640) as made:
        directory.replace("frr.conf", made.name)
        assert directory.read("frr.conf") == "mine"
    assert owner(home / "frr.conf") == (FRR.uid, FRR.gid, 0o640)
    assert [path.name for path in home.iterdir()] == ["frr.conf"]


def test_a_file_that_the_user_may_not_read_is_not_read(home: Path) -> None:
    file = home / "frr.conf"
    file.write_text(SECRET)
    with Directory(home, FRR) as directory:
        for gid, mode, readable in (
            (0, 0o600, False),
            (0, 0o640, False),
            (0, 0o644, True),
            (FRR.groups[1], 0o640, True),
        ):
            os.chown(file, 0, gid)
            file.chmod(mode)
            if readable:
                assert directory.read("frr.conf") == SECRET
                continue
            with pytest.raises(Unsafe, match="may not read it"):
                directory.read("frr.conf")


def test_a_directory_that_is_exchanged_meanwhile_is_still_the_first_one(
    home: Path, outside: Outside
) -> None:
    aside = home.with_name("aside")
    with Directory(home, FRR) as directory:
        home.rename(aside)
        home.symlink_to(outside.path)
        directory.create("vtysh.new", "", 0o640)
        with directory.candidate(".new", "mine", 0o640) as made:
            directory.replace("shadow", made.name)
        assert directory.read("shadow") == "mine"
        with directory.private("reload-", {"commands": "password"}) as private:
            assert not private.exists()  # by its path it is nowhere
    assert sorted(path.name for path in aside.iterdir()) == ["shadow", "vtysh.new"]


@pytest.mark.parametrize("relative", [True, False])
def test_a_link_in_place_of_a_directory_is_refused(
    home: Path, outside: Outside, relative: bool
) -> None:
    link = home / "pe1"
    link.symlink_to("../root" if relative else outside.path)
    for path in (link, link / "deeper"):
        with pytest.raises(Unsafe, match="pe1 is a link"), Directory(path, FRR):
            pass


def test_link_that_only_root_can_create_is_followed(home: Path) -> None:
    (home.parent / "var").mkdir()
    (home.parent / "var" / "run").symlink_to("../frr")
    (home.parent / "absolute").symlink_to(home)
    for path in (home.parent / "var" / "run", home.parent / "absolute"):
        with Directory(path, FRR) as directory:
            directory.create(path.name, "", 0o640)
    (home.parent / "circle").symlink_to("circle")
    with pytest.raises(Unsafe, match="circle"):
        open_directory(home.parent / "circle")


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_link_that_others_can_create_is_refused(home: Path, mode: int) -> None:
    shared = home.parent / "shared"
    shared.mkdir()
    shared.chmod(mode)
    (shared / "run").symlink_to(home)
    with pytest.raises(Unsafe, match="run is a link"):
        open_directory(shared / "run")


def test_file_of_the_users_own_with_a_second_name_is_not_read(home: Path) -> None:
    with Directory(home, FRR) as opened:
        opened.create("frr.conf", "hostname pe1\n", 0o640)
        (home / "other").hardlink_to(home / "frr.conf")
        with pytest.raises(Unsafe, match="2 names"):
            opened.read("frr.conf")


def test_a_missing_directory_is_named_in_full(home: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        open_directory(home / "pe1" / "deeper")
    assert caught.value.filename == str(home / "pe1" / "deeper")


def test_a_private_directory_is_the_users_alone_and_gone_afterwards(home: Path) -> None:
    with (
        Directory(home, FRR) as directory,
        directory.private("reload-", {"commands": "password x\n"}) as private,
    ):
        assert owner(private) == (FRR.uid, FRR.gid, 0o700)
        assert owner(private / "commands") == (FRR.uid, FRR.gid, 0o600)
        (private / "reload-1.txt").touch()
    assert not list(home.iterdir())


def test_nothing_outside_goes_with_a_private_directory(home: Path, outside: Outside) -> None:
    """Its user may fill it with links and directories."""
    with (
        Directory(home, FRR) as directory,
        directory.private("reload-", {"commands": ""}) as private,
    ):
        (private / "a").symlink_to(outside.path)
        (private / "b").hardlink_to(outside.secret)
        (private / "c" / "d").mkdir(parents=True)
        os.mkfifo(private / "e")
    (left,) = home.iterdir()
    assert [path.name for path in left.iterdir()] == ["c"]


def full(path: Path, _: Outside) -> None:
    os.mkdir(path, 0o700)
    (path / "kept").touch()


def of_another_mode(path: Path, _: Outside) -> None:
    os.mkdir(path, 0o711)


def a_link(path: Path, outside: Outside) -> None:
    path.symlink_to(outside.path)


@pytest.mark.parametrize("place", [full, of_another_mode, a_link])
def test_an_exchanged_private_directory_is_not_given_away(
    home: Path,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    place: Callable[[Path, Outside], None],
) -> None:
    make = os.mkdir

    def exchanging(path: str, mode: int, *, dir_fd: int) -> None:
        monkeypatch.undo()
        make(path, mode, dir_fd=dir_fd)
        (home / path).rename(home / "aside")
        place(home / path, outside)

    monkeypatch.setattr(os, "mkdir", exchanging)
    with (
        Directory(home, FRR) as directory,
        pytest.raises(OSError, match=r"replaced|Not a directory"),
        directory.private("reload-", {"commands": ""}),
    ):
        pass
    assert {path.lstat().st_uid for path in home.rglob("*")} == {0}


def test_a_failed_write_leaves_nothing(home: Path) -> None:
    with (
        Directory(home, FRR) as directory,
        pytest.raises(OSError, match="File name too long"),
        directory.private("reload-", {"commands": "password", "x" * 300: ""}),
    ):
        pass
    assert not list(home.iterdir())


def test_a_socket_of_another_user_is_not_talked_to(home: Path, outside: Outside) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "bgpd.vty"))
        listener.listen()
        listener.setblocking(False)
        with connect_to(home / "bgpd.vty", ours().uid):
            listener.accept()[0].close()
        with pytest.raises(Unsafe, match="user 0 listens"):
            connect_to(home / "bgpd.vty", FRR.uid)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(100) == b""

        (home / "zebra.vty").symlink_to(home / "bgpd.vty")
        with pytest.raises(Unsafe, match="no socket"):
            connect_to(home / "zebra.vty", ours().uid)
        with pytest.raises(BlockingIOError):
            listener.accept()
    with pytest.raises(ConnectionRefusedError):
        connect_to(home / "bgpd.vty", ours().uid)


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_file_that_is_no_socket_is_not_connected_to(
    home: Path, outside: Outside, obstacle: Callable[[Path, Outside], object]
) -> None:
    obstacle(home / "bgpd.vty", outside)
    with pytest.raises((Unsafe, ConnectionRefusedError)):
        connect_to(home / "bgpd.vty", FRR.uid)


def test_file_with_more_than_its_size_says_is_read_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may grow after the look at it; files in /proc say that they are empty."""
    monkeypatch.setattr(directory_module, "LARGEST", 100)
    with Directory(Path("/proc/self"), ours()) as opened, pytest.raises(Unsafe, match="more than"):
        opened.read("maps")
