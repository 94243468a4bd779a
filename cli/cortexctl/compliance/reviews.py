"""Reviews of who has access: what there was to see, and who has looked at it, as a signed statement."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cortex_runtime.formats import decoding
from cortex_runtime.formats.messages import ApiKey
from cortex_runtime.formats.statements import Subject
from cortexctl import evidence
from cortexctl.compliance.checks.access import Credential
from cortexctl.compliance.source import Source
from cortexctl.deployment import Deployment

KIND = "review"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who has access: API keys by tenant, permissions by role, files that give an operator's rights."""

    api_keys: dict[str, list[ApiKey]]
    roles: dict[str, list[str]]
    credentials: list[Credential]


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody has looked at it, at a time (ISO 8601)."""

    by: str
    at: str
    access: Access


def seen(source: Source) -> Access:
    """Return who has access now. Raises ClientError, Refused, OSError."""
    roles = next(iter(source.roles.values()))
    api_keys: dict[str, list[ApiKey]] = {one.tenant: [] for one in source.serving}
    for each in source.api_keys:
        api_keys[each.tenant].append(each.key)
    return Access(
        api_keys=api_keys,
        roles={name: sorted(role.permissions) for name, role in roles.items()},
        credentials=source.credentials,
    )


def record(deployment: Deployment, access: Access, by: str) -> tuple[Review, Path]:
    """Keep a signed statement that somebody has reviewed it. Raises Refused."""
    now = datetime.now(UTC)
    review = Review(by=by, at=now.isoformat(timespec="seconds"), access=access)
    subject = Subject(f"deployment/{deployment.id}", {})
    name = now.strftime("%Y%m%dT%H%M%S%fZ")
    return review, evidence.keep(deployment, name, KIND, subject, msgspec.to_builtins(review))


decoding.learn(globals())
