from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cri.sandboxes import BadReply, PodSelector, Sandbox, namespace_path, newest
from dualpath.pb import cri_pb2 as pb

SELECTOR = PodSelector("dualpath-system", "app.kubernetes.io/name", "router")


def sandbox(name: str, created: int, **changes: object) -> pb.PodSandbox:
    metadata = pb.PodSandboxMetadata(
        name=name, namespace=str(changes.get("namespace", "dualpath-system"))
    )
    return pb.PodSandbox(
        id=str(changes.get("id", f"id-{name}")),
        metadata=metadata,
        created_at=created,
        state=pb.SANDBOX_NOTREADY if changes.get("stopped") else pb.SANDBOX_READY,
    )


def info(*namespaces: object) -> str:
    return json.dumps({"runtimeSpec": {"linux": {"namespaces": namespaces}}, "pid": 7})


def test_selector_has_namespace_label_and_value() -> None:
    text = "dualpath-system/app.kubernetes.io/name=router"
    assert PodSelector.parse(text) == SELECTOR
    assert str(SELECTOR) == text


@pytest.mark.parametrize("text", ["", "app=router", "a/b", "/a=b", "a/=b", "A/b=c", "a/b=c,d=e"])
def test_selector_without_one_of_them_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAMESPACE/LABEL=VALUE"):
        PodSelector.parse(text)


def test_request_asks_for_ready_pods_of_that_namespace_only() -> None:
    asked = SELECTOR.request.filter
    assert dict(asked.label_selector) == {
        "io.kubernetes.pod.namespace": "dualpath-system",
        "app.kubernetes.io/name": "router",
    }
    assert asked.HasField("state")
    assert asked.state.state == pb.SANDBOX_READY


def test_youngest_pod_is_chosen() -> None:
    items = [sandbox("old", 1), sandbox("new", 3), sandbox("middle", 2)]
    assert newest(SELECTOR, items) == Sandbox(3, "id-new", "new")


def test_runtime_that_ignores_the_filter_names_no_pod_of_another_tenant() -> None:
    items = [
        sandbox("theirs", 9, namespace="default"),
        sandbox("stopped", 8, stopped=True),
        sandbox("strange", 7, id="../../etc"),
    ]
    assert newest(SELECTOR, items) is None


@pytest.mark.parametrize("directory", ["/run/netns/", "/var/run/netns/"])
def test_namespace_is_below_run_netns(directory: str) -> None:
    found = namespace_path(info({"type": "pid"}, {"type": "network", "path": f"{directory}cni-1"}))
    assert found == "/run/netns/cni-1"


@pytest.mark.parametrize(
    "path",
    [
        "/run/netns/../../proc/1/ns/net",
        "/run/netns/a/b",
        "/run/netns/",
        "/run/netns/..",
        "/proc/1/ns/net",
        "run/netns/a",
        "/run/netns/a\n",
        "/run/netns/a\0b",
        7,
        None,
        ["/run/netns/a"],
    ],
)
def test_other_paths_are_refused(path: object) -> None:
    with pytest.raises(BadReply, match="not below"):
        namespace_path(info({"type": "network", "path": path}))


def test_pod_with_host_network_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadReply, match="hostNetwork"):
        namespace_path(info({"type": "pid"}))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '{"runtimeSpec": 7}', "[" * 99999])
def test_reply_without_configuration_is_refused(text: str) -> None:
    with pytest.raises(BadReply, match="OCI configuration"):
        namespace_path(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["runtimeSpec", "linux", "namespaces", "type", "path"]), inner
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_reply_raises_anything_else(value: object) -> None:
    wrapped = {"runtimeSpec": {"linux": {"namespaces": value}}}
    for text in (json.dumps(value), json.dumps(wrapped)):
        with pytest.raises(BadReply):
            namespace_path(text)
