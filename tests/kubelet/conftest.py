"""One cluster for all tests here: it takes a minute and a half."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kubelet.cluster import CGROUPS
from tests.kubelet.site import Site, site


@pytest.fixture(scope="package")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("needs root: a machine with kubelet in namespaces of its own")
    if (CGROUPS / "cgroup.controllers").exists():
        pytest.skip("needs cgroups of version 1: kubelet 1.20 was not tried with version 2 alone")
    with site(tmp_path_factory.mktemp("logs")) as found:
        yield found
