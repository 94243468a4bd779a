"""The arbiter: one etcd member a region, its command line, and its return after the loss of its disk."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

from cortexctl import deployment as deployments
from cortexctl import tools
from cortexctl.deployment import Deployment, Region

PAUSE = 0.5
find_tool = cache(tools.find)  # which asks the program for its version each time


def has_data(region: Region) -> bool:
    """Return whether a region's member has a write-ahead log."""
    return any((region.directory / "etcd" / "member" / "wal").glob("*.wal"))


def must_rejoin(deployment: Deployment, region: Region) -> bool:
    """Return whether a region's member has lost its disk: it ran once, and others still have theirs.

    Notes that it is about to run, outside the region's directory.
    """
    if has_data(region):
        return False
    note = deployment.directory / "arbiter" / region.name
    if note.exists():
        return any(has_data(other) for other in deployment.regions if other != region)
    note.parent.mkdir(mode=0o700, exist_ok=True)
    note.touch(mode=0o600)
    return False


def command(
    deployment: Deployment, region: Region, *, members: str = "", state: str = "new"
) -> tuple[str, ...]:
    """Return the command line of a member; names of files are relative to the region's directory.

    `members` is the list that a new member is told ("name=url,..."); one that has data goes by these.
    """
    client, peer = _client_url(region), _peer_url(region)
    known = members or ",".join(f"{one.name}={_peer_url(one)}" for one in deployment.regions)
    # Followers are patient for 10 heartbeats: three members on one machine are often starved together.
    return (
        str(find_tool("etcd").path), f"--name={region.name}", "--data-dir=etcd",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={known}", f"--initial-cluster-state={state}",
        f"--initial-cluster-token={deployment.id}",
        "--client-cert-auth", "--trusted-ca-file=certs/ca.crt",
        "--cert-file=certs/etcd.crt", "--key-file=certs/etcd.key",
        "--peer-client-cert-auth", "--peer-trusted-ca-file=certs/ca.crt", "--peer-cert-allowed-cn=etcd",
        "--peer-cert-file=certs/etcd.crt", "--peer-key-file=certs/etcd.key",
        "--heartbeat-interval=200", "--election-timeout=2000", "--pre-vote", "--strict-reconfig-check",
        "--auto-compaction-mode=revision", "--auto-compaction-retention=1000", "--snapshot-count=5000",
        "--quota-backend-bytes=536870912", "--logger=zap", "--log-level=warn", "--log-outputs=stderr",
    )  # fmt: skip


def rejoin(deployment: Deployment, region: Region) -> tuple[str, ...]:
    """Take the place of this region's lost member, and return the command line of the new one.

    A member that is known and has lost its log may not come back as itself: etcd calls that "already
    bootstrapped", because it has forgotten its votes. Waits until the others have a majority.
    """
    peer = _peer_url(region)
    while True:
        try:
            members = _ask(deployment, region, "list", {})["members"]
            mine = next((member for member in members if peer in member["peerURLs"]), None)
            if mine and mine.get("name") and not mine.get("clientURLs"):
                return command(deployment, region)  # it never ran: the others still expect its first start
            if mine and mine.get("name"):
                members = _ask(deployment, region, "remove", {"ID": mine["ID"]})["members"]
                mine = None
            if mine is None:
                members = _ask(deployment, region, "add", {"peerURLs": [peer]})["members"]
            known = ",".join(
                f"{member.get('name') or region.name}={member['peerURLs'][0]}" for member in members
            )
            return command(deployment, region, members=known, state="existing")
        except (OSError, ValueError, KeyError) as error:
            sys.stderr.write(f"Cannot rejoin the arbiter yet: {error}\n")
            time.sleep(PAUSE)


def _ask(deployment: Deployment, region: Region, verb: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call a member of another region through etcd's JSON gateway. Raises OSError when none does it."""
    context = ssl.create_default_context(cafile="certs/ca.crt")
    context.load_cert_chain("certs/etcd.crt", "certs/etcd.key")
    reasons = []
    for other in deployment.regions:
        if other == region:
            continue
        request = urllib.request.Request(  # noqa: S310 - the scheme is ours
            f"{_client_url(other)}/v3/cluster/member/{verb}", json.dumps(body).encode(), method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            reasons.append(f"{other.name}: {error.read().decode(errors='replace').strip()}")
        except OSError as error:
            reasons.append(f"{other.name}: {error}")
    raise OSError("; ".join(reasons))


def _client_url(region: Region) -> str:
    return f"https://127.0.0.1:{region.etcd_client_port}"


def _peer_url(region: Region) -> str:
    return f"https://127.0.0.1:{region.etcd_peer_port}"


def main(directory: Path, name: str) -> None:
    """Become the member of a region, after it has rejoined when it has lost its disk."""
    deployment = deployments.read(directory / "deployment.yaml")
    region = deployment.region(name)
    arguments = command(deployment, region) if has_data(region) else rejoin(deployment, region)
    os.execv(arguments[0], arguments)  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
