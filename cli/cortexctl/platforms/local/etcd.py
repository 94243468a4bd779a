"""The arbiter: one etcd member a region, and its command line."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cortexctl import tools
from cortexctl.deployment import Deployment, Region

find_tool = cache(tools.find)  # which asks the program for its version each time


def has_data(directory: Path) -> bool:
    """Return whether the member of the region with this directory has a write-ahead log."""
    return any((directory / "etcd" / "member" / "wal").glob("*.wal"))


def must_rejoin(deployment: Deployment, region: Region) -> bool:
    """Return whether a region's member has lost its disk: it ran once, and others still have theirs.

    Notes that it is about to run, outside the region's directory.
    """
    if has_data(region.directory):
        return False
    note = deployment.directory / "arbiter" / region.name
    if note.exists():
        return any(has_data(other.directory) for other in deployment.regions if other != region)
    note.parent.mkdir(mode=0o700, exist_ok=True)
    note.touch(mode=0o600)
    return False


def command(
    program: str, deployment: Deployment, region: Region, *, members: str = "", state: str = "new"
) -> tuple[str, ...]:
    """Return the command line of a member; names of files are relative to the region's directory.

    `members` is the list that a new member is told ("name=url,..."); one that has data goes by these.
    """
    client, peer = client_url(region), peer_url(region)
    known = members or ",".join(f"{one.name}={peer_url(one)}" for one in deployment.regions)
    return (
        program, f"--name={region.name}", "--data-dir=etcd",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={known}", f"--initial-cluster-state={state}",
        f"--initial-cluster-token={deployment.id}",
        "--client-cert-auth", "--trusted-ca-file=certs/arbiter-ca.crt",
        "--cert-file=certs/etcd.pem", "--key-file=certs/etcd.pem",
        "--peer-client-cert-auth", "--peer-trusted-ca-file=certs/arbiter-ca.crt",
        "--peer-cert-allowed-cn=etcd",
        "--peer-cert-file=certs/etcd.pem", "--peer-key-file=certs/etcd.pem",
        "--heartbeat-interval=100", "--election-timeout=1000", "--pre-vote", "--strict-reconfig-check",
        "--auto-compaction-mode=revision", "--auto-compaction-retention=1000", "--snapshot-count=5000",
        "--quota-backend-bytes=536870912", "--logger=zap", "--log-level=warn", "--log-outputs=stderr",
    )  # fmt: skip


def client_url(region: Region) -> str:
    """Return where a member listens to clients."""
    return f"https://127.0.0.1:{region.etcd_client_port}"


def peer_url(region: Region) -> str:
    """Return where a member listens to the others."""
    return f"https://127.0.0.1:{region.etcd_peer_port}"
