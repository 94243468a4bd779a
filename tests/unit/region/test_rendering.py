"""What is written for the programs, in a directory whose name has all that they stumble over."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from cortex_runtime import config
from cortexctl.deployment import Deployment
from cortexctl.platforms.local import etcd, haproxy, patroni, regions
from cortexctl.tenants.passphrases import PASSPHRASES

PASSWORDS = {role: f"p{role}" for role in ("postgres", "replicator", "rewind", "cortex", "operator")}


def test_patroni_gets_the_paths_as_they_are(deployment: Deployment) -> None:
    region = deployment.regions[0]
    content = yaml.safe_load(patroni.render(deployment, region, PASSWORDS))
    assert content["postgresql"]["data_dir"] == str(region.directory.resolve() / "postgres")
    assert (Path(content["postgresql"]["bin_dir"]) / "postgres").is_file()
    hook = shlex.split(content["bootstrap"]["post_bootstrap"])
    assert hook[-1] == "cortexctl.platforms.local.bootstrap"


def test_patroni_waits_for_a_quorum_and_never_goes_on_alone(deployment: Deployment) -> None:
    shared = yaml.safe_load(patroni.render(deployment, deployment.regions[0], PASSWORDS))["bootstrap"]["dcs"]
    assert (shared["synchronous_mode"], shared["synchronous_mode_strict"]) == ("quorum", True)
    # Patroni asks for this, so that a primary without the arbiter gives up before another is promoted.
    assert shared["ttl"] == 20
    assert shared["loop_wait"] + 2 * shared["retry_timeout"] <= shared["ttl"]
    assert shared["primary_start_timeout"] == 0


def test_a_running_base_backup_is_no_standby(deployment: Deployment) -> None:
    server = yaml.safe_load(patroni.render(deployment, deployment.regions[0], PASSWORDS))["postgresql"]
    assert "no-slot" in server["basebackup"]


def test_the_database_trusts_nobody(deployment: Deployment) -> None:
    server = yaml.safe_load(patroni.render(deployment, deployment.regions[0], PASSWORDS))["postgresql"]
    for line in server["pg_hba"]:
        kind, _, _, *rest = line.split()
        assert kind == "hostssl"
        assert rest == ["127.0.0.1/32", "scram-sha-256", "clientcert=verify-full"]
    assert server["parameters"]["ssl"] == "on"
    assert server["parameters"]["ssl_min_protocol_version"] == "TLSv1.2"
    assert server["parameters"]["unix_socket_directories"] == ""
    assert "fsync" not in server["parameters"]
    found = patroni.environment(deployment.regions[0])
    assert (found["PGREQUIREAUTH"], found["PGSSLMODE"]) == ("scram-sha-256", "verify-full")
    for role in server["authentication"].values():
        assert role["sslmode"] == "verify-full"
        assert role["sslcert"].endswith(f"/certs/role-{role['username']}.pem")


def test_all_members_ask_for_certificates(deployment: Deployment) -> None:
    region = deployment.regions[1]
    content = yaml.safe_load(patroni.render(deployment, region, PASSWORDS))
    assert content["restapi"]["verify_client"] == "required"
    assert content["ctl"]["insecure"] is False
    for asked in ("restapi", "ctl"):
        assert content[asked]["authentication"] == {"username": "operator", "password": "poperator"}
    assert content["etcd3"]["hosts"][0] == f"127.0.0.1:{region.etcd_client_port}"
    words = etcd.command("/x/etcd", deployment, region)
    assert {"--client-cert-auth", "--peer-client-cert-auth"} <= set(words)
    assert all("http://" not in word for word in words)


def test_an_arbiter_rejoins_only_after_it_ran_and_lost_its_disk(deployment: Deployment) -> None:
    first, second, _ = deployment.regions
    assert not etcd.must_rejoin(deployment, first)  # never ran
    assert not etcd.must_rejoin(deployment, first)  # was killed before it wrote anything, as were the others
    log = second.directory / "etcd" / "member" / "wal" / "0-0.wal"
    log.parent.mkdir(parents=True)
    log.touch()
    assert not etcd.must_rejoin(deployment, second)  # has its disk
    assert not etcd.must_rejoin(deployment, deployment.regions[2])  # comes late to the first start
    assert etcd.must_rejoin(deployment, first)


def test_haproxy_has_a_server_for_every_node_that_may_come(deployment: Deployment) -> None:
    region = deployment.regions[0]
    servers = re.findall(r"^    server (\S+) \S+:(\d+)( disabled)?$", haproxy.region(region), re.M)
    assert len(servers) == haproxy.SLOTS
    assert {int(port) for _, port, disabled in servers if not disabled} == {
        node.port for node in region.nodes
    }
    for node in region.nodes:
        assert (haproxy.slot(region, node.port), str(node.port), "") in servers
    assert all(int(port) < deployment.regions[1].first_port for _, port, _ in servers)


def test_haproxy_overwrites_who_a_client_says_it_is(deployment: Deployment) -> None:
    assert "http-request set-header X-Forwarded-For %[src]" in haproxy.region(deployment.regions[0])


def test_no_path_gets_into_files_that_would_expand_it(deployment: Deployment) -> None:
    region = deployment.regions[0]
    assert str(deployment.directory) not in haproxy.region(region) + haproxy.edge(deployment)
    assert not any(str(deployment.directory) in word for word in etcd.command("/x/etcd", deployment, region))


def test_the_runtime_reads_a_nodes_configuration(deployment: Deployment, tmp_path: Path) -> None:
    region = deployment.regions[0]
    path = tmp_path / "node.json"
    path.write_text(json.dumps(regions.node_configuration(deployment, region, region.nodes[1])))
    found = config.read(path)
    assert (found.name, found.region, found.port) == ("eu-west-2", "eu-west", region.nodes[1].port)
    assert [host.region for host in found.database.hosts] == ["eu-west", "us-east", "ap-south"]
    secrets = region.directory.resolve() / "secrets"
    keys = urlsplit(found.keys)
    assert (keys.scheme, unquote(keys.path)) == ("file", str(secrets / "keyring.json"))
    assert parse_qs(keys.query)["passphrase"] == [str(secrets / name) for name in PASSPHRASES]
