"""The log lines of the product, read from its source, and the page that lists them.

Placeholders are named after the arguments: `log.info("port %s is up", name)` is `port NAME is up`,
and a number is `N`. The page keeps what people wrote below a line: `renewed` moves that text to the
line that resembles the old one most, so a reworded line keeps its explanation.
"""

from __future__ import annotations

import ast
import difflib
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from tests.architecture import ORDER, ROOT, Source

PAGE = ROOT / "docs" / "LOGS.md"
WIDTH = 100
LEVELS = {
    "info": "INFO",
    "warning": "WARNING",
    "error": "ERROR",
    "critical": "CRITICAL",
    "log": "VARIES",
}
TO_EXPLAIN = {"WARNING", "ERROR", "CRITICAL", "VARIES"}
UNEXPLAINED = "TO BE EXPLAINED."
SIMILAR = 0.45
NAMES = {"error": "REASON", "strerror": "REASON", "why": "REASON", "reason": "REASON"}
_FIELD = re.compile(r"%[-+ 0#]*\d*(?:\.\d+)?([sdrfi])")
_BEGIN = re.compile(r"^- [A-Z]+ `")
_ENTRY = re.compile(r"^- ([A-Z]+) (?:`` (.*) ``|`([^`]+)`)$")
HEAD = """# Log lines

Every line of level INFO and above that a process of Dualpath writes, by the module that writes it.
Words in capitals stand for values, `N` for a number. The lines and levels come from the source, and
a test compares. The explanations are written here:
`UPDATE_VECTORS=1 pytest tests/unit/test_log_lines.py` renews the lines and keeps the explanations.
How logging works (levels, limits, JSON): [OPERATIONS.md](OPERATIONS.md#log-lines).
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One place that logs."""

    module: str
    level: str  # VARIES: chosen at run time, INFO at least
    text: str
    meaning: str = ""


@cache
def lines() -> tuple[Line, ...]:
    """Return the lines of the source in its order, each once per module."""
    source = Source(ROOT, ORDER)
    found = (line for name, tree in source.trees.items() for line in _of_module(name, tree))
    return tuple(dict.fromkeys(found))


def _of_module(module: str, tree: ast.Module) -> Iterator[Line]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in _body(function):
                if isinstance(node, ast.Call) and (found := _logged(node)):
                    level, values = found
                    for text in _texts(values[0], function):
                        yield Line(module, level, _filled(text, values[1:]))


def _body(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function in their order, without those of functions within."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
            yield from _body(node)


def _logged(call: ast.Call) -> tuple[str, list[ast.expr]] | None:
    """Return the level and arguments of `log.warning(...)`, also within `call_later(...)`."""
    called = [call.func, *call.args]
    for place, function in enumerate(called):
        match function:
            case ast.Attribute(value=ast.Name(id="log"), attr=name) if name in LEVELS:
                rest = called[place + 1 :]
                return LEVELS[name], rest[1:] if name == "log" else rest
            case _:
                pass
    return None


def _texts(value: ast.expr, function: ast.AST) -> Iterator[str]:
    """Yield what an expression can be as text: of a name, all that the function assigns to it."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for begin in _texts(left, function):
                yield from (begin + end for end in _texts(right, function))
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, function)
            yield from _texts(orelse, function)
        case ast.JoinedStr(values=parts):
            yield "".join(_part(part) for part in parts)
        case ast.Name(id=name):
            assigned = [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
            ]
            for expression in assigned:
                yield from _texts(expression, function)
            if not assigned:
                yield _named(value)
        case _:
            yield _named(value)


def _part(part: ast.expr) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=value):
            return _named(value)
        case _:
            return "TEXT"


def _filled(text: str, values: list[ast.expr]) -> str:
    places = len(_FIELD.findall(text))
    spread = places - len(values) + 1  # as many values has `*owner`
    several = [[v] * spread if isinstance(v, ast.Starred) else [v] for v in values]
    names = iter([_named(v) for part in several for v in part])

    def name(match: re.Match[str]) -> str:
        found = next(names, "TEXT")
        return "N" if match[1] in "dfi" else found

    return _FIELD.sub(name, text.replace("%%", "%")).strip()


def _named(value: ast.AST | None) -> str:
    """Return a word in capitals for a value, from the last name in its expression."""
    match value:
        case (
            ast.Attribute(attr=name)
            | ast.Name(id=name)
            | ast.Subscript(slice=ast.Constant(value=str(name)))
        ):
            return NAMES.get(name, name.strip("_").upper().replace("_", "-"))
        case ast.Call(func=ast.Name(id="len")):
            return "N"
        case ast.Call(func=ast.Attribute(attr="strerror")):
            return "REASON"
        case ast.Call(args=[ast.expr() as argument, *_]) if not isinstance(argument, ast.Constant):
            return _named(argument)
        case ast.Call(func=ast.Attribute(value=inner)):
            return _named(inner)
        case ast.Subscript(value=inner) | ast.Starred(value=inner):
            return _named(inner)
        case ast.BoolOp(values=[first, *_]):
            return _named(first)
        case ast.IfExp(body=ast.Constant(value=yes), orelse=ast.Constant(value=no)):
            return "|".join(filter(None, (str(yes), str(no))))
        case ast.Constant(value=text):
            return str(text)
        case ast.JoinedStr(values=parts):
            return "".join(_part(part) for part in parts)
        case _:
            return "TEXT"


def parsed(page: str) -> list[Line]:
    """Return the lines of a page with what it says of them."""
    found: list[Line] = []
    module = entry = ""
    for row in page.split("\n"):
        if row.startswith("## `"):
            module = row.removeprefix("## `").removesuffix("`")
        elif entry or _BEGIN.match(row):
            entry = f"{entry} {row.strip()}".strip()
            if match := _ENTRY.match(entry):
                found.append(Line(module, match[1], match[2] or match[3]))
                entry = ""
        elif found and row.startswith("  "):
            found[-1] = replace(found[-1], meaning=f"{found[-1].meaning} {row.strip()}".strip())
    return found


def renewed(old: list[Line], now: tuple[Line, ...]) -> list[Line]:
    """Return the lines of now, each with the text of the old line that it is or resembles."""
    left = {(line.module, line.text): line for line in old if line.meaning}
    named = [(line, left.pop((line.module, line.text), None)) for line in now]
    result: list[Line] = []
    for line, found in named:
        heir = found or _closest(line, left)
        if heir and not found:
            del left[heir.module, heir.text]
        default = UNEXPLAINED if line.level in TO_EXPLAIN else ""
        result.append(replace(line, meaning=heir.meaning if heir else default))
    return result


def _closest(line: Line, left: dict[tuple[str, str], Line]) -> Line | None:
    """Return the old line that resembles one most; a line of the same module resembles more."""

    def likeness(old: Line) -> float:
        alike = difflib.SequenceMatcher(None, old.text, line.text).ratio()
        return alike if old.module == line.module else alike * 0.6

    best = max(left.values(), key=likeness, default=None)
    return best if best and likeness(best) > SIMILAR else None


def rendered(found: list[Line]) -> str:
    parts = [HEAD]
    module = ""
    for line in found:
        if line.module != module:
            module = line.module
            parts.append(f"\n## `{module}`\n\n")
        quoted = f"`` {line.text} ``" if "`" in line.text else f"`{line.text}`"
        parts.append(_wrapped(f"{line.level} {quoted}", "- "))
        if line.meaning:
            parts.append(_wrapped(line.meaning, "  "))
    return "".join(parts)


def _wrapped(text: str, begin: str) -> str:
    return (
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=begin,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        + "\n"
    )
