"""Both programs start where somebody flushed the addresses of `lo` in FRR's namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.settings import parse
from controller.start.checks import Refused, _check_fpm
from datapaths.linux import netns
from frr_bridge.server import Caller, FpmServer
from tests.netns.namespaces import fresh, run

pytestmark = pytest.mark.netns


async def test_frr_bridge_listens_on_a_loopback_address_that_is_missing() -> None:
    server = FpmServer(
        on_connected=lambda: None,
        on_frames=lambda _: None,
        on_lost=lambda: None,
        who=lambda _: Caller.UNKNOWN,
    )
    with fresh("ctl") as (control,):
        run(f"ip -n {control} addr flush dev lo")
        with netns.entered(control):
            for address in ("127.0.0.1", "::1"):
                server.listen(address, 0)
                server.close()


def test_controller_starts_although_a_loopback_address_is_missing(tmp_path: Path) -> None:
    with fresh("ctl") as (control,):
        run(f"ip -n {control} addr flush dev lo")
        given = ["--datapath=kernel", f"--config={tmp_path}", f"--state-dir={tmp_path}"]
        _check_fpm(parse(given), control)
        with pytest.raises(Refused, match="Cannot assign requested address"):
            _check_fpm(parse([*given, "--fpm=192.0.2.77:2620"]), control)
