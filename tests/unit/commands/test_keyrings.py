from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from cortex_runtime.formats.keyring import Keyring, KeyringError, new_keyring, parse
from cortexctl import durable
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import keyrings


def files(deployment: Deployment) -> list[Path]:
    return [region.directory / "secrets" / "keyring.json" for region in deployment.regions]


def copies(deployment: Deployment) -> list[Keyring]:
    return [parse(path.read_bytes()) for path in files(deployment)]


@contextmanager
def ended_after(monkeypatch: pytest.MonkeyPatch, survivors: int) -> Iterator[None]:
    """Have a run end once it has written so many regions' files."""
    written: list[Path] = []

    def killed(path: Path, content: bytes, *, mode: int = 0o600) -> None:
        if len(written) == survivors:
            raise KeyboardInterrupt
        written.append(path)
        path.write_bytes(content)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(durable, "write", killed)
        yield


def test_every_region_gets_the_same_key_of_the_next_generation(deployment: Deployment) -> None:
    change = keyrings.add_tenant(deployment, "acme")
    first, second, third = copies(deployment)
    assert first == second == third
    assert (first.generation, change.generation, change.changed) == (2, 2, True)
    assert change.written == ("eu-west", "us-east", "ap-south")
    assert first.tenant_key("acme")[0] == 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(deployment)} == {0o600}


def test_adding_a_tenant_again_changes_nothing(deployment: Deployment) -> None:
    keyrings.add_tenant(deployment, "acme")
    before = copies(deployment)
    change = keyrings.add_tenant(deployment, "acme")
    assert (change.generation, change.changed, change.written) == (2, False, ())
    assert copies(deployment) == before


@pytest.mark.parametrize("survivors", [1, 2])
def test_a_run_ended_between_two_regions_is_finished_by_the_next(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    with ended_after(monkeypatch, survivors):
        keyrings.add_tenant(deployment, "acme")
    key = max(copies(deployment), key=lambda keyring: keyring.generation).tenant_key("acme")
    change = keyrings.add_tenant(deployment, "acme")
    assert not change.changed
    assert len(change.written) == 3 - survivors
    assert {keyring.tenant_key("acme") for keyring in copies(deployment)} == {key}


@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_a_region_without_a_whole_copy_gets_one(deployment: Deployment, damage: str) -> None:
    keyrings.add_tenant(deployment, "acme")
    path = files(deployment)[0]
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    assert keyrings.add_tenant(deployment, "globex").written == ("eu-west", "us-east", "ap-south")
    first, second, third = copies(deployment)
    assert first == second == third
    assert set(first.tenants) == {"acme", "globex"}


def test_without_any_whole_copy_it_is_refused(deployment: Deployment) -> None:
    for path in files(deployment):
        path.write_bytes(b"{}")
    with pytest.raises(Refused, match="No region"):
        keyrings.add_tenant(deployment, "acme")


def test_two_roots_are_refused_and_nothing_is_written(deployment: Deployment) -> None:
    path = files(deployment)[2]
    path.write_bytes(new_keyring())
    before = [file.read_bytes() for file in files(deployment)]
    with pytest.raises(Refused, match="contradict"):
        keyrings.add_tenant(deployment, "acme")
    assert [file.read_bytes() for file in files(deployment)] == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_replaced_keyring_stays_readable_for_the_account_of_the_nodes(deployment: Deployment) -> None:
    for path in files(deployment):
        os.chown(path, 12345, 12345)
    keyrings.add_tenant(deployment, "acme")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in files(deployment)} == {(12345, 12345)}


def test_a_destroyed_tenants_key_opens_by_no_copy_of_any_time(deployment: Deployment) -> None:
    keyrings.add_tenant(deployment, "acme")
    keyrings.add_tenant(deployment, "other")
    stolen, key = copies(deployment)[0], copies(deployment)[0].tenant_key("other")
    change = keyrings.destroy_tenant(deployment, "acme")
    assert change.written == ("eu-west", "us-east", "ap-south")
    for keyring in copies(deployment):
        assert "acme" not in keyring.tenants
        assert keyring.tenant_key("other") == key
        assert keyring.root_key != stolen.root_key
        # What is wrapped for the others from now on does not open by a root key that was stolen before.
        mixed = msgspec.structs.replace(stolen, tenants=keyring.tenants)
        with pytest.raises(KeyringError):
            mixed.tenant_key("other")
    again = keyrings.destroy_tenant(deployment, "acme")
    assert (again.changed, again.written) == (False, ())


@pytest.mark.parametrize("survivors", [1, 2])
def test_a_destruction_ended_between_two_regions_is_finished_by_the_next(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, survivors: int
) -> None:
    keyrings.add_tenant(deployment, "acme")
    keyrings.add_tenant(deployment, "other")
    with ended_after(monkeypatch, survivors):
        keyrings.destroy_tenant(deployment, "acme")
    assert keyrings.destroy_tenant(deployment, "acme").generation == 4
    assert [sorted(keyring.tenants) for keyring in copies(deployment)] == [["other"]] * 3
    keyrings.add_tenant(deployment, "third")
    assert len({keyring.root_id for keyring in copies(deployment)}) == 1


def test_what_was_kept_of_a_sealed_keyring_needs_the_passphrase_of_then() -> None:
    passphrase, other = b"a long passphrase", b"another passphrase"
    kept = parse(new_keyring()).with_tenant("gone").with_tenant("stays").sealed(passphrase)
    after = parse(kept.to_bytes(), [passphrase]).without_tenant("gone", passphrase)
    later = after.sealed(other).without_tenant("stays", other).with_tenant("stays")
    for next_root in (after, later):
        tried = msgspec.structs.replace(kept, root_key=next_root.root_key)
        for tenant in ("gone", "stays"):
            with pytest.raises(KeyringError):
                tried.tenant_key(tenant)
    with pytest.raises(KeyringError, match="sealed"):
        parse(kept.to_bytes(), [other])
    # What no cryptography reaches (docs/security.md): leaving does not change the passphrase.
    assert parse(kept.to_bytes(), [passphrase]).tenant_key("gone")[0] == 1
    assert after.tenant_key("stays") == kept.tenant_key("stays")


def test_what_a_killed_run_left_of_a_keyring_goes_with_the_next_change(deployment: Deployment) -> None:
    keyrings.add_tenant(deployment, "acme")
    left = [path.with_name(f".keyring.json.{n}") for n, path in enumerate(files(deployment))]
    for path, left_over in zip(files(deployment), left, strict=True):
        left_over.write_bytes(path.read_bytes())
        path.with_name("keyring.json.mine").write_bytes(b"another's")
    keyrings.destroy_tenant(deployment, "acme")
    assert not any(path.exists() for path in left)
    left[0].write_bytes(b"of a run that was killed after that")
    assert not keyrings.destroy_tenant(deployment, "acme").changed  # once more is as good as once
    assert not left[0].exists()
    assert all(path.with_name("keyring.json.mine").exists() for path in files(deployment))
