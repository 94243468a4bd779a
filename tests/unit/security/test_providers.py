"""What wraps the tenants' keys: the keyring file and AWS KMS are told apart by nothing but their URL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from cortex_runtime.formats.keyring import KeyringError, new_keyring, parse
from cortex_runtime.formats.kms import alias
from cortex_runtime.security.directory import (
    Directory,
    KeyDestroyed,
    Quota,
    TenantEntry,
    UnknownKey,
    WrappedKey,
)
from cortex_runtime.security.envelope import CannotOpen, Place
from cortex_runtime.security.keyring import KeyringFile
from cortex_runtime.security.kms import Kms
from cortex_runtime.security.openedkeys import KEPT
from cortex_runtime.security.providers import KekProvider, check, open_provider
from cortexctl.tenants import kms as making
from unit.server import amazon

KEY = bytes(range(32))
PLACE = Place("acme", "concept", b"r" * 16, version=3)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    amazon.mend()
    with mock_aws():
        client = boto3.client("kms", region_name="eu-west-1")
        for tenant in ("acme", "other"):
            making.ensure_key({"eu-west-1": client}, "trial", tenant)
        yield client


@pytest.fixture(params=["file", "kms"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> KekProvider:
    if request.param == "kms":
        return Kms("trial", lambda: request.getfixturevalue("aws"))
    path = tmp_path / "keyring.json"
    path.write_bytes(parse(new_keyring()).with_tenant("acme").with_tenant("other").to_bytes())
    return open_provider(path.as_uri(), "trial")


def test_what_was_wrapped_unwraps_as_the_same_key_alone(provider: KekProvider) -> None:
    version, wrapped = provider.wrap("acme", "data-key", 7, KEY)
    assert (version, provider.newest("acme")) == (1, 1)
    assert KEY not in wrapped
    assert provider.unwrap("acme", "data-key", 7, 1, wrapped) == KEY
    for tenant, kind, number in (("other", "data-key", 7), ("acme", "index-key", 7), ("acme", "data-key", 8)):
        with pytest.raises(CannotOpen):
            provider.unwrap(tenant, kind, number, 1, wrapped)
    for damaged in (b"", wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1])):
        with pytest.raises(CannotOpen):
            provider.unwrap("acme", "data-key", 7, 1, damaged)


def test_there_is_no_key_of_a_stranger_nor_of_a_version_that_is_not_there(provider: KekProvider) -> None:
    _, wrapped = provider.wrap("acme", "data-key", 7, KEY)
    for call in (
        lambda: provider.newest("nobody"),
        lambda: provider.wrap("nobody", "data-key", 1, KEY),
        lambda: provider.unwrap("nobody", "data-key", 7, 1, wrapped),
        lambda: provider.unwrap("acme", "data-key", 7, 2, wrapped),
    ):
        with pytest.raises(KeyringError):
            call()


def test_a_next_version_in_kms_wraps_and_the_one_before_still_unwraps(aws: Any) -> None:
    provider = Kms("trial", lambda: aws)
    _, wrapped = provider.wrap("acme", "data-key", 1, KEY)
    assert making.next_key({"eu-west-1": aws}, "trial", "acme") == 2
    assert provider.newest("acme") == 2
    assert provider.wrap("acme", "data-key", 2, KEY)[0] == 2
    assert provider.unwrap("acme", "data-key", 1, 1, wrapped) == KEY


def test_making_a_key_in_kms_again_changes_nothing(aws: Any) -> None:
    before = aws.describe_key(KeyId=alias("trial", "acme"))["KeyMetadata"]["KeyId"]
    assert making.ensure_key({"eu-west-1": aws}, "trial", "acme") == 1
    assert aws.describe_key(KeyId=alias("trial", "acme"))["KeyMetadata"]["KeyId"] == before
    assert len(aws.list_keys()["Keys"]) == 2


def test_a_key_of_another_deployment_of_a_like_name_is_not_taken(aws: Any) -> None:
    making.ensure_key({"eu-west-1": aws}, "a", "b-c")
    with pytest.raises(KeyringError, match="of deployment a and tenant b-c"):
        making.ensure_key({"eu-west-1": aws}, "a-b", "c")


def test_a_shredded_tenants_keys_in_kms_are_closed_at_once_and_gone_in_days(aws: Any) -> None:
    making.next_key({"eu-west-1": aws}, "trial", "acme")
    closed = making.close({"eu-west-1": aws}, "trial", "acme", days=7)
    assert sorted(each.version for each in closed) == [1, 2]
    for each in closed:
        assert aws.describe_key(KeyId=each.key_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert making.close({"eu-west-1": aws}, "trial", "acme", days=7) == closed
    with pytest.raises(ValueError, match="7 to 30"):
        making.close({"eu-west-1": aws}, "trial", "other", days=3)


class Flaky:
    """KMS, until it is down."""

    is_quick = False

    def __init__(self, real: KekProvider) -> None:
        self.real, self.down, self.calls = real, False, 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls += 1
            if self.down:
                raise KeyringError("KMS does not answer")
            return getattr(self.real, name)(*arguments)

        return call


def directory_of(provider: Any, clock: Any) -> Directory:
    made = Directory(provider, clock=clock)
    kek, wrapped, value = made.make_data_key("acme", 1)
    kek, index = made.make_index_key("acme")
    data_keys = {1: WrappedKey(1, "ACTIVE", kek, wrapped, value)}
    made._tenants = {
        "acme": TenantEntry("acme", "free", "active", 1, kek, index, Quota(1, 1, 1, 1), None, {}, data_keys)
    }
    return made


def test_with_kms_down_open_keys_serve_for_an_hour_and_then_no_more(aws: Any) -> None:
    now = [0.0]
    kms = Flaky(Kms("trial", lambda: aws))
    directory = directory_of(kms, lambda: now[0])
    with pytest.raises(KeyringError, match="not open here"):  # never fetched while a request waits
        directory.seal(PLACE, b"text")
    directory.renew_keys()
    sealed, calls = directory.seal(PLACE, b"text"), kms.calls
    assert directory.unseal(PLACE, sealed) == b"text"
    assert kms.calls == calls
    kms.down = True
    now[0] = KEPT - 1
    directory.renew_keys()
    assert directory.unseal(PLACE, sealed) == b"text"
    assert directory.shut == {}
    now[0] = KEPT
    with pytest.raises(KeyringError):
        directory.unseal(PLACE, sealed)
    directory.renew_keys()
    assert directory.shut == {"acme": "KMS does not answer"}
    with pytest.raises(KeyringError, match="does not open here"):
        directory.check_open("acme")
    kms.down = False
    directory.renew_keys()
    assert directory.unseal(PLACE, sealed) == b"text"
    directory.check_open("acme")


def test_kms_that_does_not_answer_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, aws: Any) -> None:
    provider = Kms("trial", lambda: aws)

    def down(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://kms")

    monkeypatch.setattr(aws, "describe_key", down)
    with pytest.raises(KeyringError, match="KMS does not answer describe_key of tenant acme"):
        provider.newest("acme")


def test_a_key_that_kms_has_closed_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, aws: Any) -> None:
    """AWS answers so of a key that is to be deleted; moto decrypts by it all the same."""
    provider = Kms("trial", lambda: aws)
    _, wrapped = provider.wrap("acme", "data-key", 1, KEY)

    def closed(**_: Any) -> None:
        error = {"Error": {"Code": "KMSInvalidStateException", "Message": "is pending deletion"}}
        raise ClientError(error, "Decrypt")

    monkeypatch.setattr(aws, "decrypt", closed)
    with pytest.raises(KeyringError, match=r"KMS refuses decrypt of tenant acme: .*pending deletion"):
        provider.unwrap("acme", "data-key", 1, 1, wrapped)


def test_versions_that_are_destroyed_and_not_known_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_bytes(parse(new_keyring()).with_tenant("acme").to_bytes())
    directory = directory_of(KeyringFile(path), lambda: 0.0)
    sealed = directory.seal(PLACE, b"text")
    directory._tenants["acme"].data_keys[1] = WrappedKey(1, "DESTROYED", 1, b"", b"")
    with pytest.raises(KeyDestroyed, match="version 1 of tenant acme's key is destroyed"):
        directory.unseal(PLACE, sealed)
    del directory._tenants["acme"].data_keys[1]
    with pytest.raises(UnknownKey):
        directory.unseal(PLACE, sealed)


@pytest.mark.parametrize(
    "url", ["", "keyring.json", "file://host/x", "kms://", "kms://eu-west-1/path", "https://kms", "file:x"]
)
def test_what_is_no_provider_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="gives no keys"):
        check(url)
