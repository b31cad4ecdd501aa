"""One cluster for all tests here: it takes a minute and a half."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kubelet.site import Site, site


@pytest.fixture(scope="package")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a machine with kubelet in namespaces of its own")
    with site(tmp_path_factory.mktemp("logs")) as found:
        yield found
