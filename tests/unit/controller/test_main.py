"""What the controller refuses before it starts, and with which message."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from controller import __main__ as program
from controller.intent.node import Namespaces
from controller.node.namespaces import NamespacePair
from controller.settings import Settings, parse
from controller.start import checks
from controller.start.checks import Refused
from dualpath.process.lock import alone


def told(*arguments: str) -> Settings:
    return parse(["--datapath=kernel", *arguments])


def test_namespaces_on_the_command_line_override_the_manifest() -> None:
    named = Namespaces("fwd", "frr")
    assert checks.namespaces_of(told(), named) == NamespacePair("fwd", "frr", True, True)
    assert checks.namespaces_of(told("--netns", "x", "--frr-netns", "y"), named) == NamespacePair(
        "x", "y", False, False
    )
    assert checks.namespaces_of(
        told("--netns", "fwd", "--frr-netns", "frr"), named
    ) == NamespacePair("fwd", "frr", True, True)


def test_default_namespaces_are_a_new_one_for_forwarding_and_the_own_for_frr() -> None:
    assert checks.namespaces_of(told(), Namespaces()) == NamespacePair("dualpath", "", True, False)


def test_user_other_than_root_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Refused, match="only root"):
        checks.check_root()


@pytest.mark.parametrize("name", ["dp-none", "/etc/passwd/x"])
def test_missing_namespace_is_named(name: str) -> None:
    with pytest.raises(Refused, match=f"--netns: no network namespace {name}"):
        checks.check_namespaces(NamespacePair(name, "", False, False))


def test_equal_forwarding_and_control_namespaces_are_refused() -> None:
    with pytest.raises(Refused, match="pass --frr-netns"):
        checks.check_namespaces(NamespacePair("/proc/self/ns/net", "", False, False))


def test_unwritable_state_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"--state-dir .*: Not a directory"):
        checks.check_state_dir(told("--state-dir", str(tmp_path / "file" / "x")))
    checks.check_state_dir(told("--state-dir", str(tmp_path / "made" / "here")))
    assert list((tmp_path / "made" / "here").iterdir()) == []


@pytest.mark.parametrize("what", ["everybody's", "another user's", "behind a link"])
def test_state_directory_owned_or_writable_by_others_is_refused(tmp_path: Path, what: str) -> None:
    directory = named = tmp_path / "state"
    directory.mkdir()
    (directory / ".probe").symlink_to(tmp_path / "roots")
    if what == "another user's":
        if os.geteuid():
            pytest.skip("only root gives a directory away")
        os.chown(directory, 65534, 65534)
    else:
        directory.chmod(0o1777)
    if what == "behind a link":
        named = tmp_path / "link"
        named.symlink_to(directory)
    with pytest.raises(Refused, match="users other than root may write there"):
        checks.check_state_dir(told("--state-dir", str(named)))
    assert not (tmp_path / "roots").exists()


def test_probe_of_the_state_directory_follows_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/.probe").symlink_to(tmp_path / "roots")
    checks.check_state_dir(told("--state-dir", str(tmp_path / "state")))
    assert not (tmp_path / "roots").exists()


@pytest.mark.parametrize("text", [None, "", "kind: Nonsense\n", ": :\n"])
def test_invalid_manifests_end_the_start_with_one_sentence_per_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "pe1.yaml"
    if text is not None:
        path.write_text(text)
    said = ended(monkeypatch, f"--config={path}", f"--state-dir={tmp_path}")
    lines = said.splitlines()
    assert all(str(path) in line for line in lines)
    assert len(lines) == (3 if text == "kind: Nonsense\n" else 1)


def test_second_controller_in_a_state_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second would end the bridge of the first, and replace its twins."""
    with alone(tmp_path / "controller.lock"):
        said = ended(monkeypatch, f"--state-dir={tmp_path}")
    assert said.startswith(f"another controller runs with --state-dir {tmp_path}; ")


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Return the sentence with which the program ends."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["controller", "--datapath=kernel", *arguments])
    with pytest.raises(SystemExit) as code:
        program.main()
    assert str(code.value.code).startswith("controller: ")
    return str(code.value.code).removeprefix("controller: ")
