"""Kinds of command-line options that our daemons share: text in, a value or one sentence out."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any, NoReturn

DEFAULT_NETNS = "dualpath"  # which forwards
STATE_DIR = "/run/dualpath"
BUS = "bus.sock"  # in the state directory

_MAX_SOCKET_PATH = 107  # sizeof(sockaddr_un.sun_path) - 1, linux/un.h


class Parser(ArgumentParser):
    """Says in one sentence what makes no sense, without its usage, which has many lines.

    No option takes an empty value or one with a control character, whatever its type. A type sees
    an empty text only if that is the option's default.
    """

    def _get_values(self, action: Action, arg_strings: list[str]) -> Any:  # noqa: ANN401
        """Read what was given for one option; a default does not come here."""
        for text in arg_strings:
            if problem := nonsense(text):
                raise ArgumentError(action, problem)
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def nonsense(value: str) -> str:
    """Return why this can be no option's value; "" if it can."""
    if not value.strip():
        return "is empty: give a value, or leave the option out"
    if any(not character.isprintable() for character in value):
        return f"{value!r} has a character that cannot be printed: leave it out"
    if value != value.strip():
        return f"{value!r} begins or ends with a blank: leave it out"
    return ""


def address_and_port(text: str) -> str:
    """Take ADDR:PORT; an IPv6 address has brackets."""
    try:
        split(text)
    except ValueError:
        text = f"{text!r}: give ADDR:PORT, as 127.0.0.1:2620 or [::1]:2620"
        raise ArgumentTypeError(text) from None
    return text


def split(text: str) -> tuple[str, int]:
    """Return the address, without brackets, and the port. Raises ValueError."""
    host, _, port = text.rpartition(":")
    whole = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if whole else host
    if (ipaddress.ip_address(host).version == 6) is not whole:
        raise ValueError(text)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(text)
    return host, int(port)


def seconds(text: str) -> float:
    """Take a time, from 0 on."""
    plain = re.fullmatch(r"[0-9.]+([eE][-+]?[0-9]+)?", text)
    try:
        value = float(text) if plain else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r}: give seconds, from 0 on")
    return value


def some_seconds(text: str) -> float:
    """Take a time, from one second on."""
    if (value := seconds(text)) < 1:
        raise ArgumentTypeError(f"{text!r}: give seconds, from 1 on")
    return value


def rows(text: str) -> int:
    """Take a number of rows that a signed 32-bit sysctl holds."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 31):
        raise ArgumentTypeError(f"{text!r}: give a number from 0 to 2147483647")
    return int(text)


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
    return directory(text)


def directory(text: str) -> Path:
    """Take a path where a directory is or may be made."""
    if os.path.exists(text) and not os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: not a directory; give a directory")
    return path(text)


def file(text: str) -> Path:
    """Take a file that is there."""
    if os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: a directory; give a file")
    if not os.path.exists(text):
        raise ArgumentTypeError(f"{text}: no such file")
    return path(text)


def socket_path(text: str) -> Path:
    """Take the path of a UNIX socket, which may come later."""
    if os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: a directory; give the path of a socket")
    if len(os.fsencode(text)) > _MAX_SOCKET_PATH:
        raise ArgumentTypeError(f"{text}: a socket's path has {_MAX_SOCKET_PATH} bytes at most")
    return path(text)


def namespace(text: str) -> str:
    """Take a network namespace: a name, as `ip netns` has it, or an absolute path."""
    if text.startswith("/"):
        if os.path.isdir(text):
            raise ArgumentTypeError(f"{text}: a directory; give a namespace's name or its file")
        return text
    if text in (".", "..") or (text and not re.fullmatch(r"[^/\s-][^/\s]{0,254}", text)):
        raise ArgumentTypeError(f"{text!r}: give a namespace's name, or its path from / on")
    return text


def node_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", text):
        raise ArgumentTypeError(f"{text!r}: give a name of letters, digits, `.`, `_` and `-`")
    return text


def cpus(text: str) -> str:
    """Take a list of CPUs as taskset has it."""
    for part in text.split(",") if text else ():
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        if match is None or (match[2] is not None and int(match[2]) < int(match[1])):
            raise ArgumentTypeError(f"{text!r}: give numbers of CPUs, as 2,4-5")
    return text


def mtu(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1280 <= int(text) <= 65535):
        raise ArgumentTypeError(f"{text!r}: give bytes from 1280 to 65535")
    return int(text)


def frr_name(text: str) -> str:
    """Take what FRR's `-N` takes, which makes part of a path."""
    if text and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", text):
        raise ArgumentTypeError(f"{text!r}: give the name that FRR was started with, as in -N pe1")
    return text
