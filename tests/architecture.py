"""The product's modules and imports, read from its source; run it to see them drawn.

python -m tests.architecture             # this checkout
python -m tests.architecture ../other    # another one, to compare
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
ORDER = ("dualpath", "datapaths", "frr_bridge", "controller")
"""The packages from the ground up: one imports itself and those before it."""
GENERATED = "dualpath.pb"
BIGGEST = 12


class Source:
    """The modules below some top-level directories of a checkout."""

    def __init__(self, root: Path, tops: tuple[str, ...]) -> None:
        self.root = root
        self.files = {
            self._name(path): path for top in tops for path in sorted((root / top).rglob("*.py"))
        }
        self._imports: dict[str, frozenset[str]] = {}

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        return {name: ast.parse(path.read_text()) for name, path in self.files.items()}

    def imports(self, module: str) -> frozenset[str]:
        """Return every module that one imports, wherever in the file."""
        if module not in self._imports:
            self._imports[module] = frozenset(self._find(module))
        return self._imports[module]

    def _find(self, module: str) -> Iterator[str]:
        for node in ast.walk(self.trees[module]):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module} has a relative import"
                assert node.module
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in self.files else node.module

    def own(self, module: str) -> set[str]:
        """Return the imports of a module that are modules of this source."""
        return {found for found in self.imports(module) if found in self.files}

    def classes(self) -> Iterator[tuple[int, int, str, str]]:
        """Yield (methods, lines, module, name) of every class."""
        for module, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    methods = sum(
                        isinstance(x, ast.FunctionDef | ast.AsyncFunctionDef) for x in node.body
                    )
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    yield methods, lines, module, node.name


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(f"{part}.")


def package(module: str) -> str:
    """Return the room that a module is in: its package, two names deep at the most."""
    return ".".join(module.split(".")[:2])


def picture(source: Source) -> list[str]:
    """Return lines that show each package, what it imports how often, and the biggest classes."""
    rooms = [name for name in source.files if name != GENERATED]
    sizes = Counter(package(name) for name in rooms)
    arrows: dict[str, Counter[str]] = {room: Counter() for room in sizes}
    tops: Counter[tuple[str, str]] = Counter()
    for module in rooms:
        for found in source.own(module):
            tops[module.split(".")[0], found.split(".")[0]] += 1
            if package(found) != package(module):
                arrows[package(module)][package(found)] += 1
    lines = ["imports between the packages (row imports column):"]
    lines.append(" " * 12 + "".join(f"{top:>12}" for top in ORDER))
    lines += [f"{row:12}" + "".join(f"{tops[row, col]:12}" for col in ORDER) for row in ORDER]
    lines += ["", f"{'package':26}{'files':>6}  imports"]
    for room in sorted(sizes, key=lambda r: (rank(r), r)):
        below = ", ".join(f"{name} {n}" for name, n in arrows[room].most_common())
        lines.append(f"{room:26}{sizes[room]:6}  {below}")
    lines += ["", "the biggest classes (methods, lines):"]
    for methods, size, module, name in sorted(source.classes(), reverse=True)[:BIGGEST]:
        lines.append(f"{methods:4}{size:6}  {module}.{name}")
    return lines


def rank(module: str) -> int:
    """Return on which floor a module stands, 0 the ground floor."""
    return ORDER.index(module.split(".")[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.architecture", description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=ROOT)
    print("\n".join(picture(Source(parser.parse_args(arguments).checkout, ORDER))))


if __name__ == "__main__":
    main()
