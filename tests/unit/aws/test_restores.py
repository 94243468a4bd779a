"""The tests of backups that AWS makes: what is told of them, and which are faults."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.stub import Stubber

from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.aws import restores
from unit.aws.stubbing import stubbed

NAME, REGION = "cortexkg-trial", "eu-west-1"
PLAN = f"arn:aws:backup:{REGION}:123456789012:restore-testing-plan:cortexkg_trial-d2b6"
NOW = datetime(2026, 3, 20, 7, tzinfo=UTC)
WEDNESDAY = datetime(2026, 3, 18, 8, tzinfo=UTC)
SINCE = NOW - timedelta(days=8)
SOURCES = {
    "database": ("Aurora", f"arn:aws:rds:{REGION}:123456789012:cluster:{NAME}"),
    "audit": ("S3", f"arn:aws:s3:::{NAME}-123456789012-{REGION}-audit"),
    "data": ("S3", f"arn:aws:s3:::{NAME}-123456789012-{REGION}-data"),
}
pytestmark = pytest.mark.usefixtures("deployment")


def job(what: str, begun: datetime = WEDNESDAY, **other: Any) -> dict[str, Any]:
    """Return a restore as AWS lists it: seven hours after its backup, done in four minutes."""
    kind, arn = SOURCES[what]
    usual = {
        "RestoreJobId": "1",
        "ResourceType": kind,
        "SourceResourceArn": arn,
        "Status": "COMPLETED",
        "CreationDate": begun,
        "CompletionDate": begun + timedelta(minutes=4),
        "RecoveryPointArn": f"arn:aws:backup:{REGION}:123456789012:recovery-point:{what}",
        "RecoveryPointCreationDate": begun - timedelta(hours=7),
    }
    return usual | other


def answer(stub: Stubber, *pages: list[dict[str, Any]]) -> None:
    """Have AWS tell of the plan and of its restores, page by page."""
    selection = {"Algorithm": "LATEST_WITHIN_WINDOW"}
    plan = {
        "RestoreTestingPlanName": "cortexkg_trial", "RestoreTestingPlanArn": PLAN, "CreationTime": NOW,
        "ScheduleExpression": "cron(0 8 ? * WED *)", "RecoveryPointSelection": selection,
    }  # fmt: skip
    wanted = {"RestoreTestingPlanName": "cortexkg_trial"}
    stub.add_response("get_restore_testing_plan", {"RestoreTestingPlan": plan}, wanted)
    for number, page in enumerate(pages):
        asked = {"ByRestoreTestingPlanArn": PLAN} | ({"NextToken": str(number)} if number else {})
        more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
        stub.add_response("list_restore_jobs", {"RestoreJobs": page, **more}, asked)


def looked(*pages: list[dict[str, Any]]) -> dict[str, restores.Restore]:
    with stubbed("backup", REGION) as (client, stub):
        answer(stub, *pages)
        return {each.what: each for each in restores.look(client, NAME, REGION, SINCE)}


def test_tells_how_long_it_took_and_how_old_the_backup_was() -> None:
    found = looked([job("database", ValidationStatus="SUCCESSFUL"), job("audit")], [job("data")])
    assert list(found) == ["database", "audit", "data"]
    assert {each.fault for each in found.values()} == {""}
    database = found["database"]
    assert (database.rto_seconds, database.rpo_seconds) == (240, 7 * 3600)
    assert (database.when, database.state, database.validation) == (WEDNESDAY, "COMPLETED", "SUCCESSFUL")
    assert database.recovery_point.endswith(":recovery-point:database")


def test_only_the_last_that_ended_counts() -> None:
    failed = job("database", WEDNESDAY - timedelta(days=7), Status="FAILED")
    running = job("database", NOW, Status="RUNNING")
    del running["CompletionDate"]
    for some in ([job("database"), failed, running], [running, failed, job("database")]):
        database = looked(some)["database"]
        assert (database.fault, database.when) == ("", WEDNESDAY)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Status": "FAILED", "StatusMessage": "no subnet"}, "its restore was FAILED: no subnet"),
        ({"Status": "ABORTED"}, "its restore was ABORTED: AWS does not say why"),
        ({"ValidationStatus": "FAILED", "ValidationStatusMessage": "empty"}, "will not do: empty"),
        ({"CreationDate": SINCE - timedelta(seconds=1)}, "it was last restored on 2026-03-12"),
        ({"CreationDate": SINCE}, ""),
        ({"ValidationStatus": "TIMED_OUT"}, ""),  # nobody looked at it
    ],
)
def test_what_is_a_fault(change: dict[str, Any], fault: str) -> None:
    found = looked([job("database"), job("audit"), job("data", **change)])
    assert found["data"].fault.endswith(fault)
    assert bool(found["data"].fault) == bool(fault)
    assert (found["database"].fault, found["audit"].fault) == ("", "")


def test_what_was_never_restored_is_a_fault() -> None:
    found = looked([job("database"), job("data")])
    assert {each.what for each in found.values() if each.fault == "it was never restored"} == {"audit"}


def test_no_plan_restores_nothing() -> None:
    with stubbed("backup", REGION) as (client, stub):
        stub.add_client_error("get_restore_testing_plan", "ResourceNotFoundException", "no such plan", 400)
        found = restores.look(client, NAME, REGION, SINCE)
    assert [each.fault for each in found] == ["it was never restored"] * 3


def test_what_aws_says_no_to_is_no_answer() -> None:
    with stubbed("backup", REGION) as (client, stub):
        stub.add_client_error(
            "get_restore_testing_plan", "AccessDeniedException", "as the test wants it", 403
        )
        with pytest.raises(Refused, match="AWS Backup in eu-west-1 says nothing"):
            restores.look(client, NAME, REGION, SINCE)


class Backup:
    """AWS Backup of all regions over HTTP, for a process of its own: `jobs` are what it lists."""

    def __init__(self) -> None:
        self.jobs = [job(what, datetime.now(UTC) - timedelta(days=2)) for what in SOURCES]
        backup = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                plan = {"RestoreTestingPlan": {"RestoreTestingPlanArn": PLAN}}
                jobs = {"RestoreJobs": backup.jobs}
                given = plan if self.path.startswith("/restore-testing/plans/cortexkg_trial") else jobs
                body = json.dumps(given, default=datetime.timestamp).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def backup(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backup]:
    made = Backup()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server.server_port}")
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def cortexctl(*words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-P",
        "-m",
        "cortexctl.main",
        "--deployment",
        "trial",
        "aws",
        "restores",
        *words,
    ]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, check=False)


def test_the_command_tells_of_all_regions(backup: Backup) -> None:
    done = cortexctl("--output", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    regions = {row["region"] for row in rows}
    assert (len(rows), regions) == (9, {"eu-west-1", "us-east-1", "ap-south-1"})
    assert {(row["rto_seconds"], row["rpo_seconds"]) for row in rows} == {(240, 7 * 3600)}
    assert {row["recovery_point"].rpartition(":")[2] for row in rows} == set(SOURCES)


def test_a_fault_is_an_objective_missed(backup: Backup) -> None:
    backup.jobs.pop()
    done = cortexctl()
    assert done.returncode == 3, done.stderr
    assert "data in eu-west-1: it was never restored." in done.stderr


def test_how_old_a_test_may_be_is_said(backup: Backup) -> None:
    assert cortexctl("--max-age-days", "1").returncode == 3
