"""Make the Python of this package from proto/; with --check only say which file is stale.

Run as `python -m dualpath.pb.generate`. Needs grpcio-tools, which only developers have.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
TARGET = Path(__file__).resolve().parent
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")

IMPORT = re.compile(r"^(from )dualpath\.v1( import )", re.MULTILINE)
"""protoc names modules after the .proto's path; ours live here."""


class GenerateError(Exception):
    """protoc refused the sources; its reason is on stderr."""


def generate(into: Path) -> dict[str, str]:
    """Return the text of every generated file by its name, using `into` as scratch space."""
    from grpc_tools import protoc  # only developers have it

    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("dualpath/v1/*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    includes = [f"-I{PROTO}", f"-I{files('grpc_tools') / '_proto'}"]
    if protoc.main(["protoc", *includes, *outputs, *sources]) != 0:
        raise GenerateError("protoc failed")
    texts = {path.name: _rewrite(path) for pattern in PATTERNS for path in into.rglob(pattern)}
    return {name: text for name, text in texts.items() if not _is_empty_service(name, text)}


def _rewrite(path: Path) -> str:
    return IMPORT.sub(r"\1dualpath.pb\2", path.read_text())


def _is_empty_service(name: str, text: str) -> bool:
    """Is it the stub module of a file without services, of which protoc makes an empty shell?"""
    return name.endswith("_pb2_grpc.py") and "class " not in text


def stale(wanted: dict[str, str]) -> list[str]:
    """Return the names of the files here that are missing, different or no longer made."""
    present = {path.name: path.read_text() for p in PATTERNS for path in TARGET.glob(p)}
    return sorted(n for n in wanted.keys() | present.keys() if wanted.get(n) != present.get(n))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dualpath.pb.generate")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check: bool = parser.parse_args().check
    try:
        with tempfile.TemporaryDirectory() as scratch:
            wanted = generate(Path(scratch))
    except (GenerateError, ImportError) as error:
        sys.stderr.write(f"cannot generate: {error} (pip install -e '.[dev]')\n")
        return 2
    names = stale(wanted)
    if check:
        for name in names:
            sys.stderr.write(
                f"dualpath/pb/{name} is stale: run python -m dualpath.pb.generate"
                f" (grpcio-tools here: {version('grpcio-tools')})\n"
            )
        return 1 if names else 0
    for name in names:
        if name in wanted:
            (TARGET / name).write_text(wanted[name])
        else:
            (TARGET / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
