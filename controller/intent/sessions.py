"""The fields of BGP sessions, to the fabric or to a host. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from controller.intent.addresses import Prefix
from controller.intent.fields import number
from controller.intent.rules import Complaint, Strict, refusal, rule

PASSWORD_MAX = 80  # bytes: TCP_MD5SIG_MAXKEYLEN in linux/tcp.h, PEER_PASSWORD_MAXLEN in bgpd.h


def _password(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret or not secret.isprintable() or " " in secret:
        raise refusal("a password has at least one character, each printable, and no white space")
    if len(secret.encode()) > PASSWORD_MAX:
        raise refusal(
            f"a password has at most {PASSWORD_MAX} bytes: neither Linux nor FRR takes a longer "
            "key for TCP MD5"
        )
    return value


Password = Annotated[SecretStr, AfterValidator(_password)]


class Bfd(Strict):
    """BFD of one BGP session; the default is FRR's: 3 times 300 ms."""

    refused: ClassVar[Mapping[str, str]] = {
        "echoMode": "is not supported: the twin of an interface cannot answer echoes in time",
        "echoInterval": "is not supported: the twin of an interface cannot answer echoes in time",
    }

    receive_interval: Annotated[int, number(10, 60000)] | None = None
    transmit_interval: Annotated[int, number(10, 60000)] | None = None
    detect_multiplier: Annotated[int, number(2, 255)] | None = None
    session_mode: Literal["Active", "Passive"] = "Active"
    minimum_ttl: Annotated[int, number(1, 254)] | None = Field(default=None, alias="minimumTTL")


class GracefulRestart(Strict):
    """Graceful restart, RFC 4724; it is on if the part exists."""

    restart_time_seconds: Annotated[int, number(1, 4095)] = 120
    stale_path_time_seconds: Annotated[int, number(1, 4095)] = 360


class PrefixRule(Strict):
    """One line of a filter: a prefix, and how much longer than it a route may be."""

    action: Literal["Permit", "Deny"] = "Permit"
    prefix: Prefix
    ge: Annotated[int, number(0, 128)] | None = None
    le: Annotated[int, number(0, 128)] | None = None

    @rule
    def _lengths_agree(self) -> Iterator[Complaint]:
        low, high = self.prefix.prefixlen, self.prefix.max_prefixlen
        for name, value in (("ge", self.ge), ("le", self.le)):
            if value is not None and not low <= value <= high:
                text = f"ge and le of {self.prefix} lie between {low} and {high}"
                yield Complaint((name,), text)
        if self.ge is not None and self.le is not None and self.ge > self.le:
            yield Complaint(("ge",), f"ge {self.ge} exceeds le {self.le}")


PrefixRules = Annotated[tuple[PrefixRule, ...], Field(max_length=1000)]


class SessionOptions(Strict):
    """The fields of every BGP session, to the fabric or to a host.

    A filter is evaluated from its first rule and ends with a deny; it applies to unicast routes of
    both families. `passwordFile` and `passwordSecret` are already replaced by `password`.
    """

    password: Password | None = None
    hold_time_seconds: Annotated[int, number(0, 65535)] | None = None
    keepalive_time_seconds: Annotated[int, number(0, 65535)] | None = None
    connect_time_seconds: Annotated[int, number(1, 65535)] | None = None
    bfd: Bfd | None = None
    import_filter: PrefixRules | None = None
    export_filter: PrefixRules | None = None

    @rule
    def _timers_agree(self) -> Iterator[Complaint]:
        hold, keepalive = self.hold_time_seconds, self.keepalive_time_seconds
        if (hold is None) is not (keepalive is None):
            given = "keepaliveTimeSeconds" if hold is None else "holdTimeSeconds"
            text = "holdTimeSeconds and keepaliveTimeSeconds must be given together"
            yield Complaint((given,), text)
        if hold in (1, 2):
            text = f"holdTimeSeconds must be 0 or at least 3, not {hold}"
            yield Complaint(("holdTimeSeconds",), text)
        if hold is not None and keepalive is not None and keepalive > hold:
            text = f"keepaliveTimeSeconds {keepalive} exceeds holdTimeSeconds {hold}"
            yield Complaint(("keepaliveTimeSeconds",), text)
