"""Passwords that a manifest refers to: where they are read, and the error if they cannot be."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from controller.intent.documents import read
from controller.intent.loader import load, merge
from controller.intent.overlay import L3Vni
from controller.intent.passwords import PasswordReader
from controller.intent.underlay import Underlay
from tests.unit.controller.intent.build import neighbor, resources
from tests.unit.controller.intent.rulebook import rule

HEADER = "apiVersion: network.openperouter.io/v1alpha1\n"
RED = HEADER + "kind: L3VNI\nmetadata: {name: red}\nspec: {vrf: red, vni: 100}\n"


@rule("Session.passwordFile")
def test_password_may_be_in_a_file_beside_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "secret").chmod(0o640)
    text = RED.replace(
        "vni: 100",
        "vni: 100, hostSession: {asn: 1, hostASN: 2, localCIDR: {ipv4: 10.0.0.0/24}, "
        "passwordFile: secret}",
    )
    (tmp_path / "a.yaml").write_text(text)
    spec = load([tmp_path]).items[0].spec
    assert isinstance(spec, L3Vni)
    assert spec.host_session is not None
    assert spec.host_session.password is not None
    assert spec.host_session.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(spec)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"passwordFile": "/nowhere/at-all"}, "passwordFile /nowhere/at-all: No such file"),
        ({"passwordFile": "x", "password": "y"}, "mutually exclusive"),
        ({"passwordFile": 5}, "passwordFile is not a path"),
        ({"passwordFile": "/dev"}, "passwordFile /dev: Is a directory"),
        ({"passwordFile": "/etc/passwd"}, "everybody may use it; `chmod o= /etc/passwd`"),
    ],
)
def test_unusable_password_file_rejects_the_resource(
    changes: dict[str, object], complaint: str
) -> None:
    (status,) = resources(neighbor(**changes)).rejected
    assert complaint in status.message


def test_fifo_as_password_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (status,) = resources(neighbor(passwordFile=str(tmp_path / "pipe"))).rejected
    assert "pipe: not a file" in status.message


def test_unreadable_secret_rejects_the_resource(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: object, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    documents = read(json.dumps(neighbor(passwordSecret="fabric")), "pe.yaml")
    monkeypatch.setattr(os, "stat", denied)
    found = merge(documents, passwords=PasswordReader(tmp_path))
    monkeypatch.undo()
    assert "fabric: No such file or directory" in found.rejected[0].message


@rule("Session.passwordSecret")
@pytest.mark.parametrize("key", ["", "password"])
@pytest.mark.parametrize("reference", ["fabric", {"name": "fabric"}])
def test_secret_is_a_file_or_a_directory_with_the_key(
    tmp_path: Path, key: str, reference: object
) -> None:
    file = tmp_path / "fabric" / key
    file.parent.mkdir(exist_ok=True)
    file.write_text("hunter2\n")
    file.chmod(0o600)
    text = json.dumps(neighbor(passwordSecret=reference))
    reader = PasswordReader(tmp_path)
    found = merge(read(text, "pe.yaml"), passwords=reader)
    spec = found.items[0].spec
    assert isinstance(spec, Underlay)
    password = spec.neighbors[0].password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    assert reader.consulted == {file}
