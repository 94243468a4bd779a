"""The deployment's certificate authority and the certificates of everything that speaks TLS.

EC P-256, X.509 v3. The CA's key never leaves <deployment>/ca. What exists and is good for long enough stays;
what is missing, damaged or about to expire is made anew.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cortexctl import durable
from cortexctl.errors import Refused

CA_LIFETIME = datetime.timedelta(days=3650)
LIFETIME = datetime.timedelta(days=825)
RENEW_BEFORE = datetime.timedelta(days=30)
SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The CA's certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def open_authority(directory: Path, name: str) -> Authority:
    """Read the CA in a directory (ca.crt, ca.key), or make it. Raises Refused when it is damaged.

    The key is written first: a CA without a certificate has signed nothing yet.
    """
    certificate, key = directory / "ca.crt", directory / "ca.key"
    if not certificate.exists():
        return _make_authority(certificate, key, name)
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        whole = private.public_key() == found.public_key()
    except (OSError, ValueError) as error:
        raise Refused(
            f"The deployment's CA in {directory} cannot be used.",
            why=str(error),
            todo=f"Restore {certificate} and {key} from a backup.",
        ) from error
    if not (whole and isinstance(private, ec.EllipticCurvePrivateKey)):
        raise Refused(
            f"The deployment's CA in {directory} cannot be used.",
            why="The key is not the certificate's.",
            todo=f"Restore {certificate} and {key} from a backup.",
        )
    return Authority(found, private)


def ensure(authority: Authority, directory: Path, name: str, *, common_name: str | None = None) -> bool:
    """See to it that a directory has a good NAME.crt and NAME.key. Returns whether they were written.

    The certificate is for localhost and 127.0.0.1, for servers and clients alike; its CN is `common_name`,
    else `name`.
    """
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    if _good(authority, certificate, key):
        return False
    private = ec.generate_private_key(ec.SECP256R1())
    durable.write(key, _private_pem(private))
    durable.write(certificate, _pem(_leaf(authority, private, common_name or name)))
    return True


def _good(authority: Authority, certificate: Path, key: Path) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        found.verify_directly_issued_by(authority.certificate)
    except Exception:
        return False
    return private.public_key() == found.public_key() and _fresh(found)


def _fresh(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - RENEW_BEFORE > _now()


def _make_authority(certificate: Path, key: Path, name: str) -> Authority:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"CortexKG deployment {name}")
    found = (
        _builder(subject, subject, private.public_key(), CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(private, hashes.SHA256())
    )
    durable.write(key, _private_pem(private))
    durable.write(certificate, _pem(found), mode=0o644)
    return Authority(found, private)


def _leaf(authority: Authority, private: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        _builder(_name(name), issuer.subject, private.public_key(), LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - SKEW)
        .not_valid_after(_now() + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
