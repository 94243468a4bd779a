"""How the last tests of a region's backups went: AWS makes them every week, as terraform/modules/dr says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cortexctl.platforms.aws.account import explained
from cortexctl.platforms.aws.checks import STORES

DATABASE = "database"
ENDED = {"ABORTED", "COMPLETED", "FAILED"}


@dataclass(frozen=True, slots=True)
class Restore:
    """The last test of what is backed up; `fault` says what is wrong, empty when it is as it must be.

    `rto_seconds` is how long it took, `rpo_seconds` how old the backup was then, None what AWS does not say;
    `state` and `validation` are AWS' words.
    """

    region: str
    what: str
    fault: str
    when: datetime | None = None
    state: str = ""
    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    recovery_point: str = ""
    validation: str = ""


def look(client: Any, name: str, region: str, since: datetime) -> tuple[Restore, ...]:
    """Return the last ended test of the database and of each object store of a region. Raises Refused.

    One from before `since` is a fault, as one that failed is.
    """
    with explained(f"AWS Backup in {region} says nothing of its tests of restores"):
        ended = [job for job in _jobs(client, name) if job["Status"] in ENDED]
    last = {_source(job): job for job in sorted(ended, key=lambda job: job["CreationDate"])}
    return tuple(_restore(region, what, last.get(what), since) for what in (DATABASE, *STORES))


def _jobs(client: Any, name: str) -> Iterator[dict[str, Any]]:
    """Yield the restores that a deployment's plan has begun, none when there is no plan."""
    plan = name.replace("-", "_")  # as the module names it
    try:
        found = client.get_restore_testing_plan(RestoreTestingPlanName=plan)["RestoreTestingPlan"]
    except client.exceptions.ResourceNotFoundException:
        return
    pages = client.get_paginator("list_restore_jobs")
    for page in pages.paginate(ByRestoreTestingPlanArn=found["RestoreTestingPlanArn"]):
        yield from page["RestoreJobs"]


def _source(job: dict[str, Any]) -> str:
    if job["ResourceType"] == "Aurora":
        return DATABASE
    return str(job["SourceResourceArn"]).rpartition("-")[2]  # a bucket's name ends with the store's


def _restore(region: str, what: str, job: dict[str, Any] | None, since: datetime) -> Restore:
    if job is None:
        return Restore(region, what, "it was never restored")
    begun = job["CreationDate"]
    ended, backed_up = job.get("CompletionDate"), job.get("RecoveryPointCreationDate")
    return Restore(
        region,
        what,
        _fault(job, since),
        when=begun,
        state=job["Status"],
        rto_seconds=(ended - begun).total_seconds() if ended else None,
        rpo_seconds=(begun - backed_up).total_seconds() if backed_up else None,
        recovery_point=job.get("RecoveryPointArn", ""),
        validation=job.get("ValidationStatus", ""),
    )


def _fault(job: dict[str, Any], since: datetime) -> str:
    if job["Status"] != "COMPLETED":
        return f"its restore was {job['Status']}: {job.get('StatusMessage', 'AWS does not say why')}"
    if job.get("ValidationStatus") == "FAILED":
        return f"what was restored will not do: {job.get('ValidationStatusMessage', 'nobody said why')}"
    if job["CreationDate"] < since:
        return f"it was last restored on {job['CreationDate']:%Y-%m-%d}"
    return ""
