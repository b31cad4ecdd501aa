"""Which FRR releases are refused, and which are taken with a remark."""

from __future__ import annotations

import pytest

from frr_bridge.frr_version import Version, limits, parse, refusal, stuck


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("zebra version 10.3\nCopyright 1996-2005 Kunihiro Ishiguro, et al.\n", Version(10, 3)),
        ("zebra version 8.4.4\nconfigured with:\n", Version(8, 4)),
        ("zebra version 10.7.1-dev\n", Version(10, 7)),
        ("zebra: not found\n", None),
        ("", None),
    ],
)
def test_release_is_read_from_zebra_s_version(output: str, version: Version | None) -> None:
    assert parse(output) == version


@pytest.mark.parametrize("version", [Version(7, 5), Version(8, 3), Version(6, 0)])
def test_an_frr_below_84_is_refused_by_what_was_found_and_what_is_needed(version: Version) -> None:
    sentence = refusal(version)
    assert str(version) in sentence
    assert "8.4" in sentence
    assert "deb.frrouting.org" in sentence


@pytest.mark.parametrize("version", [Version(8, 4), Version(10, 2), Version(10, 7), None])
def test_an_frr_from_84_on_is_not_refused(version: Version | None) -> None:
    assert refusal(version) == ""


def test_only_an_frr_below_103_has_limits() -> None:
    remark = limits(Version(10, 2))
    assert "FRR 10.2 found" in remark
    assert "need 10.3 or later" in remark
    assert "deb.frrouting.org" in remark
    assert limits(Version(10, 3)) == limits(Version(11, 0)) == limits(None) == ""


def test_frr_that_drops_acknowledgements_is_refused_with_offload() -> None:
    sentence = stuck(Version(10, 3), offload=True)
    assert "--asic-offload=notify_on_offload" in sentence
    assert "10.3" in sentence
    assert stuck(Version(10, 3), offload=False) == ""
    assert stuck(Version(10, 7), offload=True) == stuck(None, offload=True) == ""
