"""labs/kind/kind.yaml as kind reads it: up to the node image, which only a registry has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.debian import program
from tests.lab.documented import CHECKOUT

pytestmark = pytest.mark.images

CONFIGURATION = CHECKOUT / "labs/kind/kind.yaml"
KIND = ("kind", "sid", "usr/bin/kind")
IMAGE = "localhost/none:local"
LIMIT_S = 120.0


@contextmanager
def kind(configuration: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `kind create cluster` for the length of a block; it would try a long time to pull."""
    command = [str(program(*KIND)), "create", "cluster", "--image", IMAGE]
    with subprocess.Popen(
        ["timeout", "--signal=KILL", str(LIMIT_S), *command, "--config", str(configuration)],
        env={**os.environ, "KIND_EXPERIMENTAL_PROVIDER": "podman"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_kind_takes_the_configuration() -> None:
    with kind(CONFIGURATION) as process:
        assert process.stdout
        printed: list[str] = []
        for line in process.stdout:
            printed.append(line)
            if f"Ensuring node image ({IMAGE})" in line:
                break
        else:
            pytest.fail("".join(printed))
    assert any('Creating cluster "dualpath"' in line for line in printed)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("disableDefaultCNI", "disableDefaultCNIs", "field disableDefaultCNIs not found"),
        ("role: worker", "role: wroker", '"wroker" is not a valid node role'),
        ("fd00:244::/56", "fd00:244::/5G", "invalid pod subnet"),
    ],
)
def test_kind_refuses_what_it_does_not_know(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = CONFIGURATION.read_text()
    assert old in text
    wrong = tmp_path / "kind.yaml"
    wrong.write_text(text.replace(old, new))
    with kind(wrong) as process:
        printed, _ = process.communicate()
    assert process.returncode == 1
    assert named in printed
