"""Terraform's states in their bucket: which they are, and who holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.aws import roots
from cortexctl.platforms.aws.account import client, explained


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds the state of a root."""

    root: str
    id: str
    who: str
    since: str
    operation: str


def marks(deployment: Deployment) -> dict[str, str | None]:
    """Return what tells each root's state from all its others; None where there is none. Raises Refused."""
    return {
        root: None if found is None else str(found["ETag"]) for root, found in _objects(deployment, suffix="")
    }


def locks(deployment: Deployment) -> list[Lock]:
    """Return the locks that are held. Raises Refused."""
    held = []
    for root, found in _objects(deployment, suffix=".tflock"):
        if found is not None:
            content = json.loads(found["Body"].read())
            held.append(Lock(root, content["ID"], content["Who"], content["Created"], content["Operation"]))
    return held


def lock(deployment: Deployment, id_: str) -> Lock:
    """Return the lock with this id. Raises Refused."""
    held = locks(deployment)
    for each in held:
        if each.id == id_:
            return each
    raise Refused(
        f"No state of deployment {deployment.name!r} has the lock {id_}.",
        why="; ".join(f"{each.root}: {each.id}, of {each.who} since {each.since}" for each in held)
        or "None is locked.",
        todo="Check the id; one that is gone need not be broken.",
    )


def _objects(deployment: Deployment, *, suffix: str) -> Iterator[tuple[str, dict[str, Any] | None]]:
    place = deployment.aws
    assert place is not None
    s3 = client("s3", place.states_region)
    for root in (roots.GLOBAL, *place.regions):
        with explained(f"The bucket of states {place.states} says nothing of {root}"):
            try:
                key = roots.key(deployment.name, root) + suffix
                yield root, s3.get_object(Bucket=place.states, Key=key)
            except s3.exceptions.NoSuchKey:
                yield root, None
