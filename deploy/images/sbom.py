"""The list of what is in an image, as SPDX 2.3 in JSON. Pure, but for reading the image's files.

Debian packages come from dpkg's status, Python packages from their METADATA. Scanners match both by
package URL (purl).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

STATUS = "var/lib/dpkg/status"
DISTRIBUTIONS = "opt/dualpath/lib/python3*/site-packages/*.dist-info/METADATA"
UNKNOWN = "NOASSERTION"
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
"""A licence as SPDX writes it; METADATA may have any text."""


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """An installed package."""

    name: str
    version: str
    purl: str
    supplier: str = UNKNOWN
    licence: str = UNKNOWN


def packages_of(root: Path) -> list[Package]:
    """Return the packages in a root file system, sorted."""
    return sorted([*_debian(root / STATUS), *_python(root)])


def document(image: str, epoch: str, packages: Sequence[Package]) -> dict[str, Any]:
    """Return an SPDX document of an image. `epoch` is seconds since 1970."""
    created = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256(repr((image, epoch, packages)).encode()).hexdigest()
    rows = [_row(package) for package in packages]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image,
        "documentNamespace": f"urn:dualpath:sbom:{digest[:32]}",
        "creationInfo": {"created": created, "creators": ["Tool: deploy/images/sbom.py"]},
        "packages": rows,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": row["SPDXID"],
            }
            for row in rows
        ],
    }


def _row(package: Package) -> dict[str, Any]:
    kind = package.purl.partition(":")[2].partition("/")[0]
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{kind}-{package.name}"),
        "name": package.name,
        "versionInfo": package.version,
        "supplier": package.supplier,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": package.licence,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package.purl,
            }
        ],
    }


def _debian(status: Path) -> Iterator[Package]:
    """deb-control(5): paragraphs of fields, separated by an empty line."""
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if not (fields["Status"] or "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        purl = f"pkg:deb/debian/{name}@{quote(version)}?arch={fields['Architecture']}"
        yield Package(name, version, purl, f"Organization: {fields['Maintainer']}")


def _python(root: Path) -> Iterator[Package]:
    for path in root.glob(DISTRIBUTIONS):
        fields = HeaderParser().parsestr(path.read_text(encoding="utf-8"))
        name, version = fields["Name"], fields["Version"]
        licence = fields["License-Expression"] or ""
        known = licence if _EXPRESSION.fullmatch(licence) else UNKNOWN
        normal = re.sub(r"[._-]+", "-", name).lower()
        yield Package(name, version, f"pkg:pypi/{normal}@{quote(version)}", licence=known)
