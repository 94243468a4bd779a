"""A node's configuration file (JSON): read once, checked, immutable."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from cortex_runtime import objectstore
from cortex_runtime.formats import decoding
from cortex_runtime.security import providers


class ConfigError(ValueError):
    """The configuration cannot be used; says which field and why."""


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class TlsConfig(_Section, frozen=True, kw_only=True):
    """Paths of the CA's certificate and of a certificate and its key (PKCS 8), which may be one file."""

    ca: Path
    certificate: Path
    key: Path


class DatabaseHost(_Section, frozen=True, kw_only=True):
    """One region's database instance."""

    region: str
    host: str
    port: int


class DatabaseConfig(_Section, frozen=True, kw_only=True):
    """How to reach the database: the instances of all regions, and what proves who asks.

    `passfile` is in libpq's format and holds the role's password (SCRAM); `tls`, where the server speaks
    it, a client certificate.
    """

    name: str
    user: str
    hosts: list[DatabaseHost]
    passfile: Path | None = None
    tls: TlsConfig | None = None


class TokenConfig(_Section, frozen=True, kw_only=True):
    """Files of token keys (see formats.tokenkeys): the nodes' own, and the operators' public halves."""

    node: Path
    operator: Path


class NodeConfig(_Section, frozen=True, kw_only=True):
    """Everything a node is told.

    `host` is what others call it by. It listens there too, unless `listen` has another IP address.
    """

    deployment: str
    name: str
    region: str
    host: str
    port: int
    listen: str | None = None
    tls: TlsConfig
    database: DatabaseConfig
    tokens: TokenConfig
    rbac: Path
    keys: str  # URL of what wraps the tenants' keys (see security.providers)
    checkpoint_key: Path  # PEM: signs the heads of the tenants' audit logs
    log: Path
    snapshots: Path  # directory of this node's own
    objects: str | None = None  # URL of its region's object store (see objectstore)
    scraper: Path | None = None  # file with the secret that whoever collects metrics shows

    @property
    def address(self) -> str:
        """Return the base URL that other nodes use."""
        return f"https://{self.host}:{self.port}"

    @property
    def spool(self) -> Path:
        """Return the directory for audit events that the database does not have yet, beside the snapshots."""
        return self.snapshots.with_name(f"{self.snapshots.name}.audit")


def read(path: Path) -> NodeConfig:
    """Read a configuration. Raises ConfigError."""
    try:
        config = msgspec.json.decode(path.read_bytes(), type=NodeConfig, dec_hook=_decode)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        providers.check(config.keys)
        if config.objects is not None:
            objectstore.check(config.objects)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    if config.region not in {host.region for host in config.database.hosts}:
        raise ConfigError(f"{path}: no database host is in the node's region {config.region}")
    return config


def _decode(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError


decoding.learn(globals())
