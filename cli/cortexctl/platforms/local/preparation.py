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

from cortex_runtime.formats import tokenkeys
from cortex_runtime.formats.keyring import Keyring, KeyringError, new_keyring
from cortexctl import durable
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused
from cortexctl.platforms.local import certificates, identities
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
    """Return the passwords of the database's roles."""
    found: dict[str, str] = json.loads((deployment.directory / "ca" / "database.json").read_bytes())
    return found


def _prepare_deployment(deployment: Deployment) -> Authorities:
    ca, operator = deployment.directory / "ca", deployment.operator_directory
    shared = deployment.directory / "secrets"
    for directory in (ca, operator, shared):
        directory.mkdir(mode=0o700, exist_ok=True)
    authorities = certificates.open_authorities(ca, deployment.name)
    certificates.ensure(authorities.deployment, operator, identities.OPERATOR)
    _ensure_token_keys(operator, "operator")
    _ensure_signing_key(operator, "statements")
    _ensure_token_keys(shared, "node")
    _ensure_signing_key(shared, CHECKPOINTS)
    if not (ca / "database.json").exists():
        found = {role: secrets.token_urlsafe(32) for role in identities.ROLES}
        durable.write(ca / "database.json", json.dumps(found).encode())
    return authorities


def _write_certificates(authorities: Authorities, region: Region) -> None:
    directory = region.directory / "certs"
    _copy(directory / "ca.crt", authorities.deployment.pem)
    _copy(directory / "arbiter-ca.crt", authorities.arbiter.pem)
    for identity in identities.of_region(region):
        certificates.ensure(authorities.of(identity), directory, identity)


def _write_secrets(deployment: Deployment, region: Region, keyring: bytes) -> None:
    directory = region.directory / "secrets"
    _copy(directory / "token-keys.json", _token_keys(deployment.directory / "secrets").to_bytes())
    _copy(directory / "operator-keys.json", _token_keys(deployment.operator_directory).public().to_bytes())
    for name in (f"{CHECKPOINTS}.key", f"{CHECKPOINTS}.pub"):
        _copy(directory / name, (deployment.directory / "secrets" / name).read_bytes())
    _copy(directory / "keyring.json", keyring)
    passphrases.link(deployment, region)
    known = passwords(deployment)
    for role in ("postgres", "cortex"):
        _copy(directory / f"{role}.pgpass", f"*:*:*:{role}:{known[role]}\n".encode())


def _copy(path: Path, content: bytes) -> None:
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    durable.write(path, content)


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
    _copy(public, pem)


def _ensure_token_keys(directory: Path, issuer: tokenkeys.Issuer) -> None:
    path = directory / "token-keys.json"
    if not path.exists():
        durable.write(path, tokenkeys.new_token_keys(issuer).to_bytes())


def _token_keys(directory: Path) -> tokenkeys.TokenKeys:
    path = directory / "token-keys.json"
    try:
        return tokenkeys.parse(path.read_bytes())
    except tokenkeys.TokenKeysError as error:
        raise Refused(f"{path} is damaged.", why=str(error), todo="Restore it from a backup.") from error


def _keyring(deployment: Deployment) -> bytes:
    """Return the newest of the regions' keyrings; a new one only when there are no data yet."""
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
