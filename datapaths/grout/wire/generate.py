"""Writes the layout table of a grout release from its headers.

    python -m datapaths.grout.wire.generate /usr/include/grout [--check]

A compiler measures the offset of each field. The table is committed, so its diff shows what a new
release of grout changes for Dualpath. `--check` only compares.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from datapaths.grout.wire import numbers
from datapaths.grout.wire.wanted import REQUESTS, STRUCTS

TABLES = Path(__file__).parent

TYPED_ENUM = re.compile(r"typedef enum : (\w+) (\{.*?\}) (\w+);", re.DOTALL)
NAMED_ENUM = re.compile(r"enum (\w+) : \w+ \{")

Table = dict[str, object]


class HeadersError(Exception):
    """The headers are unreadable, or lack what Dualpath uses. The text says what to do."""


def constants() -> dict[str, int]:
    """Return the constants that must equal grout's."""
    return {name: value for name, value in vars(numbers).items() if name.startswith("GR_")}


def read(headers: Path) -> Table:
    """Ask a C compiler for the layouts in `headers`. Raises HeadersError."""
    if not (headers / "gr_api.h").is_file():
        raise HeadersError(
            f"{headers} has no gr_api.h; name the directory of Debian's grout-headers, "
            "/usr/include/grout"
        )
    if not shutil.which("gcc"):
        raise HeadersError("no gcc, which measures the headers; install it")
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        for header in headers.glob("*.h"):
            (directory / header.name).write_text(_for_older_compilers(header.read_text()))
        return _parse(_run(directory), _release(headers))


def _for_older_compilers(text: str) -> str:
    """Rewrite enumerations with a fixed type, a feature of C23."""
    text = TYPED_ENUM.sub(r"enum \2; typedef \1 \3;", text)
    return NAMED_ENUM.sub(r"enum \1 {", text)


def _release(headers: Path) -> str:
    found = re.search(r'GROUT_VERSION "v?([^"]+)"', (headers / "gr_version.h").read_text())
    return found[1] if found else "unknown"


def _program() -> str:
    lines = ['printf("version %d\\n", GR_API_VERSION);']
    lines += [f'printf("request {name} %u\\n", (unsigned){name});' for name in REQUESTS]
    lines += [f'printf("constant {name} %llu\\n", 0ULL + {name});' for name in constants()]
    for struct, fields in STRUCTS.items():
        lines.append(f'printf("struct {struct} %zu\\n", sizeof(struct {struct}));')
        lines += [_measure(struct, field) for field in fields]
    headers = '#include <stdio.h>\n#include "grout.h"\n'
    return f"{headers}int main(void) {{\n{chr(10).join(lines)}\nreturn 0;\n}}\n"


def _measure(struct: str, field: str) -> str:
    offset = f"offsetof(struct {struct}, {field})"
    size = f"sizeof(((struct {struct} *)0)->{field})"
    return f'printf("field {struct} {field} %zu %zu\\n", {offset}, {size});'


def _run(directory: Path) -> str:
    source, program = directory / "layout.c", directory / "layout"
    source.write_text(_program())
    flags = ["-w", "-std=gnu2x", "-fms-extensions", f"-I{directory}"]
    command = ["gcc", *flags, "-o", str(program), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise HeadersError(f"the headers lack what Dualpath uses:\n{built.stderr.strip()}")
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def _parse(output: str, release: str) -> Table:
    table: Table = {"version": 0, "release": release}
    requests: dict[str, int] = {}
    values: dict[str, int] = {}
    sizes: dict[str, int] = {}
    fields: dict[str, dict[str, list[int]]] = {}
    for line in output.splitlines():
        match line.split():
            case ["version", number]:
                table["version"] = int(number)
            case ["request", name, number]:
                requests[name] = int(number)
            case ["constant", name, number]:
                values[name] = int(number)
            case ["struct", name, size]:
                sizes[name], fields[name] = int(size), {}
            case ["field", name, field, offset, size]:
                fields[name][field] = [int(offset), int(size)]
            case _:
                raise HeadersError(f"the generated program printed {line!r}")
    structs = {name: {"size": sizes[name], "fields": fields[name]} for name in sizes}
    return table | {"requests": requests, "constants": values, "structs": structs}


def render(table: Table) -> str:
    """Return a table as JSON with a line per field, so that a diff reads well."""
    text = json.dumps(table, indent=1)
    return re.sub(r"\[\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2]", text) + "\n"


def path_of(table: Table) -> Path:
    return TABLES / f"api{table['version']}.json"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m datapaths.grout.wire.generate", description=__doc__
    )
    parser.add_argument("headers", type=Path, help="the directory with gr_api.h")
    parser.add_argument("--check", action="store_true", help="compare; exit 1 when they differ")
    options = parser.parse_args(arguments)
    try:
        table = read(options.headers)
    except HeadersError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    path, text = path_of(table), render(table)
    if not options.check:
        path.write_text(text)
        return 0
    if path.is_file() and path.read_text() == text:
        return 0
    sys.stderr.write(f"{path} is not what {options.headers} says: run this without --check.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
