"""Kinds of command-line options that our daemons share: text in, a value or one sentence out."""

from __future__ import annotations

import ipaddress
import math
import os
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import NoReturn

BUS = "bus.sock"  # in the state directory

_MAX_SOCKET_PATH = 107  # sizeof(sockaddr_un.sun_path) - 1, linux/un.h


class Parser(ArgumentParser):
    """Says in one sentence what makes no sense, without its usage, which has many lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def address_and_port(text: str) -> str:
    """Take ADDR:PORT; an IPv6 address has brackets."""
    try:
        split(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r}: give ADDR:PORT, as 127.0.0.1:2620") from None
    return text


def split(text: str) -> tuple[str, int]:
    """Return the address, without brackets, and the port. Raises ValueError."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    ipaddress.ip_address(host)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(text)
    return host, int(port)


def seconds(text: str) -> float:
    """Take a time, from 0 on."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r}: give seconds, from 0 on")
    return value


def node_index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 32):
        raise ArgumentTypeError(f"{text!r}: give a number from 0 to 4294967295")
    return int(text)


def path(text: str) -> Path:
    if not text:
        raise ArgumentTypeError("give a path")
    return Path(text)


def state_dir(text: str) -> Path:
    """Take a directory in which there can be sockets."""
    if len(os.fsencode(path(text) / BUS)) > _MAX_SOCKET_PATH:
        raise ArgumentTypeError(f"{text}: too long a path for the sockets in it")
    return path(text)


def frr_name(text: str) -> str:
    """Take what FRR's `-N` takes, which makes part of a path."""
    if "/" in text or text.startswith(("-", ".")):
        raise ArgumentTypeError(f"{text!r}: give the name that FRR was started with, as in -N pe1")
    return text
