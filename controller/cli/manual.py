"""Manual pages of `dualpath` from its help: python -m controller.cli.manual DIRECTORY.

The package build makes them (`make man`), so no page can be out of date.
"""

from __future__ import annotations

from argparse import SUPPRESS, Action
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from controller.cli.__main__ import load, top
from controller.cli.catalogue import CATALOGUE
from dualpath.process.options import Parser, path

EXIT = """\
.SH EXIT STATUS
0 it worked; 1 it did not; 2 the command line or a filter makes no sense; 130 interrupted.
"""


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each page of section 1."""
    yield "dualpath.1", _page("dualpath", top(), _commands())
    for name in CATALOGUE:
        yield f"dualpath-{name}.1", _page(f"dualpath-{name}", load(name).parser, "")


def _page(name: str, parser: Parser, more: str) -> str:
    summary, _, rest = (parser.description or "").partition("\n")
    prose, examples = _split(rest)
    others = ("dualpath",) if name != "dualpath" else (f"dualpath-{other}" for other in CATALOGUE)
    see = ", ".join(f"\\fB{_plain(other)}\\fP(1)" for other in others)
    return (
        f'.TH {name.upper()} 1 "" "dualpath {version("dualpath")}" "Dualpath"\n'
        f".SH NAME\n{_plain(name)} \\- {_plain(summary.rstrip('.'))}\n"
        f".SH SYNOPSIS\n{_synopsis(parser)}"
        f".SH DESCRIPTION\n{_text(prose) or _text(summary)}"
        f".SH OPTIONS\n{''.join(map(_option, _shown(parser)))}{more}"
        f".SH EXAMPLES\n.nf\n{_text(examples)}.fi\n{EXIT}.SH SEE ALSO\n{see}\n"
    )


def _split(text: str) -> tuple[str, str]:
    """Return the prose of a docstring, and the paragraphs that are commands to type."""
    paragraphs = [part.strip("\n") for part in text.strip().split("\n\n") if part.strip()]
    is_example = [part.startswith(("dualpath ", "source ", "systemctl ")) for part in paragraphs]
    prose = [part for part, example in zip(paragraphs, is_example, strict=True) if not example]
    examples = [part for part, example in zip(paragraphs, is_example, strict=True) if example]
    return "\n.PP\n".join(prose), "\n".join(examples)


def _commands() -> str:
    rows = (f".TP\n.B {name}\n{_plain(entry.summary)}\n" for name, entry in CATALOGUE.items())
    return f".SH COMMANDS\n{''.join(rows)}"


def _synopsis(parser: Parser) -> str:
    usage = parser.format_usage().removeprefix("usage: ")
    return _text(" ".join(usage.split()))


def _shown(parser: Parser) -> list[Action]:
    return [action for action in parser._actions if action.help != SUPPRESS]


def _option(action: Action) -> str:
    names = ", ".join(f"\\fB{_plain(name)}\\fP" for name in action.option_strings)
    metavar = f" {_plain(str(action.metavar))}" if action.metavar else ""
    return f".TP\n{names}{metavar}\n{_text((action.help or '').replace('%%', '%'))}"


def _text(text: str) -> str:
    """Return lines of roff; escape a first dot or quote, which would begin a request."""
    lines = text.splitlines()
    return "".join(f"{line if line == '.PP' else _line(line)}\n" for line in lines)


def _line(line: str) -> str:
    return ("\\&" if line.startswith((".", "'")) else "") + _plain(line)


def _plain(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


def main() -> None:
    parser = Parser(prog="python -m controller.cli.manual", description="Write the manual pages.")
    parser.add_argument("directory", type=path, help="target directory; created if missing")
    directory: Path = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
