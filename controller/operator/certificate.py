"""The webhook's self-signed certificate, and when to renew it. Pure except for random keys.

The API server trusts the CAs in `caBundle` of the webhook configuration. Each certificate has its
own CA, whose key signs once and is discarded, so nobody can steal it. The bundle contains the CAs
of the present and the previous certificate, so a replica may serve either during a renewal.

Rejected: one CA for years, with its key in the Secret: anybody who reads the Secret could sign.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.kubernetes.objects import Object

LIFE = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
SKEW = timedelta(hours=1)  # that another clock may be behind ours
SECRET_TYPE = "kubernetes.io/tls"
MOST_CAS = 2  # in a bundle


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate, its key, and the CAs that the API server trusts. All PEM."""

    bundle: bytes
    certificate: bytes
    key: bytes


def make(names: Sequence[str], now: datetime, earlier: bytes = b"") -> Pair:
    """Create a pair for these DNS names; `earlier` is the bundle of the previous pair."""
    authority, authority_key = _authority(now)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(names[0][:64], authority.subject, key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Pair(
        bundle(_pem(authority), earlier, now),
        _pem(certificate),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def bundle(newest: bytes, earlier: bytes, now: datetime) -> bytes:
    """Return the CAs of both bundles that are still valid: the newest ones, each once."""
    found = dict.fromkeys((*_certificates(newest), *_certificates(earlier)))
    valid = [one for one in found if one.not_valid_after_utc > now]
    return b"".join(map(_pem, valid[:MOST_CAS]))


def due(pair: Pair | None, names: Sequence[str], now: datetime) -> str:
    """Return why a new certificate is needed now, or ""."""
    if pair is None:
        return "there is none"
    try:
        (certificate,) = x509.load_pem_x509_certificates(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        issuers = x509.load_pem_x509_certificates(pair.bundle)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return "what the Secret has cannot be read"
    if certificate.public_key() != key.public_key():
        return "its key is another one's"
    if not any(_signed(certificate, issuer) for issuer in issuers):
        return "the Secret lacks its CA"
    if set(found.value.get_values_for_type(x509.DNSName)) != set(names):
        return "it has other names"
    if certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it expires at {certificate.not_valid_after_utc:%Y-%m-%d}"
    return "it is not valid yet" if certificate.not_valid_before_utc > now else ""


def to_data(pair: Pair) -> dict[str, str]:
    """Return a pair as the data of a Secret."""
    parts = {"ca.crt": pair.bundle, "tls.crt": pair.certificate, "tls.key": pair.key}
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


def from_secret(secret: Object | None) -> Pair | None:
    """Return the pair in a Secret; None if it has no readable one."""
    data = (secret or {}).get("data") or {}
    try:
        bundle, certificate, key = (
            base64.b64decode(data[name], validate=True) for name in ("ca.crt", "tls.crt", "tls.key")
        )
    except (KeyError, TypeError, binascii.Error):
        return None
    return Pair(bundle, certificate, key) if certificate and key else None


def _authority(now: datetime) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
    key = ec.generate_private_key(ec.SECP256R1())
    # Each CA has a unique name: verifiers confuse two CAs with one name in a bundle.
    name = f"dualpath-operator {x509.random_serial_number():x}"[:64]
    authority = (
        _builder(name, None, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return authority, key


def _builder(
    name: str, issuer: x509.Name | None, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
    )


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem) if pem else []
    except ValueError:
        return []


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificate: x509.Certificate) -> bytes:
    found: bytes = certificate.public_bytes(serialization.Encoding.PEM)
    return found
