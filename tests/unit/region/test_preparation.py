"""CA, certificates, keys and passwords."""

from __future__ import annotations

import datetime
import shutil
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from cortex_runtime.formats.keyring import parse
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.local import certificates, identities, preparation
from cortexctl.platforms.local.account import Account
from cortexctl.platforms.local.certificates import Identity


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_all_that_interfaces_promise_is_there_and_private(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    for region in deployment.regions:
        found = set(contents(region.directory))
        assert {f"certs/{node.name}.pem" for node in region.nodes} < found
        assert {"certs/ca.crt", "certs/server.pem", "certs/etcd.pem", "certs/role-cortex.pem"} < found
        assert {"secrets/keyring.json", "secrets/token-keys.json", "secrets/operator-keys.json"} < found
        assert {"secrets/checkpoint-signing.key", "secrets/checkpoint-signing.pub"} < found
    for path in deployment.directory.rglob("*"):
        if path.is_dir():
            assert path.stat().st_mode & 0o077 == 0
        elif path.suffix in (".key", ".pem", ".pgpass", ".json"):
            assert path.stat().st_mode & 0o177 == 0


def test_repeating_it_changes_nothing(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    before = contents(deployment.directory)
    preparation.prepare(deployment, Account())
    assert contents(deployment.directory) == before


def test_a_region_that_was_removed_gets_the_same_again(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    region = deployment.regions[1]
    before = contents(region.directory / "secrets")
    shutil.rmtree(region.directory)
    preparation.prepare_region(deployment, region, Account())
    assert contents(region.directory / "secrets") == before


def test_the_newest_keyring_wins(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    paths = [region.directory / "secrets" / "keyring.json" for region in deployment.regions]
    newer = parse(paths[1].read_bytes()).with_tenant("acme").to_bytes()
    paths[1].write_bytes(newer)
    paths[2].write_bytes(b"{damaged")
    preparation.prepare(deployment, Account())
    assert {path.read_bytes() for path in paths} == {newer}


def test_a_new_keyring_never_closes_existing_data(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    for region in deployment.regions:
        (region.directory / "secrets" / "keyring.json").unlink()
    data = deployment.regions[2].directory / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with pytest.raises(Refused, match="keyring"):
        preparation.prepare(deployment, Account())


def test_a_damaged_ca_is_not_replaced(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    other = certificates.open_authority(deployment.directory.parent, "other")
    (deployment.directory / "ca" / "ca.crt").write_bytes(other.pem)
    with pytest.raises(Refused, match="CA"):
        preparation.prepare(deployment, Account())


def test_a_certificate_is_made_anew_when_it_is_damaged_foreign_other_or_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.open_authority(tmp_path, "one")
    node = Identity("node", "eu-west-1")
    assert certificates.ensure(authority, tmp_path, node)
    assert not certificates.ensure(authority, tmp_path, node)
    assert certificates.ensure(authority, tmp_path, node, anew=True)
    whole = (tmp_path / "node.pem").read_bytes()
    (tmp_path / "node.pem").write_bytes(whole[:-60])
    assert certificates.ensure(authority, tmp_path, node)
    key = whole[whole.index(b"-----BEGIN PRIVATE") :]
    other = (tmp_path / "node.pem").read_bytes()
    (tmp_path / "node.pem").write_bytes(other[: other.index(b"-----BEGIN PRIVATE")] + key)
    assert certificates.ensure(authority, tmp_path, node)
    assert certificates.ensure(authority, tmp_path, Identity("node", "eu-west-1", serves=False))
    assert certificates.ensure(authority, tmp_path, Identity("node", "eu-west-2", serves=False))
    (tmp_path / "b").mkdir()
    assert certificates.ensure(certificates.open_authority(tmp_path / "b", "two"), tmp_path, node)
    assert certificates.ensure(authority, tmp_path, node)
    monkeypatch.setattr(certificates, "RENEW_BEFORE", certificates.LIFETIME + datetime.timedelta(days=1))
    assert certificates.ensure(authority, tmp_path, node)


def handshake(directory: Path, asking: str, answering: str) -> str:
    """Return the CN that a server is shown, by a handshake of two certificates."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    client.load_cert_chain(directory / f"{asking}.pem")
    server.load_cert_chain(directory / f"{answering}.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(directory / "ca.crt")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in (*ends, *ends, *ends):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    subject = dict(item[0] for item in ends[1].getpeercert()["subject"])  # type: ignore[index,misc]
    return str(subject["commonName"])


def test_a_certificate_serves_and_asks_as_it_may(tmp_path: Path) -> None:
    authority = certificates.open_authority(tmp_path, "one")
    certificates.ensure(authority, tmp_path, Identity("node", "eu-west-1"))
    certificates.ensure(authority, tmp_path, Identity("asks", "operator", serves=False))
    certificates.ensure(authority, tmp_path, Identity("serves", "front", asks=False))
    assert handshake(tmp_path, "node", "node") == "eu-west-1"
    assert handshake(tmp_path, "asks", "serves") == "operator"
    for pair in (("node", "asks"), ("serves", "node")):
        with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
            handshake(tmp_path, *pair)
    found = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).critical


def test_nothing_of_the_deployments_ca_is_anything_to_the_arbiter(deployment: Deployment) -> None:
    preparation.prepare(deployment, Account())
    region = deployment.regions[0]
    arbiter = x509.load_pem_x509_certificate((region.directory / "certs" / "arbiter-ca.crt").read_bytes())
    issued = {
        identity.name
        for identity in identities.of_region(region)
        if _issued(arbiter, region.directory / "certs" / identity.file)
    }
    assert issued == {"etcd", "arbiter"}


def _issued(authority: x509.Certificate, path: Path) -> bool:
    try:
        x509.load_pem_x509_certificate(path.read_bytes()).verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError):
        return False
    return True
