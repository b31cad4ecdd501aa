"""Types of command-line options that the daemons share: text in, a value or one error line out."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

DEFAULT_NETNS = "dualpath"  # the forwarding namespace
STATE_DIR = "/run/dualpath"
BUS = "bus.sock"  # in the state directory
OPERATE = "operate.sock"

_MAX_SOCKET_PATH = 107  # sizeof(sockaddr_un.sun_path) - 1, linux/un.h


class Parser(ArgumentParser):
    """Reports an error in one line, without the usage.

    No option accepts an empty value or one with a control character. A type function sees an empty
    text only if that is the option's default.
    """

    def _get_values(self, action: Action, arg_strings: list[str]) -> Any:  # noqa: ANN401
        """Read the value given for one option; not called for a default."""
        for text in arg_strings:
            if problem := nonsense(text):
                raise ArgumentError(action, problem)
        return super()._get_values(action, arg_strings)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


class _Version(Action):
    """Prints the version, which takes some milliseconds to find, only on request."""

    def __call__(self, parser: ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version  # imports the parser of e-mails

        print(f"dualpath {version('dualpath')}")  # noqa: T201
        parser.exit()


def add_version(parser: ArgumentParser) -> None:
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, and exit")


def nonsense(value: str) -> str:
    """Return why no option accepts this value, "" if some may."""
    if not value.strip():
        return "is empty: give a value, or leave the option out"
    if any(not character.isprintable() for character in value):
        return f"{value!r} has a character that cannot be printed: leave it out"
    if value != value.strip():
        return f"{value!r} begins or ends with a blank: leave it out"
    return ""


def address_and_port(text: str) -> str:
    """Accept ADDR:PORT; an IPv6 address needs brackets."""
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


def listening_host(host: str) -> str | None:
    """Return the host for a server of asyncio: None for `::`, which shall mean IPv4 as well.

    asyncio sets IPV6_V6ONLY. A server on `::` would refuse every client with an IPv4 address.
    """
    with suppress(ValueError):  # a name
        if ipaddress.ip_address(host) == ipaddress.IPv6Address(0):
            return None
    return host


def seconds(text: str) -> float:
    """Accept a time in seconds, 0 or more."""
    plain = re.fullmatch(r"[0-9.]+([eE][-+]?[0-9]+)?", text)
    try:
        value = float(text) if plain else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ArgumentTypeError(f"{text!r}: give seconds, 0 or more")
    return value


def some_seconds(text: str) -> float:
    """Accept a time in seconds, 1 or more."""
    if (value := seconds(text)) < 1:
        raise ArgumentTypeError(f"{text!r}: give seconds, 1 or more")
    return value


def rows(text: str) -> int:
    """Accept a number of rows that fits a signed 32-bit sysctl."""
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
    """Accept a directory whose path is short enough for the sockets in it."""
    if len(os.fsencode(path(text) / BUS)) > _MAX_SOCKET_PATH:
        raise ArgumentTypeError(f"{text}: path too long for the sockets in it; give a shorter one")
    return directory(text)


def directory(text: str) -> Path:
    """Accept the path of a directory, which may not exist yet."""
    if os.path.exists(text) and not os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: not a directory; give a directory")
    return path(text)


def file(text: str) -> Path:
    """Accept a file that exists."""
    if os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: a directory; give a file")
    if not os.path.exists(text):
        raise ArgumentTypeError(f"{text}: no such file")
    return path(text)


def socket_path(text: str) -> Path:
    """Accept the path of a UNIX socket, which may not exist yet."""
    if os.path.isdir(text):
        raise ArgumentTypeError(f"{text}: a directory; give the path of a socket")
    if len(os.fsencode(text)) > _MAX_SOCKET_PATH:
        text = f"{text}: longer than {_MAX_SOCKET_PATH} bytes, the limit for a socket"
        raise ArgumentTypeError(text)
    return path(text)


def namespace(text: str) -> str:
    """Accept a network namespace: a name as in `ip netns`, or an absolute path."""
    if text.startswith("/"):
        if os.path.isdir(text):
            raise ArgumentTypeError(f"{text}: a directory; give a namespace's name or its file")
        return text
    if text in (".", "..") or (text and not re.fullmatch(r"[^/\s-][^/\s]{0,254}", text)):
        raise ArgumentTypeError(f"{text!r}: give a namespace's name, or its absolute path")
    return text


def node_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", text):
        raise ArgumentTypeError(f"{text!r}: give a name of letters, digits, `.`, `_` and `-`")
    return text


def cpus(text: str) -> str:
    """Accept a list of CPUs as in taskset(1)."""
    for part in text.split(",") if text else ():
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        if match is None or (match[2] is not None and int(match[2]) < int(match[1])):
            raise ArgumentTypeError(f"{text!r}: give CPU numbers, for example 2,4-5")
    return text


def mtu(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1280 <= int(text) <= 65535):
        raise ArgumentTypeError(f"{text!r}: give a number of bytes from 1280 to 65535")
    return int(text)


def frr_name(text: str) -> str:
    """Accept a value of FRR's option `-N`; it becomes part of a path."""
    if text and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", text):
        raise ArgumentTypeError(f"{text!r}: give the name that FRR was started with (-N pe1: pe1)")
    return text
