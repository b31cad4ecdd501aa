"""Rows and single answers on stdout, in the requested format. Rows are streamed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from google.protobuf.message import Message

from controller.cli.options import Output
from controller.cli.table import BLOCK, Column, columns_of, print_table
from controller.cli.terminal import warn
from controller.cli.values import json_texts, plain


def print_rows(
    rows: Iterable[Message],
    output: Output,
    columns: Sequence[Column],
    key: Callable[[Any], Any] | None = None,
    own: Sequence[str] = (),
) -> None:
    """Print rows as a table, one JSON array or one YAML list; clear their fields `own`."""
    match output:
        case Output.JSON:
            _json_array(json_texts(rows, own))
        case Output.YAML:
            _yaml_list(rows)
        case Output.TABLE | Output.WIDE:
            wide = output is Output.WIDE
            if not print_table(columns_of(columns, wide=wide), rows, key, own=own, page=True):
                warn("nothing to show")


def print_message(message: Message, output: Output) -> None:
    """Print one message as JSON or YAML."""
    if output is Output.JSON:
        sys.stdout.write(json.dumps(plain(message), indent=2) + "\n")
    else:
        sys.stdout.write(to_yaml(plain(message)))


def _json_array(rows: Iterator[str]) -> None:
    """Print an array with one row per line, so that it can be cut by line as well."""
    separator = "[\n"
    while block := list(islice(rows, BLOCK)):
        sys.stdout.write(separator + ",\n".join(block))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[\n" else "\n]\n")


def _yaml_list(rows: Iterable[Message]) -> None:
    empty = True
    for row in rows:
        sys.stdout.write(to_yaml([plain(row)]))
        empty = False
    if empty:
        sys.stdout.write("[]\n")


def to_yaml(value: object) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text
