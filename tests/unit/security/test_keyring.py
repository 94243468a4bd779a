"""The keyring file: generations, tenants, damage."""

from __future__ import annotations

import msgspec
import pytest

from cortex_runtime.formats.keyring import KeyringError, new_keyring, parse


def test_a_tenant_gets_a_key_once_and_the_generation_grows() -> None:
    first = parse(new_keyring())
    second = first.with_tenant("acme")
    assert (first.generation, second.generation) == (1, 2)
    assert second.with_tenant("acme") is second
    version, key = parse(second.to_bytes()).tenant_key("acme")
    assert (version, len(key)) == (1, 32)


def test_a_key_moved_to_another_tenant_does_not_open() -> None:
    ring = parse(new_keyring()).with_tenant("acme")
    moved = msgspec.structs.replace(ring, tenants={"other": ring.tenants["acme"]})
    with pytest.raises(KeyringError):
        moved.tenant_key("other")


def test_the_keys_do_not_stand_in_the_file() -> None:
    ring = parse(new_keyring()).with_tenant("acme")
    assert ring.tenant_key("acme")[1] not in ring.to_bytes()


def test_an_unknown_tenant_and_a_damaged_file_are_said() -> None:
    with pytest.raises(KeyringError, match="no key of tenant"):
        parse(new_keyring()).tenant_key("acme")
    for content in (
        b"",
        b"{}",
        b"[1]",
        new_keyring()[:-3],
        new_keyring().replace(b"keyring-1", b"keyring-9"),
    ):
        with pytest.raises(KeyringError):
            parse(content)
