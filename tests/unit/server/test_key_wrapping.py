"""Rotation of key-encryption keys, root key and passphrase: killed before each step, and resumed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex_runtime.client import Client
from cortex_runtime.formats import passphrase
from cortex_runtime.formats.keyring import KeyringError, KeyringSealed, parse
from cortexctl import deployment as deployments
from cortexctl import durable, keys
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.tenants import keyrings, passphrases
from unit import postgres
from unit.server.keys import check_everything, database, eventually, fill
from unit.server.killing import killed_before_each_step
from unit.server.node import Node

REGIONS = {"eu-west": 1, "us-east": 1, "ap-south": 1}
SECRET, OTHER = b"correct horse battery", b"staple horse correct"


class House:
    """A deployment's directory with the keyrings of three regions; a node reads the first of them."""

    def __init__(self, home: Path, port: int) -> None:
        directory = home / "cortexkg" / "trial"
        self._deployment = Deployment("trial", "trial-1", "small", "local", 21_000, REGIONS, directory)
        self.node = Node(home / "node", port)
        self.node.directory.mkdir(parents=True)
        self.paths = [region.directory / "secrets" / "keyring.json" for region in self._deployment.regions]
        for path in self.paths:
            path.parent.mkdir(parents=True)
        secrets = self.paths[0].parent
        files = "&".join(f"passphrase={secrets / name}" for name in passphrases.PASSPHRASES)
        self.node.keys_url = f"{self.paths[0].as_uri()}?{files}"
        self.node.prepare()
        for path in self.paths:
            path.write_bytes((self.node.directory / "keyring.json").read_bytes())
        self.keep(self._deployment)

    @property
    def deployment(self) -> Deployment:
        """Return it as its file has it."""
        return deployments.read(self._deployment.directory / "deployment.yaml")

    def keep(self, deployment: Deployment) -> None:
        durable.write(deployment.directory / "deployment.yaml", deployments.dump(deployment).encode())

    def client(self) -> Client:
        directory = self.node.directory
        return Client(
            f"https://127.0.0.1:{self.node.port}", ca=directory / "ca.crt", timeout=10,
            certificate=directory / "node.pem",
            token=self.node.operator_token(),
        )  # fmt: skip

    @property
    def doors(self) -> dict[str, Callable[[], Client]]:
        return dict.fromkeys(REGIONS, self.client)

    def rotate_kek(self) -> keys.KekRotation:
        with self.client() as client:
            return keys.rotate_kek(self.deployment, client, self.doors, "acme")

    def agree(self) -> None:
        """See that all regions have the same keyring, and that every row opens by it."""
        secrets = passphrases.possible(self.deployment)
        opened = [parse(path.read_bytes(), secrets) for path in self.paths]
        assert opened[0] == opened[1] == opened[2]
        (self.node.directory / "keyring.json").write_bytes(
            replace_seal(opened[0]).to_bytes()  # check_everything has no passphrase
        )
        check_everything(self.node)


def replace_seal(keyring: Any) -> Any:
    import msgspec  # noqa: PLC0415

    return msgspec.structs.replace(keyring, root_seal=None)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with postgres.running(tmp_path_factory.mktemp("postgres")) as port:
        made = House(tmp_path_factory.mktemp("house"), port)
        try:
            made.node.start()
            made.node.onboard()
            fill(made.node, "main", 20)
            yield made
        finally:
            made.node.stop(signal.SIGKILL)
            made.node.http.close()


def test_a_kek_rotation_wraps_all_keys_anew_and_the_old_version_leaves(house: House) -> None:
    before = keyrings.newest_version(house.deployment, "acme")
    entries = entries_of(house)
    done = house.rotate_kek()
    assert (done.kek_version, done.kept) == (before + 1, ())
    assert done.rewrapped >= 2  # the index key, and each version of the data key
    assert [key.version for key in keyrings.newest(house.deployment).tenants["acme"]] == [before + 1]
    assert {key["kek_version"] for key in house.node.operator("GET", "/v1/tenants/acme/keys")} == {before + 1}
    assert entries_of(house) == entries  # no record was sealed anew
    house.agree()
    assert house.node.ask("GET", "concepts/c3")["text"] == "word3 thing3"


def entries_of(house: House) -> list[Any]:
    with database(house.node) as connection:
        return connection.execute("select id, entry from concept order by id").fetchall()


def test_a_kept_backup_keeps_the_key_that_wraps_what_is_in_it(house: House) -> None:
    old = keyrings.newest_version(house.deployment, "acme")
    with database(house.node) as connection:
        connection.execute("select register_backup('nightly', now() + interval '1 hour')")
    assert house.rotate_kek().kept == (f"a backup needs version {old}",)
    versions = [key.version for key in keyrings.newest(house.deployment).tenants["acme"]]
    assert versions == [old, old + 1]
    with database(house.node) as connection:
        connection.execute("delete from backup")
    assert house.rotate_kek().kept == ()
    assert [key.version for key in keyrings.newest(house.deployment).tenants["acme"]] == [old + 2]
    house.agree()


def test_a_region_that_does_not_answer_keeps_the_old_version(house: House) -> None:
    def nobody() -> AbstractContextManager[Client]:
        client = house.client()
        client._http.base_url = "https://127.0.0.1:1"
        client._deadline = 0.0
        return client

    old = keyrings.newest_version(house.deployment, "acme")
    doors: Any = {**house.doors, "us-east": nobody}
    with house.client() as client:
        done = keys.rotate_kek(house.deployment, client, doors, "acme")
    assert done.kept == ("region us-east does not answer",)
    assert old in [key.version for key in keyrings.newest(house.deployment).tenants["acme"]]
    house.rotate_kek()
    house.agree()


def test_a_kek_rotation_killed_before_any_step_is_finished_by_the_next(house: House) -> None:
    def resumed() -> None:
        house.node.ask("PUT", "concepts/meanwhile", {"text": "meanwhile"})
        assert house.rotate_kek().kept == ()
        house.agree()

    # One look at what is in use, three keyrings, the rewrapping, three regions, three keyrings.
    assert killed_before_each_step(house.rotate_kek, resumed) == 11


def test_a_root_rotation_killed_before_any_step_is_finished_by_the_next(house: House) -> None:
    def resumed() -> None:
        assert house.node.ask("GET", "concepts/c3")
        root = keyrings.newest(house.deployment).root_id
        done = keys.rotate_root(house.deployment)
        assert done.root_id != root
        house.agree()

    assert killed_before_each_step(lambda: keys.rotate_root(house.deployment), resumed) == 3


def test_a_copy_of_the_keyring_from_before_opens_nothing_after_a_root_rotation(house: House) -> None:
    import msgspec  # noqa: PLC0415

    stolen = parse(house.paths[0].read_bytes())
    keys.rotate_root(house.deployment)
    now = parse(house.paths[0].read_bytes())
    with pytest.raises(KeyringError, match="does not open"):
        msgspec.structs.replace(stolen, tenants=now.tenants).tenant_key("acme")
    house.agree()


def test_sealing_killed_before_any_step_is_finished_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is a change of the passphrase; the node serves all the while."""
    monkeypatch.setattr(passphrase, "LOG_N", 10)  # it is derived some hundred times
    first, second = house.node.directory / "first", house.node.directory / "second"
    first.write_bytes(SECRET + b"\n")
    second.write_bytes(OTHER + b"\n")

    def unsealed() -> None:
        keyring = keyrings.newest(house.deployment)
        house.keep(replace(house.deployment, keyring_passphrase_file=None, keyring_passphrase_before=None))
        for path in house.paths:
            path.write_bytes(replace_seal(keyring).to_bytes())

    def seal(file: Path) -> Callable[[], keys.Sealed]:
        return lambda: keys.seal(house.deployment, file)

    def finished_by(file: Path) -> Callable[[], None]:
        def resumed() -> None:
            house.node.ask("PUT", "concepts/meanwhile", {"text": "meanwhile"})
            done = seal(file)()
            assert done.passphrase_file == str(file)
            assert house.deployment.keyring_passphrase_before is None
            for path in house.paths:
                assert parse(path.read_bytes(), [file.read_bytes().rstrip()])
                with pytest.raises(KeyringSealed):
                    parse(path.read_bytes())
            house.agree()
            if file == first:
                unsealed()
            else:
                seal(first)()

        return resumed

    # The deployment's file, three links, three keyrings; the deployment's file again, three links.
    assert killed_before_each_step(seal(first), finished_by(first)) == 11
    assert killed_before_each_step(seal(second), finished_by(second)) == 11
    house.node.stop()
    house.node.start()
    assert house.node.ask("GET", "concepts/c3")["text"] == "word3 thing3"
    root = keyrings.newest(house.deployment).root_id
    assert keys.rotate_root(house.deployment).root_id != root
    with pytest.raises(KeyringSealed):
        parse(house.paths[0].read_bytes(), [SECRET])
    house.agree()


def test_without_its_passphrase_nothing_is_changed_and_the_node_says_why(house: House) -> None:
    file = Path(house.deployment.keyring_passphrase_file or "")
    assert file.name == "second"
    before = [path.read_bytes() for path in house.paths]
    for content, why in ((b"another passphrase\n", "is not the one"), (b"short\n", "12 are the least")):
        file.write_bytes(content)
        with pytest.raises(Refused) as refused:
            keys.rotate_root(house.deployment)
        assert refused.value.exit_code == 5
        assert why in refused.value.why
    file.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        keys.rotate_root(house.deployment)
    assert [path.read_bytes() for path in house.paths] == before
    house.node.stop()
    with pytest.raises(AssertionError):
        house.node.start()
    report = house.node.operator("GET", "/v1/health")
    assert any("keys: acme is not served, the keyring is sealed" in each for each in report["reasons"])
    assert house.node.send("GET", "concepts/c3").json()["error"]["code"] == "unavailable"
    assert house.node.send("PUT", "concepts/c3", {"text": "a"}).json()["error"]["code"] == "unavailable"
    file.write_bytes(OTHER)
    eventually(lambda: house.node.operator("GET", "/v1/health")["status"] == "healthy", house.node)
    assert eventually(lambda: house.node.send("GET", "concepts/c3").status_code == 200, house.node)
    assert house.node.ask("GET", "concepts/c3")["text"] == "word3 thing3"
    found = house.node.ask("POST", "query", {"text": "word3", "k": 3})
    assert found["matches"]
