"""The sysctls of the forwarding namespace, which the control namespace does not get."""

from __future__ import annotations

import pytest

from datapaths.linux import sysctls
from tests.unit.controller.intent.rulebook import rule


@rule("Layout.sysctls")
@pytest.mark.parametrize("whose", ["all", "default"])
def test_forwarding_namespace_forwards_both_families_and_accepts_announcements(whose: str) -> None:
    for setting in ("ipv4/conf/{}/forwarding", "ipv6/conf/{}/forwarding"):
        assert sysctls.FORWARDING[f"net/{setting.format(whose)}"] == 1
    for setting in ("ipv4/conf/{}/arp_accept", "ipv6/conf/{}/accept_untracked_na"):
        assert sysctls.FORWARDING[f"net/{setting.format(whose)}"] == 1


@rule("Layout.sysctls.missing")
def test_sysctl_missing_in_this_kernel_is_reported_and_others_are_set() -> None:
    settings = {"net/ipv4/conf/none/forwarding": 1, "net/ipv4/conf/nobody/forwarding": 1}
    assert sysctls.ensure("", settings) == list(settings)
