"""The wait for the API server's first reply, and options that are refused before it."""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path

import pytest

from controller.settings import Settings, parse
from controller.start import kubernetes
from controller.start.checks import Refused


def kubeconfig(tmp_path: Path) -> Path:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "k").write_text(json.dumps(config))
    return tmp_path / "k"


def settings(tmp_path: Path, *more: str) -> Settings:
    return parse(["--datapath=kernel", f"--mirror={tmp_path}", "--kubernetes", *more])


def test_mirror_is_read_after_every_file(tmp_path: Path) -> None:
    found = settings(tmp_path, f"--config={tmp_path}")
    assert found.config == (tmp_path, tmp_path / "kubernetes" / "manifests")


def test_node_with_a_mirror_starts_without_an_api_server(tmp_path: Path) -> None:
    found = settings(tmp_path, f"--kubeconfig={kubeconfig(tmp_path)}")
    (mirror := found.config[-1]).mkdir(parents=True)
    (mirror / "node.json").touch()
    (mirror / "underlay.team.fabric.json").touch()
    kubernetes.wait(found)
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)


def test_mirror_does_not_hide_an_unusable_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("{}")
    found = settings(tmp_path, f"--kubeconfig={tmp_path / 'k'}")
    (mirror := found.config[-1]).mkdir(parents=True)
    (mirror / "node.json").touch()
    (mirror / "underlay.team.fabric.json").touch()
    with pytest.raises(Refused, match="current-context"):
        kubernetes.wait(found)


def test_kubeconfig_is_required_outside_a_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(Refused, match="--kubeconfig"):
        kubernetes.wait(settings(tmp_path))


def test_missing_http_client_is_reported_with_the_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    for name in [n for n in sys.modules if n.startswith("controller.kubernetes.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(Refused, match="pip install"):
        kubernetes.wait(settings(tmp_path))


def test_kubeconfig_requires_kubernetes(tmp_path: Path) -> None:
    (tmp_path / "k").touch()
    with pytest.raises(SystemExit):
        parse(["--datapath=kernel", f"--kubeconfig={tmp_path / 'k'}"])


def test_node_name_comes_from_the_option_the_pod_or_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NODE_NAME", "worker-1")
    assert kubernetes.node_name("given") == "given"
    assert kubernetes.node_name(None) == "worker-1"
    monkeypatch.delenv("NODE_NAME")
    assert kubernetes.node_name(None) == socket.gethostname()
