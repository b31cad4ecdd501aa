"""A forwarding namespace and a host's, unless a test's module has others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datapaths.kernel.layout import Layout
from datapaths.linux.neightables import SYSCTL
from tests.netns.namespaces import fresh


@pytest.fixture(autouse=True, scope="session")
def _limits() -> Iterator[None]:
    """Restore the limits of the machine's neighbour tables, which the datapath raises."""
    before = {path: path.read_text() for path in SYSCTL.glob("ipv?/neigh/default/gc_thresh?")}
    yield
    for path, value in before.items():
        path.write_text(value)


@pytest.fixture
def spaces() -> Iterator[tuple[str, str]]:
    with fresh("fwd", "host") as (forwarding, host):
        yield forwarding, host


@pytest.fixture
def layout(spaces: tuple[str, str]) -> Layout:
    layout = Layout(*spaces)
    layout.prepare()
    return layout
