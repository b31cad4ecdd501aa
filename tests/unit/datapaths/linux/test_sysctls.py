"""What the namespace that forwards is told, and FRR's is not."""

from __future__ import annotations

import pytest

from datapaths.linux import sysctls
from tests.unit.controller.intent.rulebook import rule


@rule("Layout.sysctls")
@pytest.mark.parametrize("whose", ["all", "default"])
def test_what_forwards_does_so_in_both_families_and_takes_announcements(whose: str) -> None:
    for setting in ("ipv4/conf/{}/forwarding", "ipv6/conf/{}/forwarding"):
        assert sysctls.FORWARDING[f"net/{setting.format(whose)}"] == 1
    for setting in ("ipv4/conf/{}/arp_accept", "ipv6/conf/{}/accept_untracked_na"):
        assert sysctls.FORWARDING[f"net/{setting.format(whose)}"] == 1


@rule("Layout.sysctls.missing")
def test_a_setting_that_this_kernel_does_not_have_is_told_and_stops_no_other() -> None:
    settings = {"net/ipv4/conf/none/forwarding": 1, "net/ipv4/conf/nobody/forwarding": 1}
    assert sysctls.ensure("", settings) == list(settings)
