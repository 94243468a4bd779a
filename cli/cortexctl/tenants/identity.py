"""Where a tenant's people log in by OpenID Connect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import IdentityProvider
from cortexctl.errors import Refused, UsageError


def described(
    issuer: str, client_id: str, role_claim: str, roles: Sequence[str], ca: Path | None
) -> IdentityProvider:
    """Return a provider of the words of a call; `roles` are VALUE=ROLE. Raises UsageError or Refused."""
    pairs = [role.rpartition("=") for role in roles]
    if not all(value and separator and name for value, separator, name in pairs):
        raise UsageError(
            "A --role is not of the form VALUE=ROLE.", todo="Give for instance --role admins=admin."
        )
    try:
        pem = ca.read_text() if ca else ""
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{ca} cannot be read.", why=str(error), todo="Check the path.") from error
    fields = {
        "issuer": issuer, "client_id": client_id, "role_claim": role_claim, "ca": pem,
        "roles": {value: name for value, _, name in pairs},
    }  # fmt: skip
    try:
        return msgspec.convert(fields, IdentityProvider)
    except msgspec.ValidationError as error:
        raise UsageError("There is no such identity provider.", why=str(error), todo="Mend it.") from error


def set_identity_provider(client: Client, tenant: str, provider: IdentityProvider) -> IdentityProvider:
    """Say where a tenant's people log in. Raises ClientError."""
    path = f"/v1/tenants/{tenant}/identity-provider"
    return client.request("PUT", path, provider, type=IdentityProvider)


def remove_identity_provider(client: Client, tenant: str) -> None:
    """Let nobody of a tenant log in by OpenID Connect any more. Raises ClientError."""
    client.request("DELETE", f"/v1/tenants/{tenant}/identity-provider", type=dict)
