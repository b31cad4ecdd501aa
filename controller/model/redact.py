"""Hide secrets in FRR's commands, and in text that may quote them.

FRR has no mark for a secret: each daemon has commands of its own (`clicmd` in its documentation,
DEFUN in its sources), and a value may hold blanks, quotes and backquotes. So whatever follows such
a command on its line is hidden, its type (`md5`, `8`) too.

Two strengths, as "password" is a word of prose too:

    redact         text that is commands: a configuration, a difference, what vtysh complains about
    redact_prose   our own log lines: there, `password` counts where a command could begin only
"""

from __future__ import annotations

import re

MASK = "***"

_WORDS = r"[\w-]*(?:pas+w\w*|passphrase|secret|psk)"  # misspelt ones are quoted by vtysh
_PHRASES = (
    r"key-string",  # key chain
    r"[\w-]*authentication-key",  # OSPF: interface, virtual link
    r"message-digest-key\s+\S+\s+md5",
    r"hash-algo\s+\S+\s+key",  # OSPFv3
    r"authentication\s+string",  # RIP
    r"nhrp\s+authentication",
    r"(?:area|domain)-password",  # IS-IS
    r"pre-shared-key|private-key|auth-?key",
    r"snmp(?:-server)?\s+(?:community|user|host\s+\S+)|r[ow]community6?|smux\s+peer\s+\S+",
    r"(?:tacacs|radius)(?:-server)?\+?(?:\s+\S+)*?\s+(?:key|secret)",
)
_WORD_BEGINS = r"(?:(?<![\w-])|(?<=\\[nrt]))"  # the latter in what Python printed by its repr
_BEGINNING = (  # what may stand ahead of `password` in a command, and of a command in prose
    r"(?:(?:^|[`'\"(:]|\\n)[\s+-]*(?:no\s+)?(?:enable\s+)?"
    rf"|{_WORD_BEGINS}(?:enable|isis|fabricd|(?:neighbor|peer|username)\s+\S+)\s+)"
)
_HIDDEN = r"(?!\*\*\*)[^\r\n]+"
_ANYWHERE = rf"{_WORD_BEGINS}(?:{'|'.join(_PHRASES)})"
_MAPPED = (
    r"(?P<quote>[\"'])[\w-]*(?:[Pp]assword|[Ss]ecret|[Pp]assphrase)(?P=quote)\s*:"  # JSON, a repr
)

_IN_COMMANDS = re.compile(
    rf"(?P<head>{_ANYWHERE}|(?<![\w-]){_WORDS}|{_MAPPED})(?P<blank>[ \t]+)(?P<value>{_HIDDEN})",
    re.IGNORECASE,
)
_IN_PROSE = re.compile(
    rf"(?P<head>{_ANYWHERE}|{_BEGINNING}{_WORDS}|{_MAPPED})(?P<blank>[ \t]+){_HIDDEN}",
    re.MULTILINE,
)


def redact(text: str) -> str:
    """Return commands, or text that quotes them, with every secret hidden."""
    return _IN_COMMANDS.sub(rf"\g<head>\g<blank>{MASK}", text)


def redact_prose(text: str) -> str:
    """Return a text of ours with the secrets of commands in it hidden."""
    return _IN_PROSE.sub(rf"\g<head>\g<blank>{MASK}", text)


def secret_head(line: str) -> str:
    """Return a command up to its secret, "" when it has none."""
    match = _IN_COMMANDS.search(line)
    return line[: match.end("head")] if match else ""
