"""A rejected edit keeps the earlier version; a deletion removes the resource."""

from __future__ import annotations

import pytest

from controller.intent.lastgood import keep_last_good
from controller.intent.node import NO_OVERRIDES
from controller.intent.written import decode, encode
from tests.unit.controller.intent.build import manifest, resources, underlay
from tests.unit.controller.intent.rulebook import rule

RED, BROKEN = manifest("L3VNI", "red"), manifest("L3VNI", "red", vni=0)


@rule("Manifest.lastGood")
def test_invalid_edit_keeps_the_earlier_version_and_reports_it() -> None:
    after = keep_last_good(resources(underlay(), RED), resources(underlay(), BROKEN))
    assert [str(r) for r in after.items] == ["L3VNI red", "Underlay underlay"]
    assert after.items[0].spec == resources(RED).items[0].spec
    (status,) = after.rejected
    assert status.message.endswith("(pe.yaml:3:121); its earlier version stays")


def test_earlier_version_survives_a_second_invalid_edit() -> None:
    before = resources(RED)
    kept = keep_last_good(before, resources(BROKEN))
    assert [r.name for r in keep_last_good(kept, resources(BROKEN)).items] == ["red"]


@rule("Manifest.lastGood")
def test_deleted_resource_is_removed() -> None:
    assert keep_last_good(resources(RED), resources()).items == ()


def test_fixed_resource_replaces_the_earlier_version() -> None:
    kept = keep_last_good(resources(RED), resources(BROKEN))
    fixed = resources(manifest("L3VNI", "red", vni=300))
    assert keep_last_good(kept, fixed) == fixed


def test_resource_that_was_never_valid_is_absent() -> None:
    assert keep_last_good(resources(), resources(BROKEN)).items == ()


@pytest.mark.parametrize("code", [0x7F, 0x85, 0x9F, 0x2028, 0x2029, 0xFEFF, 0xFFFE])
def test_stored_resources_round_trip_with_any_text(code: int) -> None:
    found = resources(manifest("RawFRRConfig", "raw", rawConfig=f"! a{chr(code)}b\n"))
    kept = decode(encode(found), "last-good", NO_OVERRIDES)
    assert [r.spec for r in kept.items] == [r.spec for r in found.items]
