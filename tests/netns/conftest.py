"""A forwarding namespace and a host's, unless a test's module has others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from datapaths.kernel.layout import Layout
from datapaths.linux import nicrecords
from datapaths.linux.neightables import SYSCTL
from tests.netns.namespaces import fresh


@pytest.fixture(autouse=True, scope="session")
def _limits() -> Iterator[None]:
    """Restore the limits of the machine's neighbor tables, which the datapath raises."""
    before = {path: path.read_text() for path in SYSCTL.glob("ipv?/neigh/default/gc_thresh?")}
    yield
    for path, value in before.items():
        path.write_text(value)


@pytest.fixture(autouse=True)
def _nic_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this test, and the programs that it starts, a directory of their own for NIC records."""
    monkeypatch.setattr(nicrecords, "DIRECTORY", tmp_path / "nics")
    monkeypatch.setenv("DUALPATH_NIC_RECORDS", str(tmp_path / "nics"))


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    with fresh("fwd", "host") as (forwarding, host):
        yield forwarding, host


@pytest.fixture
def layout(namespaces: tuple[str, str]) -> Layout:
    layout = Layout(*namespaces)
    layout.prepare()
    return layout
