"""The address and credentials of an API server, from a service account or a kubeconfig."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kubernetes.cluster import Cluster, ClusterError, from_kubeconfig, in_cluster
from tests.fakes.apiserver import FakeApiServer
from tests.fakes.waiting import until
from tests.unit.controller.kubernetes.world import L3VNIS, RED, World, serve_ours


def kubeconfig(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Path:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_token_file_is_read_for_each_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    path = kubeconfig(tmp_path / "k", {"server": "https://[::1]:6443/"}, {"tokenFile": "token"})
    cluster = from_kubeconfig(path)
    assert cluster.server == "https://[::1]:6443"
    assert cluster.authorization() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\n")
    assert cluster.authorization() == {"Authorization": "Bearer two"}


def test_request_without_a_token_has_no_authorization_header(tmp_path: Path) -> None:
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
def test_unusable_cluster_or_user_is_reported_in_one_sentence(
    tmp_path: Path, cluster: dict[str, Any], user: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ClusterError, match=complaint):
        from_kubeconfig(kubeconfig(tmp_path / "k", cluster, user))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "current-context: x\n"])
def test_file_that_is_no_kubeconfig_is_reported_in_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(ClusterError):
        from_kubeconfig(path)


def test_error_outside_a_pod_names_the_missing_option(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="--kubeconfig"):
        in_cluster({}, tmp_path)


async def test_a_token_that_is_rotated_under_the_agent_is_used_at_once(tmp_path: Path) -> None:
    server = await FakeApiServer().start()
    serve_ours(server)
    server.token = "one"
    (tmp_path / "token").write_text("one\n")
    cluster = Cluster(server.address, ssl.create_default_context(), token_file=tmp_path / "token")
    world = World(server, tmp_path / "mirror", cluster)
    await world.number()
    await until(lambda: "node.json" in world.mirrored)
    server.token = "two"  # as when the old one expires
    await server.cut()
    await until(lambda: "Unauthorized (401)" in world.agent.problem)
    partial = tmp_path / "token.new"
    partial.write_text("two\n")
    partial.replace(tmp_path / "token")
    await server.put(L3VNIS, "red", namespace="team", spec=RED)
    await until(lambda: "l3vni.team.red.json" in world.mirrored)
    await until(lambda: world.agent.problem == "")
    await world.close()
    await server.stop()


async def test_a_token_file_that_is_missing_for_a_moment_is_a_problem_and_no_end(
    tmp_path: Path,
) -> None:
    server = await FakeApiServer().start()
    serve_ours(server)
    server.token = "one"
    token = tmp_path / "token"
    cluster = Cluster(server.address, ssl.create_default_context(), token_file=token)
    world = World(server, tmp_path / "mirror", cluster)
    await world.number()
    await until(lambda: "No such file" in world.agent.problem)
    token.write_bytes(b"\xff\xfe")
    await until(lambda: "utf-8" in world.agent.problem)
    token.write_text("one")
    await until(lambda: "node.json" in world.mirrored)
    await world.close()
    await server.stop()


@pytest.mark.parametrize(("written", "namespace"), [("team\n", "team"), (None, "")])
def test_a_pod_s_namespace_is_beside_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, namespace: str
) -> None:
    context = ssl.create_default_context()
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: context)
    (tmp_path / "token").write_text("t")
    if written:
        (tmp_path / "namespace").write_text(written)
    found = in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", namespace)
