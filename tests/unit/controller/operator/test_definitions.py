"""What differs between the definitions that an API server has and ours."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.kubernetes.crd import definition
from controller.kubernetes.objects import OURS, THEIRS, Collection
from controller.operator import definitions

L3VNI = THEIRS[1]
DEPLOYED = Path(__file__).parents[4] / "deploy" / "crds"


def spec_of(served: dict[str, Any]) -> dict[str, Any]:
    schema = served["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    found: dict[str, Any] = schema["properties"]["spec"]
    return found


@pytest.fixture
def served() -> dict[str, Any]:
    return copy.deepcopy(definition("L3VNI"))


@pytest.mark.parametrize("collection", [*THEIRS, *OURS])
def test_what_deploy_has_is_ours(collection: Collection) -> None:
    place = DEPLOYED if collection in THEIRS else DEPLOYED / "dualpath.io"
    served = yaml.safe_load((place / f"{collection.kind.lower()}s.yaml").read_text())
    assert definitions.differences(collection, served) == []
    assert served["metadata"]["name"] == definitions.name_of(collection)


def test_a_field_that_an_earlier_release_lacks_is_named(served: dict[str, Any]) -> None:
    del spec_of(served)["properties"]["hostNetns"]
    del spec_of(served)["properties"]["hostSession"]["properties"]["bfd"]
    assert definitions.differences(L3VNI, served) == [
        "spec.hostNetns: is missing",
        "spec.hostSession.bfd: is missing",
    ]


def test_another_limit_and_other_rules_are_named(served: dict[str, Any]) -> None:
    spec_of(served)["properties"]["vni"]["maximum"] = 5
    spec_of(served)["x-kubernetes-validations"] = []
    spec_of(served)["properties"]["extra"] = {"type": "string"}
    found = definitions.differences(L3VNI, served)
    assert "spec.vni: maximum is 5, and ours 16777215" in found
    assert "spec.extra: is not ours" in found
    assert len(found) in (2, 3)


def test_a_definition_without_our_version_or_status_is_named(served: dict[str, Any]) -> None:
    del served["spec"]["versions"][0]["subresources"]
    assert definitions.differences(L3VNI, served) == ["there is no status subresource"]
    served["spec"]["versions"][0]["name"] = "v1"
    assert definitions.differences(L3VNI, served) == ["version v1alpha1 is not served"]


@pytest.mark.parametrize("nonsense", [{}, {"spec": None}, {"spec": {"versions": 5}}])
def test_a_definition_that_makes_no_sense_differs(nonsense: dict[str, Any]) -> None:
    assert definitions.differences(L3VNI, nonsense) == ["version v1alpha1 is not served"]


def test_a_line_names_the_first_differences_and_counts_the_rest() -> None:
    line = definitions.sentence(L3VNI, [f"spec.f{i}: is missing" for i in range(7)])
    assert line.startswith("l3vnis.network.openperouter.io: spec.f0: is missing; ")
    assert line.endswith("spec.f4: is missing; and 2 more")
