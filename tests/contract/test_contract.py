"""Every datapath passes the checks that `dualpath conformance` runs."""

from __future__ import annotations

import pytest

from datapaths.conformance.checks import Check
from datapaths.conformance.run import CHECKS
from datapaths.conformance.subject import Subject


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_every_datapath_passes_every_check(subject: Subject, check: Check) -> None:
    if reason := check.excluded(subject):
        pytest.skip(reason)
    await check.run(subject)


async def test_datapath_is_clean_after_each_check(subject: Subject) -> None:
    for check in CHECKS:
        if not check.excluded(subject) and not check.needs.environment:
            await check.run(subject)
            await subject.clean()
    held = await subject.row_counts()
    assert {kind.name for kind in held} <= {"PORT", "VNI", "VRF"}


def test_check_names_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names)) > 50
