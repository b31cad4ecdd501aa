"""What make release puts together: one version, the same bytes each time, and every dependency."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from deploy import release
from deploy.release import (
    ReleaseError,
    agree,
    compare,
    normalized,
    project_version,
    sbom,
    write_sums,
)
from tests.architecture import ROOT

REQUIREMENTS = (ROOT / "requirements.txt").read_text()
CHANGELOG = "dualpath (1.2.3) unstable; urgency=medium\n"


def sdist(mtime: int, user: str, names: tuple[str, ...]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname = 1, mtime, user
            tar.addfile(member, io.BytesIO(b"x"))
    return out.getvalue()


def test_an_sdist_does_not_depend_on_time_user_or_order() -> None:
    one = normalized(sdist(1, "me", ("a", "b")), 1000)
    assert one == normalized(sdist(2, "you", ("b", "a")), 1000)
    with tarfile.open(fileobj=io.BytesIO(one)) as tar:
        assert [(it.name, it.mtime, it.uname, it.mode) for it in tar] == [
            ("a", 1000, "", 0o644),
            ("b", 1000, "", 0o644),
        ]


@pytest.mark.parametrize("tags", ["", "v1.2.3\n", "tested\nv1.2.3\n"])
def test_a_release_needs_no_tag_but_no_other_tag_either(tags: str) -> None:
    agree("1.2.3", CHANGELOG, tags)


@pytest.mark.parametrize(
    ("version", "tags", "message"),
    [
        ("1.2.3", "v1.2.4", "HEAD has tag v1.2.4, but pyproject.toml has 1.2.3"),
        ("1.2.4", "", "debian/changelog has 1.2.3, pyproject.toml 1.2.4"),
    ],
)
def test_versions_that_differ_are_refused(version: str, tags: str, message: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(message)):
        agree(version, CHANGELOG, tags)


def test_the_project_and_debian_have_one_version() -> None:
    agree(project_version(ROOT), (ROOT / "debian" / "changelog").read_text(), "")


def test_builds_that_differ_are_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.whl").write_text(name)
    with pytest.raises(ReleaseError, match=r"two builds of x\.whl differ"):
        compare(tmp_path / "one", tmp_path / "other")


def test_the_sbom_has_every_locked_package_with_its_hashes() -> None:
    components = sbom("1.2.3", REQUIREMENTS)["components"]
    locked = re.findall(r"(?m)^([a-z0-9-]+)==", REQUIREMENTS)
    assert [it["name"] for it in components] == locked
    hashes = [it for one in components for it in one["externalReferences"][0]["hashes"]]
    assert len(hashes) == REQUIREMENTS.count("--hash=sha256:")


def test_sums_are_as_sha256sum_has_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    write_sums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == f"{hashlib.sha256(b'x').hexdigest()}  a\n"


def test_release_of_a_changed_checkout_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(release, "_git", lambda *_: " M pyproject.toml\n")
    with pytest.raises(release.ReleaseError, match=r"commit or undo.*\n.*pyproject\.toml"):
        release.make(tmp_path / "out")


def test_directory_that_is_no_release_is_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(release, "_git", lambda *_: "")
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(release.ReleaseError, match="is no release"):
        release.make(tmp_path)
    assert (tmp_path / "thesis").exists()
