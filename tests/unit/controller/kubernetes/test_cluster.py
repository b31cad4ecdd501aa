"""Where an API server is: a pod's service account, and kubeconfigs of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kubernetes.cluster import ClusterError, from_kubeconfig, in_cluster


def kubeconfig(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_token_file_is_read_again_for_each_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    path = kubeconfig(tmp_path / "k", {"server": "https://[::1]:6443/"}, {"tokenFile": "token"})
    cluster = from_kubeconfig(path)
    assert cluster.server == "https://[::1]:6443"
    assert cluster.authorization() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\n")
    assert cluster.authorization() == {"Authorization": "Bearer two"}


def test_no_token_is_no_header(tmp_path: Path) -> None:
    cluster = from_kubeconfig(kubeconfig(tmp_path / "k", {"server": "https://a:1"}, {}))
    assert cluster.authorization() == {}


@pytest.mark.parametrize(
    ("cluster", "user", "complaint"),
    [
        ({"server": "http://a:1"}, {}, "must be https://"),
        ({}, {}, "must be https://"),
        ({"server": "https://a:1"}, {"exec": {}}, "give a token"),
        ({"server": "https://a:1", "certificate-authority": "nowhere"}, {}, "No such file"),
        ({"server": "https://a:1", "certificate-authority-data": "!"}, {}, "base64"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ClusterError, match=complaint):
        from_kubeconfig(kubeconfig(tmp_path / "k", cluster, user))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "current-context: x\n"])
def test_a_file_that_is_no_kubeconfig_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(ClusterError):
        from_kubeconfig(path)


def test_outside_of_a_pod_it_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="--kubeconfig"):
        in_cluster({}, tmp_path)
