"""Key-encryption keys in AWS KMS: they never leave it. All calls block: call them from a thread."""

from __future__ import annotations

from typing import Any

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.kms import alias, context, version_in
from cortex_runtime.security.envelope import CannotOpen

TIMEOUT = 3.0
ATTEMPTS = 3
CONNECTIONS = 16
_NOT_WRAPPED = ("InvalidCiphertextException", "IncorrectKeyException")


class Kms:
    """A provider of key-encryption keys (see security.providers)."""

    is_quick = False

    def __init__(self, deployment: str, region: str, endpoint: str | None = None, client: Any = None) -> None:
        self._deployment = deployment
        self._client = client or _client(region, endpoint)

    def newest(self, tenant: str) -> int:
        """Return the newest version of a tenant's key. Raises KeyringError."""
        return self._newest(tenant)[0]

    def wrap(self, tenant: str, kind: str, version: int, key: bytes) -> tuple[int, bytes]:
        """Return the newest version of a tenant's key, and a key wrapped by it. Raises KeyringError."""
        kek_version, key_id = self._newest(tenant)
        bound = context(self._deployment, tenant, kind, version, kek_version)
        done = self._call(tenant, "encrypt", KeyId=key_id, Plaintext=key, EncryptionContext=bound)
        return kek_version, bytes(done["CiphertextBlob"])

    def unwrap(self, tenant: str, kind: str, version: int, kek_version: int, wrapped: bytes) -> bytes:
        """Return a wrapped key. Raises KeyringError, or CannotOpen when it is not what was wrapped."""
        if not wrapped:
            raise CannotOpen
        # The key is named: a blob that somebody else's key has encrypted does not decrypt here.
        done = self._call(
            tenant, "decrypt", KeyId=alias(self._deployment, tenant, kek_version), CiphertextBlob=wrapped,
            EncryptionContext=context(self._deployment, tenant, kind, version, kek_version),
        )  # fmt: skip
        return bytes(done["Plaintext"])

    def renew(self) -> None:
        """Do nothing: KMS has its keys itself."""

    def _newest(self, tenant: str) -> tuple[int, str]:
        found = self._call(tenant, "describe_key", KeyId=alias(self._deployment, tenant))
        key_id = found["KeyMetadata"]["KeyId"]
        listed = self._call(tenant, "list_aliases", KeyId=key_id)
        names = [each["AliasName"] for each in listed["Aliases"]]
        version = version_in(names, self._deployment, tenant)
        if version is None:
            raise KeyringError(f"the KMS key of tenant {tenant} has no alias with its version")
        return version, key_id

    def _call(self, tenant: str, what: str, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see security.providers

        try:
            done: dict[str, Any] = getattr(self._client, what)(**parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NOT_WRAPPED:
                raise CannotOpen from None
            raise KeyringError(f"KMS refuses {what} of tenant {tenant}: {error}") from error
        except BotoCoreError as error:
            raise KeyringError(f"KMS does not answer {what} of tenant {tenant}: {error}") from error
        return done


def _client(region: str, endpoint: str | None) -> Any:
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    limits = Config(
        connect_timeout=TIMEOUT, read_timeout=TIMEOUT, max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )  # fmt: skip
    return boto3.client("kms", region_name=region, endpoint_url=endpoint, config=limits)
