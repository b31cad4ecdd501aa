"""ADD, CHECK and DEL through a list of plugins, and what a crash in between leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cni import attachment, records
from controller.cni.plugins import Plugins
from controller.cni.protocol import PluginError
from controller.cni.records import Record, Stage, Unreadable
from tests.fakes.cni import PATH, RESULT, FakeNamespace, Scripts, device, record

CHAIN = device({"type": "macvlan"}, {"type": "tuning"})
LAST = {**RESULT, "dns": {"nameservers": ["192.0.2.53"]}}


@pytest.fixture
def added(scripts: Scripts, plugins: Plugins, namespace: FakeNamespace) -> Record:
    scripts.result("tuning", LAST)
    return attachment.add(plugins, record(CHAIN), namespace)


def kept() -> Record:
    found = records.read(PATH, "net1")
    assert found
    return found


def test_add_runs_the_plugins_in_order_and_keeps_the_last_result(
    added: Record, scripts: Scripts
) -> None:
    assert scripts.calls == ["macvlan ADD", "tuning ADD"]
    assert "prevResult" not in scripts.given("macvlan", "ADD")
    assert scripts.given("tuning", "ADD")["prevResult"] == RESULT
    assert kept() == added
    assert (added.stage, added.result) == (Stage.ADDED, LAST)


def test_check_gives_every_plugin_the_kept_result(
    added: Record, scripts: Scripts, plugins: Plugins
) -> None:
    attachment.check(plugins, kept())
    assert scripts.calls[2:] == ["macvlan CHECK", "tuning CHECK"]
    assert scripts.given("macvlan", "CHECK")["prevResult"] == LAST


def test_check_ends_at_the_first_error(added: Record, scripts: Scripts, plugins: Plugins) -> None:
    scripts.fail("macvlan", "CHECK", 100, "no address")
    with pytest.raises(PluginError, match=r"macvlan, CHECK: no address \(code 100\)"):
        attachment.check(plugins, added)
    assert scripts.calls[2:] == ["macvlan CHECK"]


@pytest.mark.parametrize("value", [True, "true"])
def test_check_is_not_called_where_the_list_forbids_it(
    value: object, scripts: Scripts, plugins: Plugins
) -> None:
    wanted = replace(record(device(disableCheck=value)), result=RESULT)
    attachment.check(plugins, wanted)
    assert scripts.calls == []


def test_delete_runs_the_plugins_in_reverse_and_forgets(
    added: Record, scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    attachment.delete(plugins, kept(), namespace)
    assert scripts.calls[2:] == ["tuning DEL", "macvlan DEL"]
    assert scripts.given("macvlan", "DEL")["prevResult"] == LAST
    assert scripts.environment("macvlan", "DEL")["CNI_NETNS"] == PATH
    assert records.read(PATH, "net1") is None


def test_failed_delete_is_repeated_from_the_record(
    added: Record, scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.fail("macvlan", "DEL", 5, "disk full")
    with pytest.raises(PluginError, match="disk full"):
        attachment.delete(plugins, added, namespace)
    assert kept().stage is Stage.DELETING
    scripts.cure("macvlan", "DEL")
    attachment.delete(plugins, kept(), namespace)
    assert records.read(PATH, "net1") is None


def test_failed_add_is_undone_by_every_plugin(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.fail("macvlan", "ADD", 7, "no master eth9")
    with pytest.raises(PluginError, match="no master eth9"):
        attachment.add(plugins, record(CHAIN), namespace)
    assert scripts.calls == ["macvlan ADD", "tuning DEL", "macvlan DEL"]
    assert "prevResult" not in scripts.given("macvlan", "DEL")
    assert records.read(PATH, "net1") is None


def test_failed_add_that_cannot_be_undone_keeps_its_record(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.fail("macvlan", "ADD", 7, "no master eth9")
    scripts.fail("tuning", "DEL", 5, "disk full")
    with pytest.raises(PluginError, match="no master eth9"):
        attachment.add(plugins, record(CHAIN), namespace)
    assert kept().stage is Stage.DELETING


def test_plugin_that_refuses_add_and_delete_alike_leaves_no_record(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    namespace.made_nothing = True
    scripts.fail("macvlan", "ADD", 999, "Link not found")
    scripts.fail("macvlan", "DEL", 999, "Link not found")
    with pytest.raises(PluginError, match="ADD: Link not found"):
        attachment.add(plugins, record(device()), namespace)
    assert records.read(PATH, "net1") is None


def test_interface_that_went_with_its_master_is_forgotten_at_the_last_try(
    added: Record, scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    namespace.lost = {"net1"}
    scripts.fail("macvlan", "DEL", 999, "Link not found")
    with pytest.raises(PluginError, match="DEL: Link not found"):
        attachment.delete(plugins, added, namespace)
    attachment.delete(plugins, kept(), namespace, last_try=True)
    assert records.read(PATH, "net1") is None


@pytest.mark.parametrize("result", ["", "[]", json.dumps({**RESULT, "ips": [5]})])
def test_bad_result_is_a_failed_add(
    result: str, scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.answer("macvlan", "ADD", f"echo '{result}'")
    with pytest.raises(PluginError, match="its result is"):
        attachment.add(plugins, record(device()), namespace)
    assert scripts.calls == ["macvlan ADD", "macvlan DEL"]


def test_success_without_an_interface_is_a_failed_add(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    namespace.made_nothing = True
    with pytest.raises(PluginError, match="it reports success, and made no interface net1"):
        attachment.add(plugins, record(device()), namespace)
    assert scripts.calls == ["macvlan ADD", "macvlan DEL"]


def test_interface_of_somebody_else_is_neither_replaced_nor_deleted(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    namespace.foreign["net1"] = b"\2" * 6
    with pytest.raises(PluginError, match="has an interface net1 already"):
        attachment.add(plugins, record(device()), namespace)
    assert scripts.calls == []
    assert records.read(PATH, "net1") is None


def test_delete_does_not_name_the_namespace_where_the_interface_is_another_one(
    added: Record, scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    namespace.foreign["net1"] = b"\2" * 6
    attachment.delete(plugins, added, namespace)
    assert "CNI_NETNS" not in scripts.environment("macvlan", "DEL")


@pytest.mark.parametrize("change", [{"boot": "other"}, {"inode": 5}])
def test_delete_does_not_name_a_namespace_that_is_another_by_now(
    change: dict[str, object],
    added: Record,
    scripts: Scripts,
    plugins: Plugins,
    namespace: FakeNamespace,
) -> None:
    old = replace(added, space=replace(added.space, **change))  # type: ignore[arg-type]
    attachment.delete(plugins, old, namespace)
    assert "CNI_NETNS" not in scripts.environment("macvlan", "DEL")


def test_plugin_that_lacks_the_version_is_not_called(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.answer("tuning", "VERSION", """echo '{"supportedVersions": ["0.4.0"]}'""")
    with pytest.raises(PluginError, match=r"tuning, VERSION: it does not support CNI 1\.0\.0"):
        attachment.add(plugins, record(CHAIN), namespace)
    assert scripts.calls == []


def test_status_is_asked_before_add_since_the_version_that_has_it(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    wanted = record(device(cniVersion="1.1.0"))
    scripts.fail("macvlan", "STATUS", 50, "no daemon")
    with pytest.raises(PluginError, match=r"macvlan, STATUS: no daemon \(code 50\)"):
        attachment.add(plugins, wanted, namespace)
    assert scripts.calls == ["macvlan STATUS"]
    scripts.cure("macvlan", "STATUS")
    scripts.result("macvlan", {**RESULT, "cniVersion": "1.1.0"})
    attachment.add(plugins, wanted, namespace)
    assert scripts.calls[1:] == ["macvlan STATUS", "macvlan ADD"]


def test_record_exists_before_the_first_plugin_runs(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    scripts.answer("macvlan", "ADD", f'cp {records.DIRECTORY}/net1@*.json "$here/then"; exit 1')
    with pytest.raises(PluginError):
        attachment.add(plugins, record(device()), namespace)
    then = json.loads((scripts.directory / "then").read_text())
    assert (then["stage"], then["result"]) == ("adding", None)


def test_record_that_cannot_be_written_prevents_add(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace, tmp_path: Path
) -> None:
    (tmp_path / "cni").write_text("a file, no directory")
    with pytest.raises(OSError, match="cni"):
        attachment.add(plugins, record(device()), namespace)
    assert scripts.calls == []


def test_records_are_roots_alone_and_of_one_namespace(added: Record) -> None:
    (file,) = records.DIRECTORY.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert records.DIRECTORY.stat().st_mode & 0o777 == 0o700
    assert records.names(PATH) == ["net1"]
    assert records.names("/run/netns/other") == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "device": 5}', "\xff"]
)
def test_record_that_cannot_be_used_is_named_with_what_to_do(text: str, added: Record) -> None:
    (file,) = records.DIRECTORY.iterdir()
    file.write_text(text)
    with pytest.raises(Unreadable, match=f"{file}: .*cannot be read"):
        records.read(PATH, "net1")


def test_configuration_is_in_no_error_and_no_repr(
    scripts: Scripts, plugins: Plugins, namespace: FakeNamespace
) -> None:
    wanted = record(device({"type": "macvlan", "token": "hunter2"}))
    scripts.answer("macvlan", "ADD", "exit 1")
    with pytest.raises(PluginError) as caught:
        attachment.add(plugins, wanted, namespace)
    assert "hunter2" not in f"{caught.value} {wanted!r}"
