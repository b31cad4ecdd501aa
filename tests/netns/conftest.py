"""A forwarding namespace and a host's, unless a test's module has others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datapaths.kernel.layout import Layout
from tests.netns.namespaces import fresh


@pytest.fixture
def spaces() -> Iterator[tuple[str, str]]:
    with fresh("fwd", "host") as (forwarding, host):
        yield forwarding, host


@pytest.fixture
def layout(spaces: tuple[str, str]) -> Layout:
    layout = Layout(*spaces)
    layout.prepare()
    return layout
