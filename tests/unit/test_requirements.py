"""pyproject.toml asks for what the generated code needs when it is imported."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

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


def test_developers_have_just_the_generator_that_was_used() -> None:
    wanted = PROJECT["optional-dependencies"]["dev"]
    assert f"grpcio-tools=={version_of_grpc()}" in wanted
