"""The committed layout tables match our constants, and grout's headers where they are installed."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest

from datapaths.grout.wire import adverts, generate
from datapaths.grout.wire.table import UnknownVersion, api, versions
from datapaths.grout.wire.wanted import REQUESTS, STRUCTS

LAB = Path(os.environ.get("DUALPATH_LAB_CACHE", "/var/cache/dualpath/lab"))
INSTALLED = Path("/usr/include/grout")


def headers() -> Path | None:
    # A complete tree has its final name, without a suffix (tests.lab.rootfs).
    whole = (tree for tree in sorted(LAB.glob("system-*")) if not tree.suffix)
    trees = [INSTALLED, *(tree / "usr/include/grout" for tree in whole)]
    return next((tree for tree in trees if (tree / "gr_api.h").exists()), None)


@pytest.mark.parametrize("version", versions())
def test_layout_table_has_every_message_and_constant_in_use(version: int) -> None:
    table = api(version)
    assert set(table.types) == set(REQUESTS)
    assert {name: set(dtype.names or ()) for name, dtype in table.structs.items()} == {
        name: set(fields) for name, fields in STRUCTS.items()
    }
    assert table.constants == generate.constants()


def test_layout_table_matches_the_headers() -> None:
    directory = headers()
    if not directory or not shutil.which("gcc"):
        pytest.skip("needs gcc, and Debian's grout-headers, installed or in the lab's tree")
    assert generate.main([str(directory), "--check"]) == 0


def test_headers_of_an_unfinished_tree_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.LAB", tmp_path)
    monkeypatch.setattr(f"{__name__}.INSTALLED", tmp_path / "none")
    for name in ("system-1.part", "system-2"):
        assert headers() is None
        (tmp_path / name / "usr/include/grout").mkdir(parents=True)
        (tmp_path / name / "usr/include/grout/gr_api.h").touch()
    assert headers() == tmp_path / "system-2/usr/include/grout"


def test_router_advert_without_default_route_sets_interval_and_lifetime() -> None:
    request = adverts.encode_no_default_router(api(13), 0x0105)
    assert struct.unpack("=HHHH", request) == (0x0105, 0b11, 0xFFFF, 0)


def test_version_without_a_layout_table_is_named() -> None:
    with pytest.raises(UnknownVersion, match="API 999, only for 13"):
        api(999)


def test_directory_without_headers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main([str(tmp_path)]) == 2
    assert "grout-headers" in capsys.readouterr().err
