"""Reads the passwords that a manifest refers to, from files that only root may read.

It replaces `passwordFile` and `passwordSecret` of a spec by `password`, and never shows a password.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from controller.intent.rules import Complaints

Yaml = dict[str, Any]

SECRETS = Path("/etc/dualpath/secrets")
SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # as Kubernetes names Secrets
SECRET_KEY = "password"  # of a Secret of type kubernetes.io/basic-auth
LONGEST = 4096  # bytes; a longer text is no password


PASSWORDS = {"password", "passwordfile", "passwordsecret"}


class _Unreadable(Exception):
    """The reason why a password that a manifest refers to cannot be used."""


class PasswordReader:
    """Reads password files, and notes their paths so that they can be watched."""

    def __init__(self, secrets: Path = SECRETS) -> None:
        self._secrets = secrets
        self.consulted: set[Path] = set()

    def resolve(self, spec: object, beside: Path, complaints: Complaints) -> object:
        """Return the spec with its passwords in it; paths are relative to `beside`.

        A password that cannot be read is left out, with a complaint.
        """
        if not isinstance(spec, dict):
            return spec
        copy: Yaml = dict(spec)
        for name in ("hostSession", "hostsession"):
            if isinstance(copy.get(name), dict):
                copy[name] = self._session(copy[name], beside, complaints.at(name))
        if isinstance(neighbors := copy.get("neighbors"), list):
            copy["neighbors"] = [
                self._session(n, beside, complaints.at("neighbors", index))
                if isinstance(n, dict)
                else n
                for index, n in enumerate(neighbors)
            ]
        return copy

    def _session(self, session: Yaml, beside: Path, complaints: Complaints) -> Yaml:
        named = [key for key in session if str(key).lower().startswith("password")]
        given = [key for key in named if session[key] is not None]
        session = {k: v for k, v in session.items() if k not in named or k in given}
        known = [key for key in given if str(key).lower() in PASSWORDS]
        if len(known) > 1:
            complaints.add(f"{' and '.join(known)} are mutually exclusive", known[-1])
            return {k: v for k, v in session.items() if k not in known}
        for key in known:
            if key.lower() == "password":
                continue
            reference = session.pop(key)
            try:
                session["password"] = self._password(key, reference, beside)
            except _Unreadable as error:
                complaints.add(str(error), key)
        return session

    def _password(self, key: str, reference: object, beside: Path) -> str:
        if key.lower() == "passwordfile":
            return self._read(key, _path(key, reference, beside))
        return self._read(key, self._file_of(reference))

    def _file_of(self, reference: object) -> Path:
        """Return the file of a Secret: its name, or the key below it, as Kubernetes mounts them."""
        name = reference.get("name") if isinstance(reference, dict) else reference
        if not isinstance(name, str) or not SECRET_NAME.fullmatch(name):
            raise _Unreadable("passwordSecret is not the name of a Secret")
        path = self._secrets / name
        return path / SECRET_KEY if os.path.isdir(path) else path  # Path.is_dir may raise

    def _read(self, key: str, path: Path) -> str:
        self.consulted.add(path)
        try:
            # Non-blocking: opening a pipe would wait for a writer.
            with open(path, "rb", opener=_at_once) as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise _Unreadable(f"{key} {path}: not a file")
                if mode & stat.S_IRWXO:
                    raise _Unreadable(f"{key} {path}: everybody may use it; `chmod o= {path}`")
                return file.read(LONGEST).decode().strip()
        except OSError as error:
            raise _Unreadable(f"{key} {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise _Unreadable(f"{key} {path}: not text in UTF-8") from None


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _path(key: str, reference: object, beside: Path) -> Path:
    if not isinstance(reference, str) or not reference or "\0" in reference:
        raise _Unreadable(f"{key} is not a path")
    return beside / reference
