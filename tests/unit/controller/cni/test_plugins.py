"""Plugins are run only when they are root's alone, with bounds on time and output."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from controller.cni.plugins import MOST_BYTES, Plugins
from controller.cni.protocol import Place, PluginError
from tests.fakes.cni import Scripts
from tests.fakes.waiting import until

PLACE = Place("dualpath-pe1-fwd", "/run/netns/fwd", "net1")


def test_plugin_gets_the_parameters_of_the_specification_and_nothing_of_ours(
    scripts: Scripts, plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNI_ARGS", "IgnoreUnknown=1")
    monkeypatch.setenv("SECRET", "hunter2")
    scripts.answer("macvlan", "ADD", "env")
    output = plugins.run("macvlan", "ADD", {"type": "macvlan"}, PLACE).decode()
    assert scripts.environment("macvlan", "ADD") == {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "dualpath-pe1-fwd",
        "CNI_NETNS": "/run/netns/fwd",
        "CNI_IFNAME": "net1",
        "CNI_PATH": str(scripts.directory),
    }
    assert "SECRET" not in output
    assert scripts.given("macvlan", "ADD") == {"type": "macvlan"}


def test_first_directory_that_has_a_plugin_wins(tmp_path: Path, scripts: Scripts) -> None:
    other = Scripts(tmp_path / "other", "tuning", "ptp")
    plugins = Plugins([scripts.directory, tmp_path / "none", other.directory])
    assert plugins.find("tuning", "ADD") == scripts.directory / "tuning"
    assert plugins.find("ptp", "ADD") == other.directory / "ptp"


@pytest.mark.parametrize("name", ["nothing", "../bin/macvlan", "/bin/sh", "."])
def test_missing_plugin_is_named_with_what_to_do(name: str, plugins: Plugins) -> None:
    with pytest.raises(PluginError) as caught:
        plugins.find(name, "ADD")
    assert "containernetworking-plugins" in str(caught.value) or "no program" in str(caught.value)
    assert f"CNI plugin {name}, ADD" in str(caught.value)


def test_program_that_others_may_change_is_not_run(scripts: Scripts, plugins: Plugins) -> None:
    file = scripts.directory / "macvlan"
    for path, mode in ((file, 0o757), (scripts.directory, 0o777), (scripts.directory, 0o1777)):
        before = path.stat().st_mode
        path.chmod(mode)
        with pytest.raises(PluginError, match=f"users other than root may write to {path}"):
            plugins.run("macvlan", "ADD", {}, PLACE)
        path.chmod(before)
    file.chmod(0o644)
    with pytest.raises(PluginError, match="is no program"):
        plugins.find("macvlan", "ADD")
    assert scripts.calls == []


def test_link_is_followed_to_what_it_means(tmp_path: Path, scripts: Scripts) -> None:
    other = Scripts(tmp_path / "other", "ptp")
    (scripts.directory / "ptp").symlink_to(other.directory / "ptp")
    plugins = Plugins([scripts.directory])
    plugins.find("ptp", "ADD")
    other.directory.chmod(0o777)
    with pytest.raises(PluginError, match="users other than root may write"):
        plugins.find("ptp", "ADD")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_program_of_another_user_is_not_run(scripts: Scripts, plugins: Plugins) -> None:
    for path in (scripts.directory / "macvlan", scripts.directory):
        os.chown(path, 65534, 0)
        with pytest.raises(PluginError, match=f"{path} does not belong to root"):
            plugins.find("macvlan", "ADD")
        os.chown(path, 0, 0)


async def test_plugin_that_hangs_is_killed_with_what_it_started(
    tmp_path: Path, scripts: Scripts
) -> None:
    pid = tmp_path / "pid"
    scripts.answer("macvlan", "ADD", f"sleep 600 & echo $! >{pid}; wait")
    with pytest.raises(PluginError, match="it did not end in time"):
        Plugins([scripts.directory], time_limit_s=0.5).run("macvlan", "ADD", {}, PLACE)
    status = Path(f"/proc/{pid.read_text().strip()}/status")
    await until(lambda: not status.exists() or "State:\tZ" in status.read_text())


def test_plugin_that_closes_its_output_and_hangs_is_killed(scripts: Scripts) -> None:
    scripts.answer("macvlan", "ADD", "exec >&- 2>&-; sleep 600")
    with pytest.raises(PluginError, match="it did not end in time"):
        Plugins([scripts.directory], time_limit_s=0.5).run("macvlan", "ADD", {}, PLACE)


def test_plugin_that_leaves_a_child_behind_is_not_waited_for(scripts: Scripts) -> None:
    scripts.answer("macvlan", "ADD", "sleep 5 & echo '{}'")
    plugins = Plugins([scripts.directory], time_limit_s=4)
    assert plugins.run("macvlan", "ADD", {}, PLACE) == b"{}\n"


def test_output_is_bounded(scripts: Scripts, plugins: Plugins) -> None:
    scripts.answer("macvlan", "ADD", "yes")
    with pytest.raises(PluginError, match=f"it wrote more than {MOST_BYTES} bytes"):
        plugins.run("macvlan", "ADD", {}, PLACE)


def test_long_configuration_reaches_a_plugin_that_does_not_read_it(
    scripts: Scripts, plugins: Plugins
) -> None:
    conf = {"note": "x" * (1 << 18)}
    (scripts.directory / "tuning").write_text("#!/bin/sh\necho done\n")
    assert plugins.run("tuning", "ADD", conf, PLACE) == b"done\n"
    assert plugins.run("macvlan", "CHECK", conf, PLACE) == b""
    assert scripts.given("macvlan", "CHECK") == conf


def test_program_that_the_kernel_cannot_run_is_reported(scripts: Scripts, plugins: Plugins) -> None:
    (scripts.directory / "macvlan").write_bytes(b"\x7fELF, but no more")
    with pytest.raises(PluginError, match="it cannot be run: Exec format error"):
        plugins.run("macvlan", "ADD", {}, PLACE)


def test_stop_ends_what_runs_and_nothing_is_run_afterwards(
    scripts: Scripts, plugins: Plugins
) -> None:
    scripts.answer("macvlan", "ADD", "sleep 600")
    found: list[str] = []

    def work() -> None:
        try:
            plugins.run("macvlan", "ADD", {}, PLACE)
        except PluginError as error:
            found.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    plugins.stop()
    thread.join(timeout=10)
    assert "because the controller stops" in found[0]
    with pytest.raises(PluginError, match="not run, because the controller stops"):
        plugins.run("macvlan", "ADD", {}, PLACE)


def test_versions_are_asked_for_once_until_the_plugin_is_replaced(
    scripts: Scripts, plugins: Plugins
) -> None:
    plugins.check_version("macvlan", "1.0.0")
    scripts.answer("macvlan", "VERSION", """echo '{"supportedVersions": ["0.4.0", 5]}'""")
    plugins.check_version("macvlan", "1.1.0")
    os.utime(scripts.directory / "macvlan", (1, 1))
    with pytest.raises(PluginError) as caught:
        plugins.check_version("macvlan", "1.0.0")
    assert "it does not support CNI 1.0.0, only 0.4.0 (code 1); give a `cniVersion`" in str(
        caught.value
    )
