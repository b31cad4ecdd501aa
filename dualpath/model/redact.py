"""Hide secrets in FRR's commands, and in text that may quote them.

FRR does not mark secrets: each daemon has its own commands (`clicmd` in its documentation, DEFUN in
its sources), and a value may contain blanks, quotes and backquotes. So everything after such a
command on its line is hidden, including its type (`md5`, `8`).

Two functions, as "password" is also a word of prose:

    redact         text of commands: a configuration, a diff, an error of vtysh
    redact_prose   our log lines: `password` counts only where a command could begin
"""

from __future__ import annotations

import re

MASK = "***"


def _short(word: str, least: int) -> str:
    """Return a pattern of a keyword and of its abbreviations, which FRR takes where unambiguous."""
    rest = ""
    for letter in reversed(word[least:]):
        rest = f"(?:{letter}{rest})?"
    return word[:least] + rest


_WORDS = r"[\w-]*(?:pas+w\w*|passphrase|secret|psk)"  # vtysh quotes misspelt commands
_PHRASES = (
    _short("key-string", 4),  # key chain
    rf"[\w-]*{_short('authentication-key', 15)}",  # OSPF: interface, virtual link
    rf"{_short('message-digest-key', 2)}\s+\S+\s+{_short('md5', 1)}",
    rf"{_short('hash-algo', 2)}\s+\S+\s+{_short('key', 1)}",  # OSPFv3
    rf"{_short('authentication', 2)}\s+{_short('string', 1)}",  # RIP
    rf"{_short('nhrp', 2)}\s+{_short('authentication', 2)}",
    rf"(?:area|domain)-{_short('password', 1)}",  # IS-IS
    _short("tcp-md5-auth", 4),  # PCEP
    r"pre-shared-key|private-key|auth-?key",
    r"snmp(?:-server)?\s+(?:community|user|host\s+\S+)|r[ow]community6?|smux\s+peer\s+\S+",
    r"(?:tacacs|radius)(?:-server)?\+?(?:\s+\S+)*?\s+(?:key|secret)",
)
_WORD_BEGINS = (  # also in the output of Python's repr, and behind the sign of a difference
    r"(?:(?<![\w-])|(?<=\\[nrt])|(?<=^[+-]))"
)
_FIRST = "|".join((_short("enable", 2), _short("isis", 2), _short("openfabric", 2), "fabricd"))
_NAMED = "|".join((_short("neighbor", 1), _short("peer", 2), _short("username", 1)))
_BEGINNING = (  # what may precede `password` in a command, and a command in prose
    r"(?:(?:^|[`'\"(:]|\\n)[\s+-]*(?:no\s+)?(?:enable\s+)?"
    rf"|{_WORD_BEGINS}(?:{_FIRST}|(?:{_NAMED})\s+\S+)\s+)"
)
_HIDDEN = r"(?!\*\*\*(?:$|[\r\n`'\",;:)\]}\\]))[^\r\n]+"  # except what is hidden already
_ANYWHERE = rf"{_WORD_BEGINS}(?:{'|'.join(_PHRASES)})"
_KEY = r"[\w-]*(?:[Pp]assword|[Ss]ecret|[Pp]assphrase)"
_MAPPED = rf"(?P<quote>[\"']){_KEY}(?P=quote)\s*:|(?<![\w-]){_KEY}="  # JSON, a repr
_BLANK = r"(?:[ \t]|\\t)+|(?<=[:=])(?=\S)"

_IN_COMMANDS = re.compile(
    rf"(?P<head>{_ANYWHERE}|(?<![\w-]){_WORDS}|{_MAPPED})(?P<blank>{_BLANK})(?P<value>{_HIDDEN})",
    re.IGNORECASE | re.MULTILINE,
)
_IN_PROSE = re.compile(
    rf"(?P<head>{_ANYWHERE}|{_BEGINNING}{_WORDS}|{_MAPPED})(?P<blank>{_BLANK}){_HIDDEN}",
    re.MULTILINE,
)


def redact(text: str) -> str:
    """Return commands, or text that quotes them, with every secret hidden."""
    return _IN_COMMANDS.sub(rf"\g<head>\g<blank>{MASK}", text)


def redact_prose(text: str) -> str:
    """Return one of our texts with the secrets of commands in it hidden."""
    return _IN_PROSE.sub(rf"\g<head>\g<blank>{MASK}", text)


def secret_head(line: str) -> str:
    """Return a command up to its secret, "" when it has none."""
    match = _IN_COMMANDS.search(line)
    return line[: match.end("head")] if match else ""
