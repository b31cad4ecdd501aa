"""pyproject.toml asks for what the generated code imports; requirements-dev.txt locks all of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GENERATED = ROOT / "dualpath" / "pb"


def version_of_grpc() -> str:
    texts = [path.read_text() for path in GENERATED.glob("*_pb2_grpc.py")]
    found = {v for text in texts for v in re.findall(r"GRPC_GENERATED_VERSION = '(.+)'", text)}
    (version,) = found
    return str(version)


def version_of_protobuf() -> str:
    texts = [path.read_text() for path in GENERATED.glob("*_pb2.py")]
    found = {v for text in texts for v in re.findall(r"Protobuf Python Version: (.+)", text)}
    (version,) = found
    return str(version)


@pytest.mark.parametrize("name", ["grpcio", "grpcio-health-checking", "grpcio-reflection"])
def test_grpc_is_at_least_what_generated(name: str) -> None:
    assert f"{name}>={version_of_grpc()}" in PROJECT["dependencies"]


def test_protobuf_is_of_the_generated_major_version_or_the_next() -> None:
    """protobuf.dev/support/cross-version-runtime-guarantee"""
    version = version_of_protobuf()
    after = int(version.partition(".")[0]) + 2
    assert f"protobuf>={version},<{after}" in PROJECT["dependencies"]


def test_dev_extra_pins_the_generator_of_the_committed_code() -> None:
    wanted = PROJECT["optional-dependencies"]["dev"]
    assert f"grpcio-tools=={version_of_grpc()}" in wanted


LOCK = (ROOT / "requirements-dev.txt").read_text()
PINS = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [*PROJECT["dependencies"], *(one for extra in EXTRAS.values() for one in extra)]


@pytest.mark.parametrize("requirement", WANTED)
def test_every_dependency_is_locked_within_its_range(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(PINS[wanted.name.lower()])


def test_every_locked_package_has_a_hash() -> None:
    packages = re.split(r"\n(?=[a-z])", LOCK.partition("\n\n")[0])
    unlocked = [one for one in packages if "==" in one and "--hash=sha256:" not in one]
    assert len(PINS) > 30
    assert unlocked == []


def test_lock_file_names_no_registry_and_no_path() -> None:
    words = LOCK.split()
    assert [word for word in words if "://" in word or word.startswith("/")] == []


def test_users_get_version_ranges_and_not_the_locked_versions() -> None:
    assert [one for one in PROJECT["dependencies"] if "==" in one] == []
