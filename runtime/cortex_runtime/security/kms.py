"""Key-encryption keys in AWS KMS: they never leave it. All calls block: call them from a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from cortex_runtime.formats.keyring import KeyringError
from cortex_runtime.formats.kms import alias, context, session, version_in
from cortex_runtime.security.envelope import CannotOpen

TIMEOUT = 3.0
ATTEMPTS = 3
CONNECTIONS = 16
_NOT_WRAPPED = ("InvalidCiphertextException", "IncorrectKeyException")
_NOT_LET_IN = (
    "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId",
    "InvalidSignatureException", "AccessDeniedException",
)  # fmt: skip


class Kms:
    """A provider of key-encryption keys (see security.providers)."""

    is_quick = False

    def __init__(self, deployment: str, make_client: Callable[[], Any]) -> None:
        self._deployment, self._make_client = deployment, make_client
        self._client: Any = None
        self._making = threading.Lock()

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
        from botocore.exceptions import (  # noqa: PLC0415 - see security.providers
            BotoCoreError,
            ClientError,
            NoCredentialsError,
        )

        try:
            with self._making:
                client = self._client = self._client or self._make_client()
            done: dict[str, Any] = getattr(client, what)(**parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NOT_WRAPPED:
                raise CannotOpen from None
            if code in _NOT_LET_IN:
                self._client = None  # the next call looks for other credentials
            raise KeyringError(f"KMS refuses {what} of tenant {tenant}: {error}") from error
        except BotoCoreError as error:
            if isinstance(error, NoCredentialsError):
                self._client = None
            raise KeyringError(f"KMS does not answer {what} of tenant {tenant}: {error}") from error
        return done


def client(region: str, endpoint: str | None, credentials_file: str | None) -> Any:
    """Return boto3's client of KMS, which gives up after some seconds."""
    from botocore.config import Config  # noqa: PLC0415

    limits = Config(
        connect_timeout=TIMEOUT, read_timeout=TIMEOUT, max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )  # fmt: skip
    account = session(credentials_file)
    return account.client("kms", region_name=region, endpoint_url=endpoint, config=limits)
