"""Ages, policies, passphrases, many tenants at once: what cortexctl key decides without the service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from cortex_runtime.client import ApiError
from cortex_runtime.formats import passphrase
from cortex_runtime.formats.keyring import KeyringSealed, new_keyring, parse, seal_of
from cortex_runtime.formats.passphrase import WrongPassphraseError, open_seal, seal
from cortexctl import deployment as deployments
from cortexctl import keys
from cortexctl.deployment import Deployment
from cortexctl.errors import Locked, Refused, UsageError
from cortexctl.keys import Aged, Policy
from cortexctl.locking import lock
from unit.commands.test_exit_codes import cortexctl


@pytest.mark.parametrize(
    ("text", "age"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("5m", timedelta(minutes=5)),
     ("0s", timedelta())],
)  # fmt: skip
def test_an_age_is_a_number_and_its_unit(text: str, age: timedelta) -> None:
    assert keys.parse_age(text) == age


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1.5d", "90 d", "90w", "9999999d", "\uff11d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        keys.parse_age(text)


def test_a_key_is_due_at_the_age_of_its_kind_and_when_nobody_knows_its_age() -> None:
    ages = [
        Aged("data", "young", 89.9), Aged("data", "old", 90.0), Aged("kek", "young", 364.0),
        Aged("kek", "unknown", None), Aged("root", "", 365.1),
    ]  # fmt: skip
    assert [(each.kind, each.tenant) for each in keys.due(ages, Policy())] == [
        ("data", "old"), ("kek", "unknown"), ("root", ""),
    ]  # fmt: skip
    assert keys.due(ages[:1], Policy(data=89)) == ages[:1]
    worn = [Aged("data", "acme", 1.0, seals=2**31 - 1), Aged("data", "other", 1.0, seals=2**31)]
    assert keys.due(worn, Policy()) == worn[1:]


def test_the_age_of_a_key_encryption_key_is_that_of_its_newest_version() -> None:
    ring = parse(new_keyring()).with_tenant("acme").with_next_key("acme")
    old = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    first, second = ring.tenants["acme"]
    aged = msgspec.structs.replace(first, made_at=old)
    ring = msgspec.structs.replace(ring, tenants={"acme": [aged, second]})
    found = keys.kek_age(ring, "acme").age
    assert found is not None
    assert found < 1
    only = msgspec.structs.replace(ring, tenants={"acme": [aged]})
    assert (keys.kek_age(only, "acme").age or 0) > 399
    assert keys.kek_age(ring, "nobody").age is None


def test_a_policy_is_kept_with_the_deployment(deployment: Deployment) -> None:
    assert keys.policy_of(deployment) == Policy(90, 365, 365)
    assert keys.set_policy(deployment, {"data": 30, "kek": None, "root": None}) == Policy(30, 365, 365, 90)
    kept = deployments.read(deployment.directory / "deployment.yaml")
    assert keys.policy_of(kept) == Policy(30, 365, 365)
    with pytest.raises(UsageError):
        keys.changed_policy(kept, {"data": 0})


def test_one_that_fails_does_not_stop_the_others_and_is_named(deployment: Deployment) -> None:
    def work(name: str) -> str:
        if name == "shut":
            raise Refused("It is shut.", why="Its key is away.", todo="Mend it.")
        if name == "away":
            raise ApiError(503, "unavailable", "not here", "r1")
        return name.upper()

    done, failed = keys.each(deployment, ["a", "shut", "b"], work)
    assert (done, list(failed)) == (["A", "B"], ["shut"])
    with pytest.raises(Refused, match="2 of 3 keys were rotated: not shut"):
        keys.check(failed, "2 of 3 keys were rotated")
    _, failed = keys.each(deployment, ["away", "shut"], work)
    with pytest.raises(Refused) as found:
        keys.check(failed, "none")
    assert "away: not here" in found.value.why
    assert "shut: It is shut. Its key is away." in found.value.why
    keys.check({}, "all")


@pytest.mark.parametrize(
    "words",
    [(), ("--all", "--tenant", "acme"), ("--root", "--kek"), ("--due", "--kek"), ("--root", "--wait"),
     ("--tokens", "--kek"), ("--tokens", "--root"),
     ("--older-than", "soon")],
)  # fmt: skip
def test_a_call_that_does_not_say_what_to_rotate(deployment: Deployment, words: tuple[str, ...]) -> None:
    done = cortexctl("key", "rotate", *words)
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr


def test_of_two_rotators_the_second_is_told_who_is_at_it(deployment: Deployment) -> None:
    with lock(deployment.name, "key rotate"), pytest.raises(Locked) as found, lock(deployment.name, "again"):
        pytest.fail("both have it")
    assert found.value.exit_code == 6
    assert "key rotate" in found.value.why


def test_a_passphrase_opens_what_it_sealed_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (passphrase.LOG_N, passphrase.R, passphrase.P) == (17, 8, 1)
    monkeypatch.setattr(passphrase, "LOG_N", 10)
    sealed = seal(b"key", b"place", b"secret")
    assert b"key" not in msgspec.json.encode(sealed)
    assert open_seal(sealed, b"place", b"secret") == b"key"
    changed = (
        (sealed, b"place", b"Secret"), (sealed, b"other", b"secret"),
        (msgspec.structs.replace(sealed, log_n=11), b"place", b"secret"),
        (msgspec.structs.replace(sealed, sealed=sealed.sealed[:-1]), b"place", b"secret"),
        (msgspec.structs.replace(sealed, log_n=40), b"place", b"secret"),  # no memory is taken for it
    )  # fmt: skip
    for wrong in changed:
        with pytest.raises(WrongPassphraseError):
            open_seal(*wrong)


def test_a_sealed_keyring_has_no_root_key_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "LOG_N", 10)
    ring = parse(new_keyring(b"secret"), [b"wrong", b"secret"]).with_tenant("acme")
    content = ring.to_bytes()
    assert ring.root_key.encode() not in content
    assert seal_of(content) == ring.root_seal
    assert parse(content, [b"secret"]) == ring
    for given in ([], [b"wrong"]):
        with pytest.raises(KeyringSealed):
            parse(content, given)
    with pytest.raises(KeyringSealed):
        ring.rerooted()
    again = parse(ring.sealed(b"other").to_bytes(), [b"other"])
    assert (again.generation, again.root_key) == (ring.generation + 1, ring.root_key)
    assert again.tenant_key("acme") == ring.tenant_key("acme")
    assert again.sealed(b"other") is again


def test_a_passphrase_that_is_away_or_wrong_is_refused_and_nothing_is_written(
    deployment: Deployment, tmp_path: Path
) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"1234\n")
    for file in (tmp_path / "nothing", short):
        done = cortexctl("key", "seal", "--new-passphrase-file", str(file))
        assert done.returncode == 5, done.stderr
        assert b"Traceback" not in done.stderr
    begun = replace(deployment, keyring_passphrase_file="/a", keyring_passphrase_before="/b")
    short.write_bytes(b"long enough by now")
    with pytest.raises(Refused, match="being changed already"):
        keys.seal(begun, short)
    kept = deployments.read(deployment.directory / "deployment.yaml")
    assert kept.keyring_passphrase_file is None
