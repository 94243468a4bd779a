"""What a deployment needs before anything starts: CA, keys, passwords, and each region's own copy of them.

    <deployment>/ca/            ca.crt ca.key database.json (passwords by role)
    <deployment>/operator/      tls.crt tls.key signing.key signing.pub
    <deployment>/secrets/       token-signing.key checkpoint-signing.key, and the .pub of each
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

from cortex_runtime.formats.keyring import Keyring, KeyringError, new_keyring, parse
from cortexctl import durable
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import Refused
from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.certificates import Authority

ROLES = ("postgres", "replicator", "rewind", "cortex")
SIGNING_KEYS = ("token-signing", "checkpoint-signing")
SERVICES = ("server", "etcd", "patroni")


def prepare(deployment: Deployment, account: Account) -> None:
    """Make all that is missing of the deployment and of its regions. Raises Refused."""
    authority = _prepare_deployment(deployment)
    keyring = _keyring(deployment)
    for region in deployment.regions:
        prepare_region(deployment, region, account, authority, keyring)


def prepare_region(
    deployment: Deployment,
    region: Region,
    account: Account,
    authority: Authority | None = None,
    keyring: bytes | None = None,
) -> None:
    """Make all that is missing of one region, as after its directory was removed. Raises Refused."""
    authority = authority or _prepare_deployment(deployment)
    for part in ("", "certs", "secrets", "log", "run", "nodes", "snapshots", "objects"):
        account.make_directory(region.directory / part)
    _write_certificates(authority, region)
    _write_secrets(deployment, region, keyring or _keyring(deployment))


def passwords(deployment: Deployment) -> dict[str, str]:
    """Return the passwords of the database's roles."""
    found: dict[str, str] = json.loads((deployment.directory / "ca" / "database.json").read_bytes())
    return found


def _prepare_deployment(deployment: Deployment) -> Authority:
    ca, operator = deployment.directory / "ca", deployment.operator_directory
    shared = deployment.directory / "secrets"
    for directory in (ca, operator, shared):
        directory.mkdir(mode=0o700, exist_ok=True)
    authority = certificates.open_authority(ca, deployment.name)
    certificates.ensure(authority, operator, "tls", common_name="operator")
    _ensure_signing_key(operator, "signing")
    for name in SIGNING_KEYS:
        _ensure_signing_key(shared, name)
    if not (ca / "database.json").exists():
        found = {role: secrets.token_urlsafe(32) for role in ROLES}
        durable.write(ca / "database.json", json.dumps(found).encode())
    return authority


def _write_certificates(authority: Authority, region: Region) -> None:
    directory = region.directory / "certs"
    _copy(directory / "ca.crt", authority.pem)
    for name in (*SERVICES, *(node.name for node in region.nodes)):
        certificates.ensure(authority, directory, name)
    # HAProxy wants both in one file.
    both = (directory / "server.crt").read_bytes() + (directory / "server.key").read_bytes()
    _copy(directory / "server.pem", both)


def _write_secrets(deployment: Deployment, region: Region, keyring: bytes) -> None:
    directory = region.directory / "secrets"
    for name in (f"{key}.{half}" for key in SIGNING_KEYS for half in ("key", "pub")):
        _copy(directory / name, (deployment.directory / "secrets" / name).read_bytes())
    _copy(directory / "operator.pub", (deployment.operator_directory / "signing.pub").read_bytes())
    _copy(directory / "keyring.json", keyring)
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


def _keyring(deployment: Deployment) -> bytes:
    """Return the newest of the regions' keyrings; a new one only when there are no data yet."""
    found = list(_keyrings(deployment))
    if found:
        return max(found, key=lambda keyring: keyring.generation).to_bytes()
    for region in deployment.regions:
        if (region.directory / "postgres" / "PG_VERSION").exists():
            raise Refused(
                f"No region of deployment {deployment.name!r} has its keyring.",
                why=f"None of {deployment.directory}/regions/*/secrets/keyring.json is whole, but "
                f"{region.name} has data, and without the keyring nobody can read them.",
                todo="Restore one of these files from a backup.",
            )
    return new_keyring()


def _keyrings(deployment: Deployment) -> Iterator[Keyring]:
    for region in deployment.regions:
        try:
            yield parse((region.directory / "secrets" / "keyring.json").read_bytes())
        except (FileNotFoundError, KeyringError):
            continue  # gets a copy of another region's
