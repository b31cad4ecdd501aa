"""Parses YAML into documents that remember their lines. Pure.

The rules are those of Kubernetes rather than of YAML 1.1: `65000:10` is a string and not a number
to base sixty, `on` is a string, a date is a string, and a duplicate key is an error. So is an
alias: a few nested aliases can expand into gigabytes, and manifests do not need them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from controller.intent.aliases import OLDER
from controller.intent.rules import Complaint
from dualpath.model.violation import Violation

MAX_DEPTH = 64
"""Deeper than any resource, and far below Python's recursion limit."""
MAX_DIGITS = 100  # Python refuses to convert numbers of more than 4300 digits
KNOWN = {"map", "seq", "str", "bool", "null", "int", "float", "merge"}
"""The types of JSON, as resources are stored as JSON. `!!binary` and `!!set` have none."""


class ManifestError(Exception):
    """Manifests that cannot be parsed; `violations` has all the reasons with their positions."""

    def __init__(self, *reasons: Violation | str) -> None:
        self.violations = tuple(
            Violation(message=reason) if isinstance(reason, str) else reason for reason in reasons
        )
        super().__init__("; ".join(map(str, self.violations)))


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping of YAML, with the syntax tree that knows the line of each part."""

    path: str
    value: dict[str, Any]  # shared with later loads: never changed
    node: yaml.MappingNode
    first_line: int = 1  # of what was parsed with it

    def source(self, *keys: str | int) -> str:
        """Return `file:line` of a part, or of the innermost part of the path that exists."""
        return f"{self.path}:{self._mark(*keys).line + self.first_line}"

    def violation(
        self, complaint: Complaint, path: Sequence[str | int] = (), kind: str = "", name: str = ""
    ) -> Violation:
        """Return a complaint about the part at `path`, with its position and its resource."""
        mark, keys = self._mark(*path, *complaint.path), [*path, *complaint.path]
        return Violation(
            self.path,
            mark.line + self.first_line,
            mark.column + 1,
            kind,
            name,
            "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys).lstrip("."),
            complaint.message,
            complaint.suggestion,
        )

    def _mark(self, *keys: str | int) -> yaml.Mark:
        """Return the position of a part's key, or of the innermost part of the path that exists."""
        node: yaml.Node = self.node
        mark = node.start_mark
        for key in keys:
            if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
                if key >= len(node.value):
                    break
                node = node.value[key]
                mark = node.start_mark
            elif isinstance(node, yaml.MappingNode):
                entry = _entry(node, str(key))
                if entry is None:
                    break
                mark, node = entry[0].start_mark, entry[1]
            else:
                break
        return mark

    def part(self, *keys: str | int) -> Document:
        """Return the mapping found at `keys` as a document of its own."""
        node: yaml.Node = self.node
        value: Any = self.value
        for key in keys:
            value = value[key]
            if isinstance(node, yaml.SequenceNode):
                node = node.value[key]
            elif isinstance(node, yaml.MappingNode):
                entry = _entry(node, str(key))
                assert entry is not None
                node = entry[1]
        assert isinstance(node, yaml.MappingNode)
        return Document(self.path, value, node, self.first_line)


class Reader:
    """Reads texts again and again, and parses only the documents that changed.

    At 4,000 resources in one file the rest takes a second of CPU time otherwise.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, list[Document]]] = {}  # by path and text

    def read(self, text: str, path: str) -> list[Document]:
        """Return the documents of a YAML text, empty ones left out. Raises ManifestError.

        After a syntax error, YAML defines no way to continue. A line `---` starts a document in any
        case, so each document is parsed on its own, and all errors are reported at once.
        """
        known, found = self._known.get(path, {}), dict[str, list[Document]]()
        documents: list[Document] = []
        violations: list[Violation] = []
        for line, part in _parts(text):
            parsed = known.get(part) or found.get(part)
            if parsed is None:
                parsed, wrong = _read(part, path, line)
                violations += wrong
            found[part] = parsed
            documents += (_at_line(document, line) for document in parsed)
        if violations:
            raise ManifestError(*dict.fromkeys(violations))
        self._known[path] = found
        return documents

    def forget_others(self, paths: Collection[str]) -> None:
        """Forget the documents of files that are gone."""
        for path in self._known.keys() - set(paths):
            del self._known[path]


def read(text: str, path: str) -> list[Document]:
    """Return the documents of a YAML text that is read once, as `Reader.read` does."""
    return Reader().read(text, path)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the first line of each document of a text, and its own text without directives."""
    starts = [0, *(match.start() for match in re.finditer(r"^---(?=\s|$)", text, re.MULTILINE))]
    line = 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        yield line, re.sub(r"(?m)^%.*$", "", part) if "%" in part else part
        line += part.count("\n")


def _at_line(document: Document, line: int) -> Document:
    return document if document.first_line == line else replace(document, first_line=line)


def _read(text: str, path: str, first_line: int) -> tuple[list[Document], list[Violation]]:
    documents: list[Document] = []
    violations: list[Violation] = []

    def at(node: yaml.Node, message: str) -> Violation:
        mark = node.start_mark
        return Violation(path, mark.line + first_line, mark.column + 1, message=message)

    try:
        loader = _Loader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                if node is None or node.tag == "tag:yaml.org,2002:null":
                    continue
                if not isinstance(node, yaml.MappingNode):
                    violations.append(at(node, "a manifest must be a mapping"))
                    continue
                wrong = [at(part, message) for part, message in _check(node)]
                violations += wrong
                if not wrong:
                    value = loader.construct_document(node)
                    documents.append(Document(path, value, node, first_line))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark is not None else (0, 1)
        text = f"not valid YAML: {error.problem}"
        violations.append(Violation(path, line + first_line, column, message=text))
    except (yaml.YAMLError, RecursionError) as error:
        line, column = _position(text, error)
        text = f"not valid YAML: {_first_line(error)}"
        violations.append(Violation(path, line + first_line, column, message=text))
    return documents, violations


def _position(text: str, error: Exception) -> tuple[int, int]:
    """Return the position of a character that YAML does not allow: lines before it, and column."""
    if not isinstance(error, yaml.reader.ReaderError):
        return 0, 1
    before = text[: error.position]
    return before.count("\n"), len(before) - before.rfind("\n")


def _entry(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Find a key by its name, or else by one of its older names."""
    for wanted in (key, key.lower(), *OLDER.get(key, ())):
        for entry in node.value:
            if isinstance(entry[0], yaml.ScalarNode) and entry[0].value == wanted:
                return entry[0], entry[1]
    return None


def _check(root: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """Yield duplicate keys, aliases, and nesting that is too deep: where, and why it is refused."""
    pending, seen = [(root, 0)], set[int]()
    while pending:
        node, depth = pending.pop()
        if id(node) in seen:
            yield node, "YAML aliases are not supported: write the text out where it is used"
            continue
        if depth > MAX_DEPTH:
            yield node, f"nested more than {MAX_DEPTH} deep"
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _duplicates(node)
            pending.extend((value, depth + 1) for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            pending.extend((value, depth + 1) for value in node.value)


def _duplicates(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, str]]:
    keys: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield key, "a key is not a string"
            continue
        if key.value in keys:
            yield key, f"`{key.value}` is given twice"
        keys.add(key.value)


def _first_line(error: Exception) -> str:
    lines: Sequence[str] = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


# libyaml is ten times as fast, which matters for the manifests of a whole cluster.
_SafeLoader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]  # either has the same methods
    """A safe loader with the types of YAML's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401
        """Raise a YAML error in the cases in which PyYAML raises other errors."""
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            if kind not in KNOWN:
                text = (
                    "YAML tags are not supported: remove it, or quote a text that begins with `!`"
                )
                raise ConstructorError(problem=text, problem_mark=node.start_mark)
            if kind == "int" and len(node.value) > MAX_DIGITS:
                raise ValueError
            return super().construct_object(node, deep)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError):
            what = repr(node.value[:40]) if isinstance(node, yaml.ScalarNode) else "this"
            text = f"{what} is no {kind}"
            raise ConstructorError(problem=text, problem_mark=node.start_mark) from None


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", [*"-+.0123456789"]),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )
