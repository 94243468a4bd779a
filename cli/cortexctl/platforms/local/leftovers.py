"""A database directory that was never finished: run before Patroni, in the region's directory.

When a region ends while it makes the first database, or copies it from the primary, Patroni neither goes on
nor begins anew: it takes what is there for a database. It never was one, and nothing acknowledged is in it.

    python -m cortexctl.platforms.local.leftovers REGION
"""

from __future__ import annotations

import base64
import shutil
import sys
import time
from pathlib import Path

from cortexctl import deployment as deployments
from cortexctl.deployment import Deployment, Region
from cortexctl.platforms.local import gateway

DATA = Path("postgres")
UNFINISHED = Path("postgres.unfinished")
PAUSE = 0.5


def main(name: str) -> None:
    """Remove an unfinished directory, if there is one. Waits for the arbiter when that alone can tell."""
    deployment = deployments.read(Path("deployment.yaml"))
    region = deployment.region(name)
    if DATA.is_dir() and any(DATA.iterdir()):
        copied = (DATA / "backup_label").exists()  # which a copy gets first
        if not copied and _is_unfinished(deployment, region):
            sys.stderr.write("The first database was not finished: beginning anew.\n")
            DATA.rename(UNFINISHED)
        elif not (DATA / "global" / "pg_control").is_file():  # which a copy gets last
            sys.stderr.write("The copy of the database was not finished: beginning anew.\n")
            shutil.rmtree(DATA)
    if UNFINISHED.exists():  # until the arbiter has forgotten it too
        _forget(deployment, region)
        shutil.rmtree(UNFINISHED)


def _is_unfinished(deployment: Deployment, region: Region) -> bool:
    """Return whether the arbiter still waits for the first database, which is no copy of another."""
    while True:
        try:
            found = gateway.ask(
                _near(deployment, region), "kv/range", {"key": _key(deployment)}, certificate="arbiter"
            )
        except OSError as error:
            sys.stderr.write(f"The arbiter does not answer yet: {error}\n")
            time.sleep(PAUSE)
            continue
        values = found.get("kvs", [])
        return bool(values) and not values[0].get("value")


def _forget(deployment: Deployment, region: Region) -> None:
    """Let some region begin anew: delete the key if it still is empty."""
    key = _key(deployment)
    body = {
        "compare": [{"key": key, "target": "VALUE", "result": "EQUAL", "value": ""}],
        "success": [{"request_delete_range": {"key": key}}],
    }
    gateway.ask(_near(deployment, region), "kv/txn", body, certificate="arbiter")


def _near(deployment: Deployment, region: Region) -> list[Region]:
    return sorted(deployment.regions, key=lambda other: other.name != region.name)


def _key(deployment: Deployment) -> str:
    return base64.b64encode(f"/cortexkg/{deployment.name}/initialize".encode()).decode()


if __name__ == "__main__":
    main(sys.argv[1])
