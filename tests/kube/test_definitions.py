"""Our CustomResourceDefinitions at a real API server: accepted, and as strict as the validator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from controller.intent.passwords import PasswordReader
from controller.intent.schema import GROUP, KINDS
from controller.kubernetes.cel import NODE_ONLY_FORMATS
from controller.kubernetes.crd import MAX_ITEMS, MAX_LENGTH
from tests.kube import verdicts
from tests.kube.mutations import mutations
from tests.kube.server import ApiServer, KubectlError
from tests.unit.controller.intent.build import manifest
from tests.unit.controller.intent.crd_differences import SAMPLES
from tests.unit.controller.intent.crd_examples import ACCEPTED, EXTERNAL

pytestmark = pytest.mark.kube

ROOT = Path(__file__).parents[2]
OURS = ROOT / "deploy" / "crds"
THEIRS = ROOT / "tests" / "vectors" / "openperouter"
EVERYTHING = ROOT / "tests" / "unit" / "controller" / "intent" / "golden" / "everything.yaml"
NAMESPACE = "openperouter-system"  # that of the samples
ALL_KINDS = ",".join(f"{kind.lower()}s.{GROUP.partition('/')[0]}" for kind in KINDS)
PASSWORD = "jsonpath={.spec.hostSession.passwordSecret}"
SECRET = "fabric"
OLD_GROUP = ("underlay-route-reflector.yaml",)
"""Samples of a group that OpenPERouter's definitions no longer have."""
SAMPLE_FILES = [p for p in sorted((THEIRS / "samples").iterdir()) if p.name not in OLD_GROUP]
SEED, COUNT, CONNECTIONS = 11, 2000, 4
Yaml = dict[str, Any]


class Difference(NamedTuple):
    """Specs that only one of the two refuses: which one, what its complaint has in it, and why."""

    refused_by: str
    complaint: str
    reason: str


BOUND = "the API server takes no rule whose cost has no bound; a file may be longer"
DIFFERENCES = (
    Difference("validator", "the address of the network itself", NODE_ONLY_FORMATS["gateway"]),
    Difference("validator", "passwordSecret", "the API server does not look for the Secret"),
    Difference("validator", "'matchLabels'", "the API server drops a null, and sees no label"),
    Difference("api", "lifecycle: Required", "older forms of a field are for files only"),
    *(Difference("api", f"{name}: Too many", BOUND) for name in MAX_ITEMS),
    *(Difference("api", f"{name}: Too long", BOUND) for name in MAX_LENGTH),
    *(Difference("api", f"{name}[0]: Too long", BOUND) for name in MAX_LENGTH),
    Difference("api", "some validation rules were not checked", "it follows any other complaint"),
)


@pytest.fixture(scope="module")
def ours(server: ApiServer) -> ApiServer:
    """Return a server that has our definitions."""
    server.define(*sorted(OURS.glob("*.yaml")))
    return server


@pytest.fixture(scope="module")
def client(ours: ApiServer) -> Iterator[httpx.Client]:
    with ours.http() as opened:
        yield opened


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> PasswordReader:
    directory = tmp_path_factory.mktemp("secrets")
    (directory / SECRET).touch(mode=0o600)
    (directory / SECRET).write_text("hunter2\n")
    return PasswordReader(directory)


def good() -> dict[str, list[Yaml]]:
    """Return specs that have every field that there is, by kind."""
    found = {kind: list(specs) for kind, specs in ACCEPTED.items()}
    for document in yaml.safe_load_all(EVERYTHING.read_text()):
        if document["kind"] in KINDS:
            found[document["kind"]].append(document["spec"])
    return found


def test_kubectl_knows_every_kind_by_its_short_name_and_its_fields(ours: ApiServer) -> None:
    told = ours.kubectl("api-resources", "--categories=dualpath", "--output=name")
    assert sorted(told.split()) == sorted(ALL_KINDS.split(","))
    assert "gatewayIPs" in ours.kubectl("explain", "l2.spec")
    assert "VNI" in ours.kubectl("explain", "l3.spec.vni").upper()


@pytest.mark.parametrize("path", SAMPLE_FILES, ids=lambda path: path.name)
def test_a_sample_of_openperouter_is_applied_or_its_refusal_is_listed(
    path: Path, ours: ApiServer
) -> None:
    ours.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    if path.name in SAMPLES:
        with pytest.raises(KubectlError, match="CNIDevice"):
            ours.kubectl("apply", "-f", str(path))
        return
    ours.kubectl("apply", "-f", str(path))
    assert ours.kubectl("diff", "-f", str(path)) == ""
    ours.kubectl("delete", "-f", str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_spec_is_stored_as_it_is_given(
    kind: str, client: httpx.Client, passwords: PasswordReader
) -> None:
    for spec in good()[kind]:
        assert [*verdicts.validator(kind, spec, passwords).complaints] == []
        assert [*verdicts.api(client, kind, spec).complaints] == []


def test_schema_and_cel_refuse_what_the_validator_refuses_and_nothing_else(
    client: httpx.Client, passwords: PasswordReader
) -> None:
    specs = list(mutations(good(), SEED, COUNT))
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        theirs = list(pool.map(lambda each: verdicts.api(client, *each), specs))
    wrong, outcomes = [], Counter[str]()
    for (kind, spec), api in zip(specs, theirs, strict=True):
        validator = verdicts.validator(kind, spec, passwords)
        outcomes[f"{api.taken} {validator.taken}"] += 1
        if api.taken != validator.taken and not _is_known(api, validator):
            wrong.append((kind, spec, api.complaints, validator.complaints))
    assert wrong == [], f"{len(wrong)} of {COUNT}"
    assert outcomes["True True"] > COUNT / 10, outcomes
    assert outcomes["False False"] > COUNT / 10, outcomes


def _is_known(api: verdicts.Verdict, validator: verdicts.Verdict) -> bool:
    """Tell whether one of the two refused a spec for nothing but what only it can see."""
    by, refusal = ("validator", validator) if api.taken else ("api", api)
    known = [d.complaint for d in DIFFERENCES if d.refused_by == by]
    return all(any(part in complaint for part in known) for complaint in refusal.complaints)


def test_objects_of_openperouter_s_definitions_live_on_under_ours() -> None:
    of_cni = [path for path in SAMPLE_FILES if "-cni-" in path.name]  # all of one name
    samples = [p for p in SAMPLE_FILES if p.name not in SAMPLES and p not in of_cni]
    with ApiServer.started() as server:
        server.define(*sorted((THEIRS / "crds").glob("*.yaml")))
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for path in samples:
            server.kubectl("apply", "-f", str(path))
        stored = specs(server)
        assert stored
        server.define(*sorted(OURS.glob("*.yaml")))
        assert kept(stored, specs(server)) == stored
        for path in samples:
            told = server.kubectl("apply", "-f", str(path)).splitlines()
            assert [line for line in told if not line.endswith("unchanged")] == [], path.name
        for path in of_cni:
            server.kubectl("apply", "-f", str(path))
            assert "unchanged" in server.kubectl("apply", "-f", str(path)), path.name
        session = {**EXTERNAL, "passwordSecret": SECRET}  # a field that only ours have
        server.apply(manifest("L3VNI", "mine", vrf="mine", vni=7, hostSession=session))
        assert server.kubectl("get", "l3", "mine", "-o", PASSWORD) == SECRET


def kept(before: Any, after: Any) -> Any:  # noqa: ANN401
    """Return what of a value is still there; ours add defaults, and nothing else may change."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {name: kept(before[name], after[name]) for name in before.keys() & after.keys()}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [kept(*pair) for pair in zip(before, after, strict=True)]
    return after


def specs(server: ApiServer) -> dict[str, Yaml]:
    """Return the spec of every object of every kind, as the server returns it."""
    told = json.loads(server.kubectl("get", ALL_KINDS, "--all-namespaces", "-o", "json"))
    return {f"{o['kind']} {o['metadata']['name']}": o["spec"] for o in told["items"]}
