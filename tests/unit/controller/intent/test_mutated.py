"""A manifest with any one error gets a status, or an error with its position; nothing raises."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from controller.intent.documents import ManifestError
from tests.unit.controller.intent.build import Yaml, intent, manifest, session, underlay

Path = tuple[str | int, ...]

WHOLE: dict[str, list[Yaml]] = {
    "Underlay": [
        underlay(
            isis={
                "baseNet": "49.0001.0000.0000.0000.00",
                "level": 2,
                "interfaces": [{"name": "eth1"}],
            },
            routeReflector={"clusterID": "192.0.2.7"},
            gracefulRestart={},
        )
    ],
    "L3VNI": [
        manifest("L3VNI", "red", exportRTs=["65000:1"], nodeSelector={"matchLabels": {"a": "b"}}),
        manifest(
            "L3VNI", "red", hostSession=session(password="x", hostASN=None, hostType="Internal")
        ),
    ],
    "L2VNI": [
        manifest(
            "L2VNI",
            "segment",
            hostMaster={
                "type": f"{kind}Bridge",
                f"{kind.lower()}Bridge": {"lifecycle": "External", "name": "br7"},
            },
        )
        for kind in ("Linux", "OVS")
    ],
    "L3Passthrough": [manifest("L3Passthrough", "host")],
    "RawFRRConfig": [manifest("RawFRRConfig", "mine")],
}
WRONG: tuple[Any, ...] = (None, {}, [], "", 0, -1, "x", [None], {"x": 1}, "::1/0", 2**64)


def paths(value: object, at: Path = ()) -> Iterator[Path]:
    """Yield the location of every part of a manifest."""
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in parts:
        yield (*at, key)
        yield from paths(part, (*at, key))


def mutations(good: Yaml) -> Iterator[Yaml]:
    """Yield the manifest with one part removed, or replaced by another value."""
    for path in paths(good):
        for value in (..., *WRONG):
            bad: Any = copy.deepcopy(good)
            inner = bad
            for key in path[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[path[-1]]
            else:
                inner[path[-1]] = value
            yield bad


def complaints(*manifests: Yaml) -> list[str]:
    """Return the message of each manifest that is not ready, or the error for all of them."""
    try:
        return [s.message for s in intent(*manifests).statuses if not s.ready]
    except ManifestError as error:
        return [v.message if v.line else "" for v in error.violations]


@pytest.mark.parametrize("kind", WHOLE)
def test_mutated_manifest_never_raises(kind: str) -> None:
    others = [
        manifest("L3VNI", "blue", vrf="blue", vni=7, hostSession=None),
        manifest("L2VNI", "other", vni=8),
    ]
    for good in WHOLE[kind]:
        for bad in mutations(good):
            before = [] if kind == "Underlay" else [underlay()]
            assert all(complaints(*before, bad, *others))
