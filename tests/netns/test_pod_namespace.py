"""The follower of FRR's pod, with real namespaces and a runtime of the test's."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cri.follower import PodFollower
from controller.cri.runtime import NoAnswer
from controller.cri.sandboxes import PodSelector, Sandbox
from controller.node import namespacerecord, teardown
from controller.node.namespaces import NamespaceKeeper, NamespacePair, ensure_namespaces
from datapaths.base import Unsupported
from datapaths.linux import netns

pytestmark = pytest.mark.netns

SELECTOR = PodSelector("dualpath-system", "app", "router")
CONTROL, FORWARDING = f"pod-{os.getpid()}-frr", f"pod-{os.getpid()}-fwd"
PODS = tuple(f"pod-{os.getpid()}-{n}" for n in (1, 2))


class _Runtime:
    """A runtime whose one pod has the namespace file `path`; "" is no pod."""

    def __init__(self) -> None:
        self.pod = Sandbox(1, "one", "router-1")
        self.path = ""
        self.dead = False
        self.closed = False

    async def newest(self, selector: PodSelector) -> Sandbox | None:
        assert selector is SELECTOR
        if self.dead:
            raise NoAnswer("connection refused")
        return self.pod if self.path else None

    async def namespace(self, sandbox: Sandbox) -> str:
        assert sandbox is self.pod
        return self.path

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def runtime() -> Iterator[_Runtime]:
    for name in (FORWARDING, *PODS):
        netns.create(name)
    yield _Runtime()
    for name in (CONTROL, FORWARDING, *PODS):
        netns.remove(name)


def follower(runtime: _Runtime) -> PodFollower:
    return PodFollower(runtime, SELECTOR, control=CONTROL, forwarding=FORWARDING)


def path(name: str) -> str:
    return netns.path_of(name)


async def test_name_follows_the_pod(runtime: _Runtime) -> None:
    one = follower(runtime)
    await one.look()
    assert "waiting" in one.problem
    assert not netns.exists(CONTROL)

    runtime.path = path(PODS[0])
    await one.look()
    assert one.problem == ""
    assert netns.same(CONTROL, PODS[0])

    runtime.path, runtime.pod = path(PODS[1]), Sandbox(2, "two", "router-2")
    await one.look()
    assert netns.same(CONTROL, PODS[1])


async def test_name_that_somebody_gave_to_another_namespace_comes_back(runtime: _Runtime) -> None:
    one = follower(runtime)
    runtime.path = path(PODS[0])
    await one.look()
    netns.remove(CONTROL)
    netns.create(CONTROL)
    await one.look()
    assert netns.same(CONTROL, PODS[0])


async def test_name_stays_while_there_is_no_pod(runtime: _Runtime) -> None:
    one = follower(runtime)
    runtime.path = path(PODS[0])
    await one.look()
    inode = os.stat(path(PODS[0])).st_ino
    netns.remove(PODS[0])
    runtime.path = ""
    await one.look()
    assert "waiting" in one.problem
    assert os.stat(path(CONTROL)).st_ino == inode


async def test_restarted_controller_leaves_the_name_alone(
    runtime: _Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    runtime.path = path(PODS[0])
    await follower(runtime).look()
    await follower(runtime).look()
    assert [record.message for record in caplog.records] == [
        f"pod router-1 has namespace {CONTROL} now"
    ]


async def test_pod_in_a_namespace_of_somebody_else_is_refused(runtime: _Runtime) -> None:
    one = follower(runtime)
    for name in (FORWARDING, ""):
        runtime.path = path(name)
        await one.look()
        assert "hostNetwork" in one.problem
        assert not netns.exists(CONTROL)


async def test_file_that_is_no_network_namespace_is_refused(
    runtime: _Runtime, tmp_path: Path
) -> None:
    one = follower(runtime)
    (tmp_path / "file").touch()
    for file in (tmp_path / "file", Path("/proc/self/ns/uts"), tmp_path / "absent"):
        runtime.path = str(file)
        await one.look()
        assert "cannot be used" in one.problem
        assert not netns.exists(CONTROL)


async def test_silent_runtime_is_reported_and_changes_nothing(
    runtime: _Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    one = follower(runtime)
    runtime.path = path(PODS[0])
    await one.look()
    runtime.dead = True
    for _ in range(3):
        await one.look()
    assert one.problem == (
        "the container runtime (--cri-socket) does not answer: connection refused"
    )
    assert netns.same(CONTROL, PODS[0])
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1
    runtime.dead = False
    await one.look()
    assert one.problem == ""


async def test_teardown_takes_the_name_and_leaves_the_pod(
    runtime: _Runtime, tmp_path: Path
) -> None:
    pair = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=False, pod=True)
    namespacerecord.write(tmp_path, pair, "")
    ensure_namespaces(pair)
    assert netns.exists(CONTROL)  # an empty one, until there is a pod
    runtime.path = path(PODS[0])
    await follower(runtime).look()

    left = namespacerecord.read(tmp_path)
    assert left is not None
    steps = [step for step in teardown._named_by_us(left) if step.what == "namespace"]
    assert [(step.name, step.problem) for step in steps] == [(CONTROL, "")]
    assert not netns.exists(CONTROL)
    assert netns.exists(PODS[0])


@pytest.mark.parametrize("still", [True, False])
async def test_name_leaves_the_pod_when_frr_has_left_its_pod(
    runtime: _Runtime, tmp_path: Path, still: bool
) -> None:
    """The controller starts again, with or without --frr-pod."""
    pod = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=False, pod=True)
    own = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=True)
    namespacerecord.write(tmp_path, pod, "")
    runtime.path = path(PODS[0])
    await follower(runtime).look()

    netns.remove(PODS[0])
    namespacerecord.release_pods_name(tmp_path, pod if still else own)
    assert netns.exists(CONTROL) is still


async def test_pod_keeps_the_name_until_it_ends_when_frr_is_to_leave_it(
    runtime: _Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """FRR that lost its interfaces would withdraw every route."""
    caplog.set_level(logging.INFO)
    pod = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=False, pod=True)
    own = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=True)
    namespacerecord.write(tmp_path, pod, "")
    runtime.path = path(PODS[0])
    await follower(runtime).look()

    pair = own
    for _ in range(2):  # also a controller that is restarted meanwhile
        pair = namespacerecord.release_pods_name(tmp_path, own)
        namespacerecord.write(tmp_path, pair, "")
        ensure_namespaces(pair)
        assert netns.same(CONTROL, PODS[0])

    renewed: list[bool] = []
    keeper = NamespaceKeeper(pair, renewed.append)
    keeper.look()
    assert renewed == []
    netns.remove(PODS[0])
    try:
        keeper.look()
        keeper.look()
    finally:
        keeper.close()
    if keeper.problem:
        pytest.skip(keeper.problem)
    assert renewed == [True]
    assert netns.pinned(CONTROL)
    assert caplog.messages[-1] == f"FRR's pod has ended; namespace {CONTROL} is a new one"

    left = namespacerecord.read(tmp_path)
    assert left is not None
    assert CONTROL in left.made
    assert list(teardown._name_of_pod(left)) == []
    assert namespacerecord.release_pods_name(tmp_path, own) == own
    assert netns.pinned(CONTROL)


@pytest.fixture
def isolated(runtime: _Runtime) -> None:
    """The controller made the control namespace, for an FRR in no pod."""
    try:
        netns.create_isolated(CONTROL)
    except Unsupported as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("isolated")
async def test_user_namespace_of_an_earlier_frr_loses_its_pin_with_the_name(
    runtime: _Runtime, tmp_path: Path
) -> None:
    """A router of no pod waits for the pin: with a stale one, it would start and end for ever."""
    own = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=True)
    pod = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=False, pod=True)
    namespacerecord.write(tmp_path, own, "")
    namespacerecord.write(tmp_path, pod, "")
    runtime.path = path(PODS[0])
    await follower(runtime).look()
    assert not netns.userns_path(CONTROL).exists()

    netns.remove(PODS[0])
    assert namespacerecord.release_pods_name(tmp_path, own) == own
    ensure_namespaces(own)
    assert netns.pinned(CONTROL)


@pytest.mark.usefixtures("isolated")
async def test_pin_that_an_earlier_release_left_is_removed(runtime: _Runtime) -> None:
    netns.restore(CONTROL, descriptor := netns.keep_alive(PODS[0]))
    os.close(descriptor)
    runtime.path = path(PODS[0])
    await follower(runtime).look()
    assert not netns.userns_path(CONTROL).exists()


@pytest.mark.usefixtures("isolated")
async def test_namespace_of_an_earlier_frr_keeps_its_name_if_no_pod_came(
    runtime: _Runtime, tmp_path: Path
) -> None:
    own = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=True)
    pod = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=False, pod=True)
    namespacerecord.write(tmp_path, pod, "")
    await follower(runtime).look()
    before = netns.identity(CONTROL)
    namespacerecord.release_pods_name(tmp_path, own)
    assert netns.identity(CONTROL) == before
    assert netns.pinned(CONTROL)


def test_namespace_that_is_no_pods_keeps_its_name(runtime: _Runtime, tmp_path: Path) -> None:
    own = NamespacePair(FORWARDING, CONTROL, make_forwarding=True, make_control=True)
    netns.create(CONTROL)
    namespacerecord.release_pods_name(tmp_path, own)  # a first start
    namespacerecord.write(tmp_path, own, "")
    namespacerecord.release_pods_name(tmp_path, own)
    assert netns.exists(CONTROL)
