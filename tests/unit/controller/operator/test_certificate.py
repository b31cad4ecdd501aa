"""The webhook's certificate: whom it convinces, and when another is due."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from controller.kubernetes.cluster import load_pair
from controller.operator import certificate
from controller.operator.certificate import LIFE, RENEW_BEFORE, Pair

NAMES = ["dualpath-operator.dualpath-system.svc"]
NOW = datetime.now(UTC).replace(microsecond=0)
PAIR = certificate.make(NAMES, NOW)


def handshake(pair: Pair, bundle: bytes, name: str) -> None:
    """Connect in memory. Raises ssl.SSLError if the client does not trust the server."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(server_context, pair.certificate, pair.key)
    client_context = ssl.create_default_context(cadata=bundle.decode())
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context.wrap_bio(up, down, server_side=True)
    client = client_context.wrap_bio(down, up, server_hostname=name)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_the_api_server_trusts_the_certificate_by_its_bundle_and_name() -> None:
    handshake(PAIR, PAIR.bundle, NAMES[0])


def test_nobody_trusts_it_by_another_name_or_bundle() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(PAIR, PAIR.bundle, "other.svc")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(PAIR, certificate.make(NAMES, NOW).bundle, NAMES[0])


def test_both_certificates_are_trusted_during_a_rotation() -> None:
    newer = certificate.make(NAMES, NOW, PAIR.bundle)
    handshake(PAIR, newer.bundle, NAMES[0])
    handshake(newer, newer.bundle, NAMES[0])


def test_a_bundle_keeps_no_ca_for_ever() -> None:
    pair = PAIR
    for _ in range(4):
        pair = certificate.make(NAMES, NOW, pair.bundle)
    assert len(x509.load_pem_x509_certificates(pair.bundle)) == 2
    later = NOW + LIFE + timedelta(days=1)
    alone = certificate.make(NAMES, later, pair.bundle)
    assert len(x509.load_pem_x509_certificates(alone.bundle)) == 1


def test_a_certificate_is_due_a_month_before_it_expires() -> None:
    assert certificate.due(PAIR, NAMES, NOW) == ""
    assert certificate.due(PAIR, NAMES, NOW + LIFE - RENEW_BEFORE) == ""
    late = NOW + LIFE - RENEW_BEFORE + timedelta(minutes=1)
    assert "expires" in certificate.due(PAIR, NAMES, late)


def test_a_certificate_is_due_when_the_clock_was_wrong_at_its_making() -> None:
    assert certificate.due(PAIR, NAMES, NOW - timedelta(days=2)) == "it is not valid yet"


OTHER = certificate.make(NAMES, NOW)


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        (None, "there is none"),
        (replace(PAIR, certificate=b"x"), "cannot be read"),
        (replace(PAIR, key=b"x"), "cannot be read"),
        (replace(PAIR, bundle=b"x"), "cannot be read"),
        (replace(PAIR, certificate=PAIR.bundle), "cannot be read"),
        (replace(PAIR, key=OTHER.key), "its key is another one's"),
        (replace(PAIR, bundle=OTHER.bundle), "lacks its CA"),
    ],
)
def test_what_cannot_serve_is_replaced(pair: Pair | None, why: str) -> None:
    assert why in certificate.due(pair, NAMES, NOW)


def test_another_service_name_needs_another_certificate() -> None:
    assert certificate.due(PAIR, ["other.ns.svc"], NOW) == "it has other names"


def test_a_secret_gives_back_the_pair_that_it_was_made_of() -> None:
    assert certificate.from_secret({"data": certificate.to_data(PAIR)}) == PAIR


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"tls.crt": "eA=="},
        {"ca.crt": "eA==", "tls.crt": "%", "tls.key": "eA=="},
        {"ca.crt": 5, "tls.crt": "eA==", "tls.key": "eA=="},
        {"ca.crt": "eA==", "tls.crt": "", "tls.key": ""},
    ],
)
def test_a_secret_with_something_else_has_no_pair(data: Any) -> None:  # noqa: ANN401
    assert certificate.from_secret({"data": data}) is None
    assert certificate.from_secret(None) is None
