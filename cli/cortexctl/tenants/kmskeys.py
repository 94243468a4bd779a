"""A tenant's key-encryption key in AWS KMS, as tenants.keyrings has it in files.

Whoever calls needs credentials that boto3 finds, or the deployment's file of them. The caller holds the
deployment's lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.kms import session
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import kms
from cortexctl.tenants.keyrings import KeyringChange

TIMEOUT = 5.0
ATTEMPTS = 4
DAYS = kms.LEAST_DAYS
_TODO = {
    "AccessDeniedException": "Permit it (docs/keys.md has the list), and repeat it.",
    "ThrottlingException": "Repeat it after a while: what was begun is finished then.",
    "KMSInternalException": "Repeat it when KMS answers: what was begun is finished then.",
    "LimitExceededException": "Have AWS raise the limit, and repeat it: what was begun is finished then.",
}
_CREDENTIALS = "Give credentials that are good now, by AWS' own variables or files, and repeat it."


def check(deployment: Deployment) -> None:
    """See that KMS answers in every region, and lets us in. Raises Refused."""
    with _clients(deployment) as clients:
        for client in clients.values():
            client.list_aliases(Limit=1)


def add_tenant(deployment: Deployment, tenant: str) -> KeyringChange:
    """Make a first key of a tenant that has none, everywhere. Raises Refused."""
    with _clients(deployment) as clients:
        changed = kms.newest(clients, deployment.id, tenant) is None
        return KeyringChange(kms.ensure_key(clients, deployment.id, tenant), changed, tuple(clients))


def destroy_tenant(deployment: Deployment, tenant: str) -> KeyringChange:
    """Close all keys of a tenant everywhere, and have AWS destroy them. Raises Refused."""
    with _clients(deployment) as clients:
        closed = kms.close(clients, deployment.id, tenant, days=DAYS)
    gone_at = max((each.gone_at for each in closed), default=None)
    return KeyringChange(
        max((each.version for each in closed), default=0), bool(closed),
        tuple(sorted({each.region for each in closed})),
        gone_at.isoformat(timespec="seconds") if gone_at else None,
    )  # fmt: skip


def next_key(deployment: Deployment, tenant: str) -> KeyringChange:
    """Make a further key of a tenant, which wraps from now on. Raises Refused."""
    with _clients(deployment) as clients:
        return KeyringChange(kms.next_key(clients, deployment.id, tenant), True, tuple(clients))


def drop_keys(deployment: Deployment, tenant: str, kept: Collection[int]) -> KeyringChange:
    """Close a tenant's keys but for the newest and these, everywhere. Raises Refused."""
    newest = newest_version(deployment, tenant)
    with _clients(deployment) as clients:
        closed = kms.close(clients, deployment.id, tenant, days=DAYS, but={newest, *kept})
    return KeyringChange(newest, bool(closed), tuple(sorted({each.region for each in closed})))


def newest_version(deployment: Deployment, tenant: str) -> int:
    """Return the version of a tenant's key that wraps. Raises Refused."""
    with _clients(deployment) as clients:
        version = kms.newest(clients, deployment.id, tenant)
    if version is None:
        raise Refused(
            f"AWS KMS has no key of tenant {tenant!r}.",
            todo="Check the name; cortexctl tenant list shows the tenants.",
        )
    return version


def versions(deployment: Deployment, tenant: str) -> set[int]:
    """Return the versions of a tenant's key that AWS has not destroyed. Raises Refused."""
    with _clients(deployment) as clients:
        return set(kms.versions(next(iter(clients.values())), deployment.id, tenant))


def made_at(deployment: Deployment, tenant: str) -> str | None:
    """Return when a tenant's newest key was made, None when there is none. Raises Refused."""
    with _clients(deployment) as clients:
        found = kms.made_at(clients, deployment.id, tenant)
    return found.isoformat() if found else None


def planned(deployment: Deployment, tenant: str) -> KeyringChange:
    """Return what add_tenant would do. Raises Refused."""
    with _clients(deployment) as clients:
        version = kms.newest(clients, deployment.id, tenant)
        return KeyringChange(version or 1, version is None, () if version else tuple(clients))


@contextmanager
def _clients(deployment: Deployment) -> Iterator[dict[str, Any]]:
    """Give a client of KMS for each AWS region; what goes wrong in the block is told as Refused."""
    from botocore.config import Config  # noqa: PLC0415 - it takes its time to load
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    place = deployment.kms
    assert place is not None
    limits = Config(
        connect_timeout=TIMEOUT, read_timeout=TIMEOUT,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )  # fmt: skip
    try:
        account = session(place.credentials_file)
        yield {
            region: account.client("kms", region_name=region, endpoint_url=place.endpoint, config=limits)
            for region in dict.fromkeys(place.regions.values())
        }
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise Refused("AWS KMS refuses.", why=f"{error}.", todo=_TODO.get(code, _CREDENTIALS)) from error
    except BotoCoreError as error:
        todo = "Repeat it when KMS answers: what was begun is finished then."
        is_ours = "credential" in type(error).__name__.lower() or "Profile" in type(error).__name__
        raise Refused(
            "AWS KMS cannot be asked.", why=f"{error}.", todo=_CREDENTIALS if is_ours else todo
        ) from error
    except KeyringError as error:
        raise Refused(
            "A key in AWS KMS is not as it should be.", why=f"{error}.", todo="Look at it there, and repeat."
        ) from error
