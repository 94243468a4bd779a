"""What a deployment needs before anything starts: CA, keys, passwords, and each region's own copy of them.

    <deployment>/ca/            ca.crt ca.key arbiter/{ca.crt,ca.key} database.json (passwords by role)
    <deployment>/operator/      tls.pem token-keys.json statements.key statements.pub
    <deployment>/secrets/       token-keys.json checkpoint-signing.key checkpoint-signing.pub
    <region>/certs/  secrets/   what the region needs of it; made again whenever it is missing

May be repeated, and killed, at any moment: what is there and whole stays as it is.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cortex_runtime.formats.keyring import Keyring, KeyringError, new_keyring
from cortexctl import durable, tokenfiles
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused
from cortexctl.platforms.local import certificates, identities, patroni
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.certificates import Authorities
from cortexctl.tenants import keyrings, passphrases

CHECKPOINTS = "checkpoint-signing"


def prepare(deployment: Deployment, account: Account) -> None:
    """Make all that is missing of the deployment and of its regions. Raises Refused."""
    authorities = _prepare_deployment(deployment)
    keyring = _keyring(deployment)
    for region in deployment.regions:
        prepare_region(deployment, region, account, authorities, keyring)


def prepare_region(
    deployment: Deployment,
    region: Region,
    account: Account,
    authorities: Authorities | None = None,
    keyring: bytes | None = None,
) -> None:
    """Make all that is missing of one region, as after its directory was removed. Raises Refused."""
    authorities = authorities or _prepare_deployment(deployment)
    for part in ("", "certs", "secrets", "log", "run", "nodes", "snapshots", "objects"):
        account.make_directory(region.directory / part)
    _write_certificates(authorities, region)
    _write_secrets(deployment, region, keyring or _keyring(deployment))


def passwords(deployment: Deployment) -> dict[str, str]:
    """Return the passwords of the database's roles, and of who may order Patroni about."""
    found: dict[str, str] = json.loads((deployment.directory / "ca" / "database.json").read_bytes())
    return found


def _prepare_deployment(deployment: Deployment) -> Authorities:
    ca, operator = deployment.directory / "ca", deployment.operator_directory
    shared = deployment.directory / "secrets"
    for directory in (ca, operator, shared):
        directory.mkdir(mode=0o700, exist_ok=True)
    authorities = certificates.open_authorities(ca, deployment.name)
    certificates.ensure(authorities.deployment, operator, identities.OPERATOR)
    for issuer in tokenfiles.ISSUERS:
        tokenfiles.ensure(deployment, issuer)
    _ensure_signing_key(operator, "statements")
    _ensure_signing_key(shared, CHECKPOINTS)
    _ensure_passwords(deployment)
    return authorities


def _ensure_passwords(deployment: Deployment) -> None:
    try:
        known = passwords(deployment)
    except FileNotFoundError:
        known = {}
    found = {who: secrets.token_urlsafe(32) for who in (*identities.ROLES, patroni.OPERATOR)} | known
    durable.update(deployment.directory / "ca" / "database.json", json.dumps(found).encode())


def _write_certificates(authorities: Authorities, region: Region) -> None:
    directory = region.directory / "certs"
    durable.update(directory / "ca.crt", authorities.deployment.pem)
    durable.update(directory / "arbiter-ca.crt", authorities.arbiter.pem)
    for identity in identities.of_region(region):
        certificates.ensure(authorities.of(identity), directory, identity)


def _write_secrets(deployment: Deployment, region: Region, keyring: bytes | None) -> None:
    directory = region.directory / "secrets"
    for issuer in tokenfiles.ISSUERS:
        tokenfiles.copy(region, tokenfiles.read(deployment, issuer))
    for name in (f"{CHECKPOINTS}.key", f"{CHECKPOINTS}.pub"):
        durable.update(directory / name, (deployment.directory / "secrets" / name).read_bytes())
    if keyring is not None:
        durable.update(directory / "keyring.json", keyring)
    passphrases.link(deployment, region)
    known = passwords(deployment)
    for role in ("postgres", "cortex"):
        durable.update(directory / f"{role}.pgpass", f"*:*:*:{role}:{known[role]}\n".encode())


def _ensure_signing_key(directory: Path, name: str) -> None:
    """See to it that there are NAME.key and NAME.pub, an Ed25519 key in PEM. Raises Refused."""
    key, public = directory / f"{name}.key", directory / f"{name}.pub"
    if not key.exists():
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        durable.write(key, pem)
    try:
        found = serialization.load_pem_private_key(key.read_bytes(), None).public_key()
    except ValueError as error:
        raise Refused(f"{key} is damaged.", why=str(error), todo="Restore it from a backup.") from error
    pem = found.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    durable.update(public, pem)


def _keyring(deployment: Deployment) -> bytes | None:
    """Return the newest of the regions' keyrings; a new one only when there are no data yet.

    None when AWS KMS has the keys.
    """
    if deployment.kms is not None:
        return None
    found = list(_keyrings(deployment))
    if found:
        newest, passphrase = max(found, key=lambda one: one.generation), passphrases.current(deployment)
        return (newest if passphrase is None else newest.sealed(passphrase)).to_bytes()
    for region in deployment.regions:
        if (region.directory / "postgres" / "PG_VERSION").exists():
            raise Refused(
                f"No region of deployment {deployment.name!r} has its keyring.",
                why=f"None of {deployment.directory}/regions/*/secrets/keyring.json is whole, but "
                f"{region.name} has data, and without the keyring nobody can read them.",
                todo="Restore one of these files from a backup.",
            )
    return new_keyring(passphrases.current(deployment))


def _keyrings(deployment: Deployment) -> Iterator[Keyring]:
    for region in deployment.regions:
        try:
            content = (region.directory / "secrets" / "keyring.json").read_bytes()
            yield keyrings.open_(deployment, region.name, content)
        except (FileNotFoundError, KeyringError):
            continue  # gets a copy of another region's
