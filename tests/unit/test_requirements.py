"""pyproject.toml asks for what the generated code imports; requirements*.txt lock all of it."""

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


def pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock, re.MULTILINE))


LOCKS = [(ROOT / f"requirements{name}.txt").read_text() for name in ("-dev", "")]
ALL, NEEDED = map(pins, LOCKS)
EXTRAS = PROJECT["optional-dependencies"]
RUN = [*PROJECT["dependencies"], *EXTRAS["kubernetes"], *EXTRAS["operator"], *EXTRAS["ui"]]


@pytest.mark.parametrize("requirement", [*RUN, *EXTRAS["dev"]])
def test_every_dependency_is_locked_within_its_range(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert wanted.specifier.contains(ALL[wanted.name.lower()])


def test_packages_and_images_have_the_versions_that_are_tested() -> None:
    assert {Requirement(one).name.lower() for one in RUN} <= NEEDED.keys()
    assert NEEDED.items() <= ALL.items()
    assert not {"pytest", "mypy", "ruff", "grpcio-tools"} & NEEDED.keys()


@pytest.mark.parametrize("lock", LOCKS, ids=["development", "run"])
def test_every_locked_package_has_a_hash(lock: str) -> None:
    packages = re.split(r"\n(?=[a-z])", lock.partition("\n\n")[0])
    unlocked = [one for one in packages if "==" in one and "--hash=sha256:" not in one]
    assert len(packages) > 30
    assert unlocked == []


@pytest.mark.parametrize("lock", LOCKS, ids=["development", "run"])
def test_lock_file_names_no_registry_and_no_path(lock: str) -> None:
    words = lock.split()
    assert [word for word in words if "://" in word or word.startswith("/")] == []


def test_users_get_version_ranges_and_not_the_locked_versions() -> None:
    assert [one for one in PROJECT["dependencies"] if "==" in one] == []
