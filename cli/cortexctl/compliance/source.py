"""What checks read of a deployment: each thing is asked for once, and only when a check wants it.

Everything here may raise what asking raises: then the check has failed, for it saw nothing.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from cortex_runtime.client import Client, ClientError
from cortex_runtime.formats.audit import NO_TENANT
from cortex_runtime.formats.checkpoint import CheckpointError
from cortex_runtime.formats.checkpoint import read as read_checkpoint
from cortex_runtime.formats.keyring import seal_of
from cortex_runtime.formats.messages import AuditTree, DatabaseEvidence, HealthReport, Tenant
from cortex_runtime.formats.tokenkeys import parse as parse_token_keys
from cortexctl import access, audit, evidence, health, keys, lifecycle, policies, retention, tenants
from cortexctl.certificates import Certificate
from cortexctl.compliance import roles
from cortexctl.compliance.checks.access import Credential, UsedKey
from cortexctl.compliance.checks.audit import Anchors, Log
from cortexctl.compliance.checks.keys import Ages, KeyringFile, Sealing
from cortexctl.compliance.checks.retention import Kept as KeptFor
from cortexctl.compliance.checks.subjects import Departures, Served
from cortexctl.compliance.roles import Role
from cortexctl.deployment import Deployment
from cortexctl.errors import CortexctlError
from cortexctl.evidence import Kept
from cortexctl.health import Health
from cortexctl.platforms.base import Listener, Platform

FIRST_PATIENCE, PATIENCE = 3.0, 10.0
FIRST_EVENT = 5.0
POLL = 0.2
SETTLED = 180  # seconds after which an anchor must be there: it is made once a minute
SEEN_DAYS = 400  # how far back the last use of an API key is looked for


class Source:
    """A deployment that is asked. It is to be closed: a context manager."""

    def __init__(self, deployment: Deployment, platform: Platform) -> None:
        self.deployment, self.platform = deployment, platform
        self.now = datetime.now(UTC)
        self._open = ExitStack()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def client(self) -> Client:
        """An operator's client of the edge. One that does not answer is waited for once."""
        if isinstance(self._door, ClientError):
            raise self._door
        return self._door

    @cached_property
    def _door(self) -> Client | ClientError:
        client = self._open.enter_context(access.operator(self.deployment, deadline=PATIENCE))
        try:
            client.request("GET", "/v1/health", type=HealthReport, deadline=FIRST_PATIENCE)
        except ClientError as error:
            return error
        return client

    @cached_property
    def tenants(self) -> list[Tenant]:
        """All tenants, those that have left too."""
        return tenants.show_all(self.client)

    @cached_property
    def serving(self) -> list[Tenant]:
        """The tenants that have not left."""
        return [one for one in self.tenants if one.state in ("active", "suspended")]

    @cached_property
    def trees(self) -> list[AuditTree]:
        """The heads of all audit logs; that of no tenant has at least that we have asked, a moment later."""
        asked, until = self.tenants, time.monotonic() + FIRST_EVENT
        while True:
            found = audit.trees(self.client)
            if {NO_TENANT, *(one.tenant for one in asked)} <= {tree.tenant for tree in found}:
                return found
            if time.monotonic() > until:
                return found
            time.sleep(POLL)

    @cached_property
    def database(self) -> DatabaseEvidence:
        """What the primary database says of itself."""
        self.trees  # noqa: B018 - a new log gets its first place before it is looked at
        return self.client.request("GET", f"/v1/compliance?settled={SETTLED}", type=DatabaseEvidence)

    @cached_property
    def health(self) -> Health:
        """How the deployment is."""
        return health.inspect(self.deployment, self.platform)

    @cached_property
    def certificates(self) -> tuple[Certificate, ...]:
        """All certificates, with what each listener shows."""
        return self.platform.certificates()

    @cached_property
    def listeners(self) -> tuple[Listener, ...]:
        """All that listens."""
        return self.platform.listeners()

    @cached_property
    def roles(self) -> dict[str, dict[str, Role]]:
        """The roles that are in force, by region."""
        return {region.name: roles.read(region.directory / "rbac.yaml") for region in self.deployment.regions}

    @cached_property
    def ages(self) -> Ages:
        """The ages of all keys in use."""
        names = [one.tenant for one in self.serving]
        found = [
            *keys.wrapping_key_ages(self.deployment, names),
            *keys.data_key_ages(self.client, names),
            *keys.token_key_ages(self.deployment),
        ]
        return Ages(keys.policy_of(self.deployment), found)

    @cached_property
    def sealing(self) -> dict[str, Sealing]:
        """What seals the rows of each tenant."""
        return {
            name: Sealing(keys.rotation.versions(self.client, name), keys.ledger(self.client, name))
            for name in (one.tenant for one in self.serving)
        }

    @cached_property
    def opened(self) -> tuple[list[Any], list[str]]:
        """What each region opened of a sample of what each version seals, and what is wrong."""
        doors, found, wrong = access.region_doors(self.deployment), [], []
        for one in self.serving:
            verified, troubles = keys.verify(doors, one.tenant)
            found += verified
            wrong += troubles
        return found, wrong

    @cached_property
    def keyring_files(self) -> list[KeyringFile]:
        """Each region's keyring as it lies there; none where AWS KMS has the keys."""
        found: list[KeyringFile] = []
        if self.deployment.kms is not None:
            return found
        for region in self.deployment.regions:
            path = region.directory / "secrets" / "keyring.json"
            sealed = seal_of(path.read_bytes()) is not None
            found.append(KeyringFile(region.name, sealed, path.stat().st_mode & 0o7777))
        return found

    @cached_property
    def api_keys(self) -> list[UsedKey]:
        """All API keys, and when anything was last asked by a session of each."""
        since = (self.now - timedelta(days=SEEN_DAYS)).isoformat(timespec="milliseconds")
        found = []
        for tenant in (one.tenant for one in self.serving):
            for key in tenants.api_keys(self.client, tenant):
                wanted = audit.Filter(tenant=tenant, actor=f"key:{key.id}", since=since, limit=1)
                events = audit.trail(self.client, wanted)
                found.append(UsedKey(tenant, key, events[0].time if events else None))
        return found

    @cached_property
    def credentials(self) -> list[Credential]:
        """The files that give an operator's rights."""
        place = self.deployment.operator_directory
        return [
            self._credential(path, place)
            for path in sorted([place, *place.iterdir()])
            if path.suffix != ".pub"
        ]

    @cached_property
    def logs(self) -> list[Log]:
        """All audit logs, each verified by itself."""
        key = audit.public_key(self.deployment)
        years = timedelta(days=retention.days(retention.load().audit))
        known = {one.tenant for one in self.trees}
        wanted = {NO_TENANT, *(one.tenant for one in self.tenants)}
        missing = [Log(name, None, "there is no log of it") for name in sorted(wanted - known)]
        with TemporaryDirectory() as work:
            return [
                *(self._log(name, Path(work) / f"log-{name}", key, years) for name in sorted(known)),
                *missing,
            ]

    @cached_property
    def anchors(self) -> Anchors:
        """The newest anchor of each log in each region."""
        key, logs = audit.public_key(self.deployment), self.database.logs
        kept: dict[str, dict[str, int] | None] = {}
        for region, connect in access.region_doors(self.deployment).items():
            try:
                with connect() as client:
                    kept[region] = {log.tenant: _newest_anchor(client, log.tenant, key) for log in logs}
            except ClientError:
                kept[region] = None
        return Anchors(logs, kept)

    @cached_property
    def kept(self) -> KeptFor:
        """How long what is kept, and the oldest that is there."""
        oldest = self.database.oldest_audit
        return KeptFor(
            retention.load(), self.platform.kept_files(), self.database.retention.get("audit"),
            datetime.fromisoformat(oldest) if oldest else None,
        )  # fmt: skip

    @cached_property
    def served(self) -> Served:
        """What the service says that it serves, and who may ask for it."""
        document = self.client.request("GET", "/v1/openapi.json", type=dict[str, Any])
        paths = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
        return Served(frozenset(paths), self.roles)

    @cached_property
    def departures(self) -> Departures:
        """All tenants, and the receipts of those that have left."""
        return Departures(self.tenants, self.statements("offboarding"))

    @cached_property
    def roles_in_force(self) -> tuple[str, dict[str, str]]:
        """The digest of the approved roles, and of each region's."""
        wanted = _digest(policies.find("rbac.yaml"))
        return wanted, {
            region.name: _digest(region.directory / "rbac.yaml") for region in self.deployment.regions
        }

    @cached_property
    def drift(self) -> dict[str, dict[str, str]]:
        """What an `up` would change."""
        return lifecycle.preview(self.deployment.name, lifecycle.Wish())

    def statements(self, kind: str) -> list[Kept]:
        """Return the signed statements of a kind that are kept."""
        return evidence.kept(self.deployment, kind)

    def _credential(self, path: Path, place: Path) -> Credential:
        found, age = path.stat(), None
        if path.name == "token-keys.json":
            made = parse_token_keys(path.read_bytes()).signer().created_at
            age = (self.now.timestamp() - made) / 86_400
        name = "operator/" if path == place else f"operator/{path.name}"
        return Credential(name, found.st_mode & 0o7777, found.st_uid == place.stat().st_uid, age)

    def _log(self, tenant: str, place: Path, key: bytes, kept: timedelta) -> Log:
        try:
            audit.export(self.deployment, self.client, tenant, place)
            return Log(tenant, audit.verify(place, key, retention=kept))
        except CortexctlError as error:
            return Log(tenant, None, f"{error.what} {error.why}")


def _newest_anchor(client: Client, tenant: str, key: bytes) -> int:
    """Return the size of the newest checkpoint that a region's store keeps; 0 for one that nobody signed."""
    notes = client.request("GET", f"/v1/audit/anchors?tenant={tenant}", type=list[str])
    try:
        return read_checkpoint(notes[-1], key).size if notes else 0
    except CheckpointError:
        return 0


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
