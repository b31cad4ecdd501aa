"""zebra and bgpd may be taken over: whatever JSON they print, frr-bridge reads what it can."""

from __future__ import annotations

from typing import Any

import pytest

from dualpath.bus.wire import decode_from_bridge, encode_from_bridge
from frr_bridge import convergence, report
from frr_bridge.vty import parse

PEER: dict[str, Any] = {"bgpState": "Established", "bgpTimerUpMsec": 100_000}
LONG = "9" * 5000  # int() refuses it


def neighbors(**changes: object) -> Any:  # noqa: ANN401  JSON
    return {"default": {"192.0.2.1": {**PEER, **changes}}}


@pytest.mark.parametrize("wrong", [None, 1, 1.5, True, "x", [], {"endOfRibRecv": 1e308}])
def test_graceful_restart_that_is_no_object_is_ignored(wrong: object) -> None:
    odd = neighbors(gracefulRestartInfo=wrong)
    assert convergence.waits_for(odd, known=(), bgpd_age_s=1e6) == ""
    assert convergence.deferred(odd, "", bgpd_age_s=1.0) == ""


def test_uptime_that_no_clock_has_is_unknown() -> None:
    assert convergence.up_s(neighbors(bgpTimerUpMsec=10**400)["default"]["192.0.2.1"]) == 0.0


@pytest.mark.parametrize("key", [LONG, "²", "٣", "-1", "", "x"])
def test_key_that_is_no_vni_is_left_out(key: str) -> None:
    assert convergence.missing_vnis({key: {}, "100": {}}, {100}) == ""
    found = report.report({}, {key: {"type": "L2"}, "100": {"type": "L2"}}, {}, 1.0)
    assert [vni.vni for vni in found.vnis] == [100]


@pytest.mark.parametrize("rows", [1, True, None, {}, [1], [{"vni": []}], [{"vni": {}}]])
def test_tenants_that_are_no_list_of_objects_are_ignored(rows: object) -> None:
    found = report.report({}, {"100": {"type": "L3"}}, {"vrfs": rows}, 1.0)
    assert [(vni.vni, vni.up) for vni in found.vnis] == [(100, False)]


def test_flag_is_no_number() -> None:
    (session,) = report.report(neighbors(remoteAs=True), {}, {}, 1.0).sessions
    assert session.remote_as == 0


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\uDFFF x"', '{"\\udabc": 1}'])
def test_half_a_surrogate_pair_can_be_sent_on(text: str) -> None:
    value = parse(text)
    found = report.report({str(value): {"192.0.2.1": PEER}}, {}, {}, 1.0)
    assert decode_from_bridge(encode_from_bridge(found, epoch=1, sequence=1))[2] == found


def test_json_is_read_as_it_is() -> None:
    assert parse('{"a": ["\\u00e4", "ä"]}') == {"a": ["ä", "ä"]}
