"""The deployment's certificate authority and the certificates of everything that speaks TLS.

EC P-256, X.509 v3. The CA's key never leaves <deployment>/ca. What exists and is good for long enough stays;
what is missing, damaged, made for something else or due is made anew.

A certificate and its key are one file, NAME.pem: whoever reads it while it is replaced has the old pair or
the new one, never halves of both, and whatever is killed leaves one of the two behind.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cortexctl import durable
from cortexctl.errors import Refused

CA_LIFETIME = datetime.timedelta(days=3650)
LIFETIME = datetime.timedelta(days=90)
RENEW_BEFORE = datetime.timedelta(days=30)
SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """What NAME.pem is for: who it says it is, whether it may serve and ask, and who issues it."""

    name: str
    common_name: str
    serves: bool = True
    asks: bool = True
    issuer: Literal["deployment", "arbiter"] = "deployment"

    @property
    def file(self) -> str:
        """Return the name of its file."""
        return f"{self.name}.pem"

    @property
    def usages(self) -> x509.ExtendedKeyUsage:
        """Return what the certificate says it may be used for."""
        server = [ExtendedKeyUsageOID.SERVER_AUTH] if self.serves else []
        client = [ExtendedKeyUsageOID.CLIENT_AUTH] if self.asks else []
        return x509.ExtendedKeyUsage(server + client)


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The CA's certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Who issues a deployment's certificates: its CA, and one for the arbiter alone.

    etcd lets in whoever has a certificate of the CA that it trusts, so that it trusts one that nobody else
    has certificates of.
    """

    deployment: Authority
    arbiter: Authority

    def of(self, identity: Identity) -> Authority:
        """Return who issues a certificate."""
        return self.arbiter if identity.issuer == "arbiter" else self.deployment


def open_authorities(directory: Path, name: str) -> Authorities:
    """Read the CAs of a deployment in a directory, or make them. Raises Refused when one is damaged."""
    arbiter = directory / "arbiter"
    arbiter.mkdir(mode=0o700, exist_ok=True)
    return Authorities(open_authority(directory, name), open_authority(arbiter, f"{name}, arbiter"))


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


def ensure(authority: Authority, directory: Path, identity: Identity, *, anew: bool = False) -> bool:
    """See to it that a directory has a good NAME.pem. Returns whether it was written.

    One that is good stays, unless it is to be made anew.
    """
    path = directory / identity.file
    if not anew and is_good(authority, path, identity):
        return False
    private = ec.generate_private_key(ec.SECP256R1())
    durable.write(path, _pem(_leaf(authority, private, identity)) + _private_pem(private))
    return True


def is_good(authority: Authority, path: Path, identity: Identity) -> bool:
    """Return whether a file is a pair of this CA, for this purpose, and not due to be renewed."""
    try:
        content = path.read_bytes()
        found = x509.load_pem_x509_certificate(content)
        private = serialization.load_pem_private_key(content, None)
        found.verify_directly_issued_by(authority.certificate)
        fitting = _fits(found, identity)
    except Exception:
        return False
    return fitting and private.public_key() == found.public_key() and _fresh(found)


def _fits(found: x509.Certificate, identity: Identity) -> bool:
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    return found.subject == _name(identity.common_name) and usages == identity.usages


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


def _leaf(authority: Authority, private: ec.EllipticCurvePrivateKey, identity: Identity) -> x509.Certificate:
    issuer = authority.certificate
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        _builder(_name(identity.common_name), issuer.subject, private.public_key(), LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(identity.usages, critical=False)
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
