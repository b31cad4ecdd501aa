"""The chart and the overlays: equal to each other, and taken strictly by a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cri.sandboxes import PodSelector
from frr_bridge.frr_exec import CAPABILITIES
from tests.kube import chart
from tests.kube.chart import CHART, DEPLOY, RENDERED, HelmError, Manifest, objects
from tests.kube.server import ApiServer, KubectlError
from tests.kube.test_definitions import OURS

pytestmark = pytest.mark.kube

OVERLAYS = {
    "kernel": (),
    "dpdk": ("datapath=dpdk",),
}
"""Directories below deploy/overlays, and the chart's values that mean the same."""

Key = tuple[str, str, str]
Kustomize = Callable[[str], list[Manifest]]


@pytest.fixture(scope="module")
def cluster(server: ApiServer) -> ApiServer:
    server.define(*sorted(OURS.glob("*.yaml")))
    server.kubectl("create", "namespace", chart.NAMESPACE)
    return server


@pytest.fixture(scope="module")
def kustomize(server: ApiServer) -> Kustomize:
    def build(overlay: str) -> list[Manifest]:
        return objects(server.kubectl("kustomize", str(DEPLOY / "overlays" / overlay)))

    return build


def by_key(found: list[Manifest]) -> dict[Key, Manifest]:
    keys = {
        (o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in found
    }
    assert len(keys) == len(found), "an object is there twice"
    return keys


def pod_of(found: list[Manifest], name: str) -> Any:  # noqa: ANN401 - a PodSpec
    (owner,) = (
        o
        for o in found
        if o["kind"] in ("DaemonSet", "Deployment") and o["metadata"]["name"] == name
    )
    return owner["spec"]["template"]["spec"]


def apply(server: ApiServer, found: list[Manifest]) -> None:
    server.kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "-f", "-"),
        given=yaml.safe_dump_all(found),
    )


@pytest.mark.parametrize("values", [*OVERLAYS.values(), ("operator.enabled=false",)])
def test_chart_passes_lint(values: tuple[str, ...]) -> None:
    options = [option for value in values for option in ("--set", value)]
    assert "0 chart(s) failed" in chart.helm("lint", "--strict", str(CHART), *options)


def test_chart_passes_as_a_package(tmp_path: Path) -> None:
    chart.helm("package", str(CHART), f"--destination={tmp_path}")
    (package,) = tmp_path.iterdir()
    crds = objects(chart.helm("show", "crds", str(package)))
    ours = [*OURS.glob("*.yaml"), *OURS.glob("*/*.yaml")]
    assert len(crds) == len(ours)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("datapath=vpp", "/datapath"),
        ("controller.metrics=9473", "/controller/metrics"),
        ("namespaces.control=a/b", "/namespaces/control"),
        ("controller.criSocket=crio.sock", "/controller/criSocket"),
        ("router.zebraOptions=$(reboot)", "/router/zebraOptions"),
        ("grout.hugepages.size=4Ki", "/grout/hugepages/size"),
        ("controler.hold=3", "controler"),
    ],
)
def test_wrong_value_is_refused_by_name(value: str, named: str) -> None:
    with pytest.raises(HelmError, match=named):
        chart.template(value)


@pytest.mark.parametrize("name", RENDERED)
def test_files_of_deploy_are_those_of_the_chart(name: str) -> None:
    """If not: python -m tests.kube.chart"""
    assert (DEPLOY / name).read_text() == chart.rendered(name)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_is_what_the_chart_renders(kustomize: Kustomize, overlay: str) -> None:
    ours = by_key(kustomize(overlay))
    assert ours.pop(("Namespace", "", chart.NAMESPACE))  # Helm's namespace is there before
    assert ours == by_key(objects(chart.template(*OVERLAYS[overlay])))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_api_server_takes_every_object_strictly(
    cluster: ApiServer, kustomize: Kustomize, overlay: str
) -> None:
    apply(cluster, kustomize(overlay))


def test_api_server_refuses_a_field_that_does_not_exist(
    cluster: ApiServer, kustomize: Kustomize
) -> None:
    found = kustomize("kernel")
    pod_of(found, "dualpath")["hostNetwrok"] = True
    with pytest.raises(KubectlError, match="hostNetwrok"):
        apply(cluster, found)


@pytest.mark.parametrize(
    "values",
    [
        ("controller.secretNamespaces={red,blue}",),
        ("image.pullSecrets[0].name=x", "router.isis=true", "router.zebraOptions="),
        ("datapath=dpdk", "grout.hugepages.size=1Gi", "grout.cpus=2\\,4-5"),
        ("controller.extraArgs={--neighbor-limit=0}", "tolerations=null", "operator.replicas=1"),
        ("controller.metrics=[::1]:9000",),
        ("router.hostNetwork=false", "controller.criSocket=/run/crio/crio.sock"),
    ],
)
def test_other_values_render_objects_that_the_api_server_takes(
    cluster: ApiServer, values: tuple[str, ...]
) -> None:
    found = objects(chart.template(*values))
    for namespace in {o["metadata"].get("namespace", "default") for o in found}:
        name = {"name": namespace}
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": name})
    apply(cluster, found)


def test_metrics_address_is_where_the_kubelet_asks() -> None:
    (controller,) = pod_of(objects(chart.template("controller.metrics=[::1]:9000")), "dualpath")[
        "containers"
    ]
    probes = [
        controller[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")
    ]
    assert {(p["host"], p["port"]) for p in probes} == {("::1", 9000)}


def test_router_with_a_namespace_of_its_own_is_the_pod_that_the_controller_looks_for() -> None:
    found = objects(
        chart.template("router.hostNetwork=false", "controller.criSocket=/run/crio/crio.sock")
    )
    pod = pod_of(found, "dualpath-router")
    (router,) = pod["containers"]
    assert "hostNetwork" not in pod
    assert [each["value"] for each in router["env"] if each["name"] == "FRR_NETNS"] == [""]
    given = {each.lower() for each in router["securityContext"]["capabilities"]["add"]}
    assert set(CAPABILITIES) <= given
    assert [each["name"] for each in pod["volumes"]] == ["state"]  # no file of a namespace

    (controller,) = pod_of(found, "dualpath")["containers"]
    arguments = dict(arg.split("=", 1) for arg in controller["args"] if "=" in arg)
    selector = PodSelector.parse(arguments["--frr-pod"])
    (owner,) = (
        o for o in found if o["kind"] == "DaemonSet" and o["metadata"]["name"] == "dualpath-router"
    )
    assert selector.namespace == owner["metadata"]["namespace"]
    assert owner["spec"]["template"]["metadata"]["labels"][selector.key] == selector.value
    assert arguments["--cri-socket"] == "/run/crio/crio.sock"
    mounts = {each["mountPath"]: each for each in controller["volumeMounts"]}
    assert mounts["/run/crio"]["readOnly"]


def test_operator_is_as_pod_security_restricted_wants_it(kustomize: Kustomize) -> None:
    pod = pod_of(kustomize("kernel"), "dualpath-operator")
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "volumes"} & set(pod)
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["dualpath-router", "dualpath-grout"])
def test_pods_without_rights_in_the_cluster_have_no_token(kustomize: Kustomize, name: str) -> None:
    assert pod_of(kustomize("dpdk"), name)["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("name", "writable"),
    [
        ("dualpath", {"/run/netns", "/run/dualpath", "/var/lib/dualpath", "/var/lib/cni"}),
        ("dualpath-router", {"/run/netns", "/run/dualpath"}),
        ("dualpath-grout", {"/run/netns", "/run/dualpath"}),
    ],
)
def test_pods_see_few_directories_of_the_node(
    kustomize: Kustomize, name: str, writable: set[str]
) -> None:
    pod = pod_of(kustomize("dpdk"), name)
    host = {v["name"]: v["hostPath"]["path"] for v in pod["volumes"] if "hostPath" in v}
    (container,) = pod["containers"]
    mounted = [m for m in container["volumeMounts"] if m["name"] in host]
    assert all(host[m["name"]] == m["mountPath"] for m in mounted)
    assert {m["mountPath"] for m in mounted if not m.get("readOnly")} == writable
