"""Secrets in FRR's commands are redacted, however the commands are quoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dualpath.model.frr import FrrSettings, RawSnippet, masked
from dualpath.model.redact import redact, redact_prose, secret_head

SECRET = "s3cr#t 'and' \"so\" `on`"

COMMANDS = (
    "password {}",
    "password 8 {}",
    "enable password {}",
    "enable password 8 {}",
    "enable secret 5 {}",
    "enable passwort {}",
    "username admin password {}",
    "username admin secret 5 {}",
    "neighbor 192.0.2.1 password {}",
    "neighbor 2001:db8::1 password {}",
    "neighbor LEAVES password {}",
    "msdp peer 192.0.2.1 password {}",
    "ip ospf authentication-key {}",
    "ospf authentication-key {}",
    "ip ospf message-digest-key 1 md5 {}",
    "ospf message-digest-key 255 md5 {}",
    "area 0.0.0.1 virtual-link 192.0.2.1 authentication-key {}",
    "area 1 virtual-link 192.0.2.1 authentication message-digest message-digest-key 1 md5 {}",
    "ipv6 ospf6 authentication key-id 1 hash-algo hmac-sha-256 key {}",
    "isis password md5 {}",
    "isis password clear {}",
    "area-password clear {}",
    "domain-password md5 {}",
    "fabricd password md5 {}",
    "ip rip authentication string {}",
    "key-string {}",
    "ip nhrp authentication {}",
    "ipv6 nhrp authentication {}",
    "snmp-server community {}",
    "snmp-server community {} RO",
    "snmp-server host 192.0.2.1 {}",
    "smux peer 1.3.6.1.4.1.3317.1.2.1 {}",
    "tacacs-server key {}",
    "tacacs-server host 192.0.2.1 key 7 {}",
    "tacacs server host 192.0.2.1 key {}",
    "radius-server host 192.0.2.1 auth-port 1812 key {}",
    "tunnel protection pre-shared-key {}",
    "tcp-md5-auth {}",
    "openfabric password clear {}",
    "nei 192.0.2.1 passw {}",  # abbreviated, which FRR accepts
    "ena passw {}",
    "user admin passw {}",
    "ip ospf authentication-k {}",
    "ip ospf mess 1 md {}",
    "ip rip auth str {}",
    "ip nhrp auth {}",
    "ipv6 ospf6 auth key-id 1 hash hmac-sha-256 k {}",
    "key-s {}",
    "neighbor 192.0.2.1 password\t{}",
    "neighbor 192.0.2.1 password ***{}",
)

QUOTED: tuple[Callable[[str], str], ...] = (
    lambda command: command,
    lambda command: f"  {command}",
    lambda command: f"no {command}",
    lambda command: f" no {command}",
    lambda command: f"- {command}",
    lambda command: f"+ {command}",
    lambda command: f"context\n-{command}\n+{command}",
    lambda command: f"-  no {command}",
    lambda command: f"interface eth0\n {command}\nexit",
    lambda command: f"interface eth0\r\n {command}\r\nexit",
    lambda command: repr(["interface eth0\n " + command, "exit"]),
    lambda command: repr(["line\n" + command]),
    lambda command: f"% Unknown command: {command}",
    lambda command: f"FRR refused `{command}` (no reason given)",
)
BURIED: tuple[Callable[[str], str], ...] = (
    lambda command: f"line 12: Failure to communicate[13] to zebra, line: {command}",
    lambda command: f"Failed to execute interface eth0 no {command}",
    lambda command: f'"configure -- {command}" we failed to remove this command',
    lambda command: command.upper(),
)


def hidden(text: str) -> bool:
    return not any(part in text.lower() for part in ("s3cr", "and'", 'so"', "`on"))


@pytest.mark.parametrize("command", COMMANDS)
def test_secret_in_a_command_is_redacted(command: str) -> None:
    shown = [redact(form(command.format(SECRET))) for form in (*QUOTED, *BURIED)]
    assert [text for text in shown if not hidden(text) or "***" not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_secret_in_a_command_quoted_in_prose_is_redacted(command: str) -> None:
    shown = [redact_prose(form(command.format(SECRET))) for form in QUOTED]
    assert [text for text in shown if not hidden(text) or "***" not in text] == []


@pytest.mark.parametrize(
    "text",
    [
        "service password-encryption",
        "ip community-list standard TAG permit 65000:1",
        "set community 65000:1 additive",
        "ip ospf authentication message-digest",
        "ip rip authentication key-chain KEYS",
        "ipv6 ospf6 authentication keychain KEYS",
        "key chain KEYS\n key 1",
        "neighbor 192.0.2.1 remote-as 65001",
    ],
)
def test_text_without_a_secret_is_unchanged(text: str) -> None:
    assert redact(text) == redact_prose(text) == text
    assert not secret_head(text)


@pytest.mark.parametrize(
    "text",
    [
        "a.yaml:3: Underlay red: spec.neighbors[0].password: a password has 1 to 128 characters",
        "Secret red-pw: there is no such file in /etc/dualpath/secrets",
        "give either password or passwordSecret",
    ],
)
def test_prose_about_passwords_is_unchanged(text: str) -> None:
    assert redact_prose(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "s3cr#t"}',
        '{"password":"s3cr#t"}',
        "{'authPassword': 's3cr#t', 'a': 1}",
        "Neighbor(address='192.0.2.1', password='s3cr#t')",
    ],
)
def test_password_in_a_mapping_is_redacted(text: str) -> None:
    assert hidden(redact(text))
    assert hidden(redact_prose(text))


@pytest.mark.parametrize("command", COMMANDS)
def test_redacted_text_is_unchanged(command: str) -> None:
    text = f"FRR refused `{redact(command.format('x'))}` (no reason given)"
    assert redact_prose(text) == redact(text) == text


def test_lines_of_other_commands_are_unchanged() -> None:
    text = "router bgp 1\n neighbor a password x\n neighbor a bfd\nexit"
    assert redact(text) == "router bgp 1\n neighbor a password ***\n neighbor a bfd\nexit"


@pytest.mark.parametrize("command", COMMANDS)
def test_head_of_a_command_ends_before_its_secret(command: str) -> None:
    head = secret_head(f" {command.format(SECRET)}")
    assert head
    assert hidden(head)


@pytest.mark.parametrize("command", COMMANDS)
def test_displayed_snippet_has_no_secret(command: str) -> None:
    settings = FrrSettings(raw=(RawSnippet("mine", f"interface eth0\n {command.format(SECRET)}"),))
    assert hidden(masked(settings).raw[0].text)
    assert hidden(repr(settings))
