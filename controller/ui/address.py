"""Where the page is served: an address of this host, and the file that has it with its key."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from importlib.util import find_spec
from pathlib import Path

from dualpath.rpc.connect import BadAddress, check

LISTEN = "127.0.0.1:8470"
FILE = "ui.address"  # in the controller's state directory
MODE = 0o600  # the key in it opens the page

NEEDED = ("starlette", "uvicorn")
MISSING = (
    f"the page needs {' and '.join(NEEDED)}: run `{sys.executable} -m pip install 'dualpath[ui]'`"
)


def installed() -> bool:
    """Tell whether the packages that serve the page are installed."""
    return all(find_spec(name) for name in NEEDED)


def endpoint(text: str) -> str:
    """Take ADDRESS:PORT of this host: a loopback address, or localhost."""
    hint = "the page is served on loopback only; from elsewhere use `ssh -L 8470:localhost:8470`"
    if text.startswith(("/", "unix:")):
        raise ArgumentTypeError(f"{text!r}: give ADDRESS:PORT")
    try:
        check(text, secured=False)
    except BadAddress as error:
        own = "is not on this host" in str(error)
        raise ArgumentTypeError(f"{text!r}: {hint}" if own else str(error)) from None
    return text


def write(path: Path, address: str) -> None:
    """Replace the file; nobody but its owner ever reads it. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{address}\n")
    new.replace(path)
