"""Network namespaces, plain and isolated."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datapaths.base import Unsupported
from datapaths.linux import idmap, netns, sysctls
from tests.netns.namespaces import fresh, run
from tests.unit.controller.intent.rulebook import rule

pytestmark = pytest.mark.netns

NAME = "dp-dev-isolated"


@pytest.fixture
def userns_dir(tmp_path: Path) -> Iterator[Path]:
    try:
        yield tmp_path
    finally:
        netns.remove(NAME, tmp_path)


@pytest.fixture
def isolated(userns_dir: Path) -> Path:
    try:
        netns.create_isolated(NAME, userns_dir)
    except Unsupported as error:
        pytest.skip(str(error))
    return userns_dir


def here() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


@rule("Layout.namespace")
def test_namespace_is_created_once_with_its_loopback_up() -> None:
    with fresh("x") as (name,):
        inode = os.stat(netns.path_of(name)).st_ino
        netns.create(name)
        assert os.stat(netns.path_of(name)).st_ino == inode
        assert "LOOPBACK,UP" in run(f"ip -n {name} link show lo")
        assert name in run("ip netns list")
    assert not netns.exists(name)


def test_leftover_file_is_no_namespace(tmp_path: Path) -> None:
    path = str(tmp_path / "ns")
    Path(path).touch()
    assert not netns.exists(path)
    netns.create(path)
    assert netns.exists(path)
    netns.remove(path)
    netns.remove(path)
    assert not Path(path).exists()


def test_names_and_paths_are_equivalent() -> None:
    with fresh("x", "y") as (x, y):
        assert netns.same(x, f"/run/netns/{x}")
        assert not netns.same(x, y)
        assert not netns.same(x, "")


def test_only_the_calling_thread_enters_and_it_returns() -> None:
    home = here()
    with fresh("x") as (name,), ThreadPoolExecutor(1) as pool:
        pool.submit(here).result()  # the thread is made here, outside
        with netns.entered(name):
            assert here() == os.stat(netns.path_of(name)).st_ino
            assert pool.submit(here).result() == home
        assert here() == home


def test_thread_returns_after_an_error_inside() -> None:
    home = here()
    with fresh("x") as (name,), pytest.raises(ZeroDivisionError), netns.entered(name):
        raise ZeroDivisionError
    assert here() == home


def test_isolated_namespace_is_owned_by_its_user_namespace(isolated: Path) -> None:
    assert netns.isolated(NAME)
    pin = netns.userns_path(NAME, isolated)
    assert pin.stat().st_ino != os.stat("/proc/self/ns/user").st_ino
    enter = f"nsenter --user={pin} --net=/run/netns/{NAME}"
    for kind in ("uid", "gid"):
        assert idmap.outside(run(f"{enter} cat /proc/self/{kind}_map"), 0) == idmap.FIRST
    run(f"{enter} ip link add v0 type veth peer name v1")


def test_root_in_an_isolated_namespace_has_no_power_outside(isolated: Path) -> None:
    pin = netns.userns_path(NAME, isolated)
    with fresh("x") as (outside,):
        command = (
            f"nsenter --user={pin} --net=/run/netns/{NAME} nsenter --net=/run/netns/{outside} true"
        )
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "not permitted" in done.stderr


def test_no_user_in_an_isolated_namespace_creates_namespaces(isolated: Path) -> None:
    pin = netns.userns_path(NAME, isolated)
    for kind in ("--user", "--mount", "--net", "--pid", "--ipc", "--uts", "--cgroup"):
        command = f"nsenter --user={pin} --net=/run/netns/{NAME} unshare {kind} true"
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        assert done.returncode != 0, kind
        assert "No space left on device" in done.stderr  # ENOSPC: the limit, namespaces(7)
    run("unshare --mount true")  # the limit is the user namespace's own


def test_creating_a_namespace_again_restores_a_lost_pin_only(isolated: Path) -> None:
    pin = netns.userns_path(NAME, isolated)
    before = os.stat(netns.path_of(NAME)).st_ino, pin.stat().st_ino
    run(f"umount {pin}")
    netns.create_isolated(NAME, isolated)
    netns.create_isolated(NAME, isolated)
    assert (os.stat(netns.path_of(NAME)).st_ino, pin.stat().st_ino) == before


def test_pin_of_a_former_namespace_is_removed_only_when_another_has_the_name(
    isolated: Path,
) -> None:
    pin = netns.userns_path(NAME, isolated)
    netns.forget_former_owner(NAME, isolated)
    assert netns.pinned(NAME, isolated)
    with fresh("x") as (other,):
        descriptor = netns.keep_alive(other)
        netns.restore(NAME, descriptor)
        os.close(descriptor)
        assert pin.exists()
        assert not netns.pinned(NAME, isolated)
        netns.forget_former_owner(NAME, isolated)
    assert not pin.exists()


def test_isolated_namespace_gets_its_own_pin_in_place_of_a_former_one(isolated: Path) -> None:
    pin = netns.userns_path(NAME, isolated)
    former = pin.stat().st_ino
    run(f"umount /run/netns/{NAME}")
    netns.create_isolated(NAME, isolated / "elsewhere")
    assert pin.stat().st_ino == former
    netns.create_isolated(NAME, isolated)
    assert netns.pinned(NAME, isolated)
    netns.remove(NAME, isolated / "elsewhere")


def test_plain_namespace_is_not_mistaken_for_an_isolated_one(userns_dir: Path) -> None:
    with fresh("x") as (name,), pytest.raises(FileExistsError, match="not isolated"):
        netns.create_isolated(name, userns_dir)


@rule("Layout.sysctls.missing")
def test_sysctls_are_set_in_an_isolated_namespace(isolated: Path) -> None:
    missing = sysctls.ensure(NAME, {**sysctls.CONTROL, "net/ipv4/conf/none/forwarding": 1})
    assert missing == ["net/ipv4/conf/none/forwarding"]
    assert run(f"ip netns exec {NAME} sysctl -n net.ipv6.icmp.echo_ignore_multicast").strip() == "1"
