"""The list of an image's packages is SPDX, and names what dpkg and Python have installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.images.sbom import Package, document, packages_of

STATUS = """\
Package: frr
Status: install ok installed
Architecture: amd64
Maintainer: Someone <someone@example.org>
Version: 1:10.7.1-2+b1
Description: a router
 Package: not a field

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
METADATA = """\
Metadata-Version: 2.4
Name: Typing_Extensions
Version: 4.15
License-Expression: PSF-2.0

Version: of the description
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    status = tmp_path / "var/lib/dpkg/status"
    metadata = tmp_path / "opt/dualpath/lib/python3.14/site-packages/t-4.15.dist-info/METADATA"
    for path, text in ((status, STATUS), (metadata, METADATA)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


def test_installed_packages_have_a_purl(root: Path) -> None:
    python, frr = packages_of(root)
    assert frr.purl == "pkg:deb/debian/frr@1%3A10.7.1-2%2Bb1?arch=amd64"
    assert frr.supplier == "Organization: Someone <someone@example.org>"
    assert python.purl == "pkg:pypi/typing-extensions@4.15"
    assert python.licence == "PSF-2.0"


def test_document_is_the_same_each_time(root: Path) -> None:
    packages = packages_of(root)
    first = document("localhost/dualpath:0.1.0", "0", packages)
    assert first == document("localhost/dualpath:0.1.0", "0", packages)
    assert first["creationInfo"]["created"] == "1970-01-01T00:00:00Z"
    ids = [package["SPDXID"] for package in first["packages"]]
    assert len(set(ids)) == len(ids) == 2
    assert [r["relatedSpdxElement"] for r in first["relationships"]] == ids


def test_licence_that_is_no_expression_is_not_asserted(root: Path) -> None:
    (path,) = root.rglob("METADATA")
    path.write_text("Name: a\nVersion: 1\nLicense-Expression: see (the) file!\n")
    assert {package.licence for package in packages_of(root)} == {"NOASSERTION"}


def test_ids_are_of_the_characters_that_spdx_allows() -> None:
    packages = [Package("libstdc++6", "1", "pkg:deb/debian/libstdc++6@1")]
    (row,) = document("x", "0", packages)["packages"]
    assert row["SPDXID"] == "SPDXRef-deb-libstdc--6"
