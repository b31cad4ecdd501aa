"""Settings that are invalid for any BGP session, and the error that the user sees."""

from __future__ import annotations

from tests.unit.controller.intent.build import Yaml, neighbor

BROKEN: dict[str, tuple[Yaml, str]] = {
    "Session.password: space": (neighbor(password="a b"), "no white space"),
    "Session.password: long": (neighbor(password="x" * 81), "at most 80 bytes"),
    "Session.password: bytes": (neighbor(password="é" * 41), "at most 80 bytes"),
    "Session.password: none": (neighbor(password=""), "at least one character"),
    "Session.password: end of line": (neighbor(password="a\u2028b"), "printable"),
    "Session.password: newline": (neighbor(password="a\nb"), "no white space"),
    "Session.passwordSecret: missing": (
        neighbor(passwordSecret="no-such-one"),
        "secrets/no-such-one: No such file",
    ),
    "Session.passwordSecret: not a name": (
        neighbor(passwordSecret="../shadow"),
        "passwordSecret is not the name of a Secret",
    ),
    "Session.passwordSecret: nameless": (
        neighbor(passwordSecret={"key": "x"}),
        "passwordSecret is not the name of a Secret",
    ),
    "Session.password.one: secret too": (
        neighbor(password="x", passwordSecret="y"),
        "password and passwordSecret are mutually exclusive",
    ),
    "Session.filter: ge short": (
        neighbor(importFilter=[{"prefix": "10.0.0.0/8", "ge": 7}]),
        "ge and le of 10.0.0.0/8 lie between 8 and 32",
    ),
    "Session.filter: le long": (
        neighbor(exportFilter=[{"prefix": "10.0.0.0/8", "le": 33}]),
        "ge and le of 10.0.0.0/8 lie between 8 and 32",
    ),
    "Session.filter: ge above le": (
        neighbor(exportFilter=[{"prefix": "fd00::/16", "ge": 64, "le": 48}]),
        "ge 64 exceeds le 48",
    ),
    "Session.filter: action": (
        neighbor(importFilter=[{"prefix": "fd00::/16", "action": "Drop"}]),
        "action: must be 'Permit' or 'Deny'",
    ),
    "Session.filter: no prefix": (neighbor(importFilter=[{}]), "prefix: required, but missing"),
    "Session.timers: hold alone": (neighbor(holdTimeSeconds=9), "must be given together"),
    "Session.timers: keepalive alone": (neighbor(keepaliveTimeSeconds=3), "must be given together"),
    "Session.timers: hold short": (
        neighbor(holdTimeSeconds=2, keepaliveTimeSeconds=1),
        "holdTimeSeconds must be 0 or at least 3, not 2",
    ),
    "Session.timers: keepalive long": (
        neighbor(holdTimeSeconds=9, keepaliveTimeSeconds=10),
        "keepaliveTimeSeconds 10 exceeds holdTimeSeconds 9",
    ),
    "Session.connectTime: zero": (neighbor(connectTimeSeconds=0), "connectTimeSeconds: must be"),
    "Session.bfd: receive": (neighbor(bfd={"receiveInterval": 9}), "receiveInterval: must be"),
    "Session.bfd: transmit": (
        neighbor(bfd={"transmitInterval": 60001}),
        "transmitInterval: must be",
    ),
    "Session.bfd: multiplier": (neighbor(bfd={"detectMultiplier": 1}), "detectMultiplier: must be"),
    "Session.bfd: ttl": (neighbor(bfd={"minimumTTL": 255}), "minimumTTL: must be"),
    "Session.bfd: mode": (neighbor(bfd={"sessionMode": "Idle"}), "sessionMode: must be"),
    "Session.bfd: echo": (neighbor(bfd={"echoMode": True}), "`echoMode` is not supported"),
}
