"""A region as a tree of processes: etcd, Patroni, HAProxy, upkeep, the nodes; and the edge outside."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from cortexctl import deployment as deployments
from cortexctl import durable, policies, tools
from cortexctl.deployment import Deployment, Node, Region
from cortexctl.errors import UsageError
from cortexctl.platforms.local import account, etcd, haproxy, identities, patroni, supervisor
from cortexctl.platforms.local.supervisor import Program
from cortexctl.platforms.local.tree import NO_ANSWER, Tree
from cortexctl.tenants.passphrases import PASSPHRASES

LOCK_PATIENCE = 120.0
NODE_PATIENCE = 20
STOP_PATIENCE = 35.0
UPKEEP_PERIOD = 3600.0
POLL = 0.05


def tree_of(region: Region) -> Tree:
    """Return a region's tree."""
    return Tree(region.directory, region.supervisor_port)


def edge_of(deployment: Deployment) -> Tree:
    """Return the edge's tree."""
    return Tree(deployment.directory / "edge", deployment.edge_supervisor_port)


def node_of(region: Region, name: str) -> Node:
    """Return a region's node. Raises UsageError."""
    for node in region.nodes:
        if node.name == name:
            return node
    raise UsageError(
        f"There is no node {name!r} in {region.name}.", todo="Name one that cortexctl status shows."
    )


def start(deployment: Deployment, region: Region) -> None:
    """Start a region, its nodes included; no-op when it runs. Waits for its supervisor, not its database."""
    with _exclusive(deployment, region.name):
        tree = tree_of(region)
        if tree.states():
            return
        tree.stop(patience=0)
        runner = account.choose(deployment.directory)
        runner.make_directory(region.directory)
        _prepare(deployment, region)
        _write_configurations(deployment, region)
        tree.start(runner, _programs(deployment, region))


def stop(deployment: Deployment, region: Region) -> None:
    """Stop a region: nodes drain first, all at once. No-op when nothing of it lives."""
    with _exclusive(deployment, region.name):
        tree = tree_of(region)
        # The arbiter goes last: PostgreSQL's orderly end tells it who is to follow.
        _stop_programs(tree, [node.name for node in region.nodes])
        _stop_programs(tree, ["haproxy", "patroni"])
        tree.stop()


def start_node(deployment: Deployment, region: Region, node: Node) -> None:
    """Start a node of a running region; no-op when it runs."""
    with _exclusive(deployment, region.name):
        tree, held = tree_of(region), hold_file(region, node)
        if tree.states().get(node.name) in supervisor.UP and not held.exists():
            return
        _prepare(deployment, region)
        _write_configurations(deployment, region)
        server = tree.supervisor(timeout=NODE_PATIENCE + 5)
        if held.exists():
            server.stop(node.name)
            held.unlink()
            durable.sync_directory(held.parent)
        supervisor.write(region.directory, region.supervisor_port, _programs(deployment, region))
        server.add(node.name)
        # Down until its first good health check.
        _set_slot(region, node.name, "state ready", "health down")


def stop_node(deployment: Deployment, region: Region, name: str) -> None:
    """Stop a node, which drains, and forget it; no-op when there is none. `name` may be unknown by now."""
    with _exclusive(deployment, region.name):
        tree = tree_of(region)
        if not tree.init():
            return
        _set_slot(region, name, "state drain")  # nothing new goes to it while it finishes what it has
        server = tree.supervisor(timeout=NODE_PATIENCE + 10)
        server.stop(name)
        server.remove(name)
        _set_slot(region, name, "state maint")


def start_edge(deployment: Deployment) -> None:
    """Start the edge; no-op when it runs."""
    with _exclusive(deployment, "edge"):
        tree = edge_of(deployment)
        if tree.states():
            return
        tree.stop(patience=0)
        runner = account.choose(deployment.directory)
        for part in ("", "certs", "log", "run"):
            runner.make_directory(tree.directory / part)
        if not deployment.ca_certificate.exists():
            _prepare(deployment, deployment.regions[0])
        durable.write(tree.directory / "certs" / "ca.crt", deployment.ca_certificate.read_bytes())
        durable.write(tree.directory / "haproxy.cfg", haproxy.edge(deployment).encode())
        tree.start(runner, [_haproxy(), upkeep()])


def stop_edge(deployment: Deployment) -> None:
    """Stop the edge; no-op when nothing of it lives."""
    with _exclusive(deployment, "edge"):
        edge_of(deployment).stop()


def hold_file(region: Region, node: Node) -> Path:
    """Return the file that keeps a node down while it exists."""
    return region.directory / "nodes" / f"{node.name}.held"


@contextmanager
def _exclusive(deployment: Deployment, name: str) -> Iterator[None]:
    """One at a time: a provisioner of an `up` that was killed may still be at work."""
    place = deployment.directory / "locks"
    place.mkdir(mode=0o700, exist_ok=True)
    with durable.exclusive(place / f"{name}.lock", f"{name} of {deployment.name}", patience=LOCK_PATIENCE):
        yield


def _prepare(deployment: Deployment, region: Region) -> None:
    wanted = [region.directory / part for part in ("log", "snapshots", "objects")]
    secrets = ["token-keys.json", "operator-keys.json", "checkpoint-signing.key", "cortex.pgpass"]
    secrets += ["keyring.json"] if deployment.kms is None else []
    wanted += [region.directory / "secrets" / name for name in secrets]
    wanted += [region.directory / "certs" / identity.file for identity in identities.of_region(region)]
    if all(path.exists() for path in wanted):
        return
    from cortexctl.platforms.local import preparation  # noqa: PLC0415 - cryptography takes its time to load

    preparation.prepare_region(deployment, region, account.choose(deployment.directory))


def _write_configurations(deployment: Deployment, region: Region) -> None:
    passwords = json.loads((deployment.directory / "ca" / "database.json").read_bytes())
    files = {
        "deployment.yaml": deployments.dump(deployment),
        "patroni.yml": patroni.render(deployment, region, passwords),
        "haproxy.cfg": haproxy.region(region),
        "rbac.yaml": policies.find("rbac.yaml").read_text(),
    }
    for node in region.nodes:
        files[f"nodes/{node.name}.json"] = json.dumps(node_configuration(deployment, region, node), indent=1)
    for name, content in files.items():
        durable.write(region.directory / name, content.encode())


def node_configuration(deployment: Deployment, region: Region, node: Node) -> dict[str, object]:
    """Return what a node is told."""
    here = region.directory.resolve()
    secrets, certificates = here / "secrets", here / "certs"
    role = identities.role("cortex").file
    return {
        "deployment": deployment.name,
        "name": node.name,
        "region": region.name,
        "host": "127.0.0.1",
        "port": node.port,
        "tls": {
            "ca": str(certificates / "ca.crt"),
            "certificate": str(certificates / f"{node.name}.pem"),
            "key": str(certificates / f"{node.name}.pem"),
        },
        "database": {
            "name": "cortexkg",
            "user": "cortex",
            "passfile": str(secrets / "cortex.pgpass"),
            "tls": {
                "ca": str(certificates / "ca.crt"),
                "certificate": str(certificates / role),
                "key": str(certificates / role),
            },
            "hosts": [
                {"region": other.name, "host": "127.0.0.1", "port": other.postgres_port}
                for other in deployment.regions
            ],
        },
        "tokens": {
            "node": str(secrets / "token-keys.json"),
            "operator": str(secrets / "operator-keys.json"),
        },
        "rbac": str(here / "rbac.yaml"),
        "keys": _keys_url(deployment, region, secrets),
        "checkpoint_key": str(secrets / "checkpoint-signing.key"),
        "log": str(here / "log" / f"{node.name}.log"),
        "snapshots": str(here / "snapshots" / node.name),
        "objects": (here / "objects").as_uri(),
    }


def _keys_url(deployment: Deployment, region: Region, secrets: Path) -> str:
    if deployment.kms is not None:
        place = deployment.kms
        query = {"owner": deployment.id, "endpoint": place.endpoint, "credentials": place.credentials_file}
        return f"kms://{place.regions[region.name]}?{urlencode({k: v for k, v in query.items() if v})}"
    passphrases = [("passphrase", str(secrets / name)) for name in PASSPHRASES]
    return f"{(secrets / 'keyring.json').as_uri()}?{urlencode(passphrases)}"


def _programs(deployment: Deployment, region: Region) -> list[Program]:
    tool = etcd.find_tool("etcd")
    member = etcd.command(str(tool.path), deployment, region)
    if etcd.must_rejoin(deployment, region):
        member = (sys.executable, "-P", "-m", "cortexctl.platforms.local.rejoin", str(tool.path), region.name)
    # A node is ended before what it needs: the higher priority first.
    return [
        # Left alone by its peers it waits long for one to lead; it is made to be killed.
        Program("etcd", member, 100, {"GOGC": "50"} | tool.environment, patience=1),
        Program(
            "patroni",
            patroni.command(),
            200,
            patroni.environment(region) | tools.libraries(patroni.programs_directory() / "postgres"),
            patience=30,
            prelude=patroni.prelude(region),
        ),
        _haproxy(),
        upkeep(),
        *(_node_program(node) for node in region.nodes),
    ]


def upkeep(period: float = UPKEEP_PERIOD) -> Program:
    """Return what rotates and removes a tree's logs: a shell that waits, since Python would fill memory."""
    script = str(Path(__file__).with_name("upkeep.py"))
    loop = f'while :; do "$@" "$PPID"; sleep {period:g}; done'
    return Program(
        "upkeep", ("/bin/sh", "-c", loop, "upkeep", sys.executable, "-I", "-S", script), 500, {}, patience=1
    )


def _haproxy() -> Program:
    tool = etcd.find_tool("haproxy")
    return Program("haproxy", (str(tool.path), "-db", "-f", "haproxy.cfg"), 300, tool.environment, patience=3)


def _node_program(node: Node) -> Program:
    hold = f"[ ! -e nodes/{node.name}.held ] || exec sleep infinity"
    # It can do nothing without a database: at a first start Patroni has the processors first.
    give_way = "[ -e postgres/postmaster.pid ] || sleep 1"
    command = (sys.executable, "-P", "-m", "cortex_runtime.main", "serve", f"nodes/{node.name}.json")
    return Program(node.name, command, 400, {}, patience=NODE_PATIENCE, prelude=f"{hold}\n{give_way}")


def _stop_programs(tree: Tree, names: Sequence[str]) -> None:
    """Stop programs side by side and wait for their ends; supervisord takes one at a time."""
    with suppress(*NO_ANSWER):
        if tree.init() is None:
            return
        server = tree.supervisor()
        for name in names:
            server.stop(name, wait=False)
        until = time.monotonic() + STOP_PATIENCE
        while time.monotonic() < until:
            states = server.states()
            if not any(states.get(name) in ("RUNNING", "STARTING", "STOPPING") for name in names):
                return
            time.sleep(POLL)


def _set_slot(region: Region, name: str, *states: str) -> None:
    """Tell HAProxy about a node, whose number is the last part of its name."""
    number = name.rpartition("-")[2]
    if not number.isdigit():
        return
    server = f"{haproxy.BACKEND}/{haproxy.slot(region, region.first_port + 7 + int(number))}"
    with suppress(OSError):  # one that does not run reads it from its configuration
        haproxy.tell(region.directory, [f"set server {server} {state}" for state in states])
