"""The return of an arbiter's member that has lost its disk: run by the region's supervisor in its place.

python -m cortexctl.platforms.local.rejoin ETCD REGION     in the region's directory
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from cortexctl import deployment as deployments
from cortexctl.deployment import Deployment, Region
from cortexctl.platforms.local import gateway
from cortexctl.platforms.local.etcd import command, has_data, peer_url

PAUSE = 0.5


def main(program: str, name: str) -> None:
    """Become the member of a region, in its directory, after it has rejoined when it has lost its disk."""
    deployment = deployments.read(Path("deployment.yaml"))
    region = deployment.region(name)
    arguments = (command if has_data(Path()) else rejoin)(program, deployment, region)
    os.execv(program, arguments)  # noqa: S606  # nosec B606


def rejoin(program: str, deployment: Deployment, region: Region) -> tuple[str, ...]:
    """Take the place of this region's lost member, and return the command line of the new one.

    A member that is known and has lost its log may not come back as itself: etcd calls that "already
    bootstrapped", because it has forgotten its votes. Waits until the others have a majority.
    """
    peer = peer_url(region)
    others = [other for other in deployment.regions if other != region]
    while True:
        try:
            members = gateway.ask(others, "cluster/member/list", {}, certificate="etcd")["members"]
            mine = next((member for member in members if peer in member["peerURLs"]), None)
            if mine and mine.get("name") and not mine.get("clientURLs"):
                # It never ran: the others still expect its first start.
                return command(program, deployment, region)
            if mine and mine.get("name"):
                members = gateway.ask(
                    others, "cluster/member/remove", {"ID": mine["ID"]}, certificate="etcd"
                )["members"]
                mine = None
            if mine is None:
                members = gateway.ask(others, "cluster/member/add", {"peerURLs": [peer]}, certificate="etcd")[
                    "members"
                ]
            known = ",".join(
                f"{member.get('name') or region.name}={member['peerURLs'][0]}" for member in members
            )
            return command(program, deployment, region, members=known, state="existing")
        except (OSError, ValueError, KeyError) as error:
            sys.stderr.write(f"Cannot rejoin the arbiter yet: {error}\n")
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
