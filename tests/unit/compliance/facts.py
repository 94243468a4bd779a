"""What each check may find: facts that pass, and the same with one thing broken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace as other

from cortex_runtime.formats.messages import (
    ApiKey,
    AuditFreshness,
    DatabaseEvidence,
    DatabaseRole,
    KeptBackup,
    KeyVersion,
    LedgerEntry,
    Quota,
    TableSecurity,
    Tenant,
    Usage,
    Verified,
)
from cortex_runtime.formats.statements import Statement, Subject
from cortexctl.audit.verifying import Verified as VerifiedLog
from cortexctl.certificates import Certificate, Found
from cortexctl.compliance.checks.access import Credential, UsedKey
from cortexctl.compliance.checks.audit import Anchors, Log
from cortexctl.compliance.checks.keys import Ages, KeyringFile, Sealing
from cortexctl.compliance.checks.retention import Kept as KeptFor
from cortexctl.compliance.checks.subjects import Departures, Served
from cortexctl.compliance.roles import Role
from cortexctl.evidence import Kept
from cortexctl.health import Health, NodeHealth, RegionHealth
from cortexctl.keys import Aged, Policy
from cortexctl.platforms.base import DatabaseMember, KeptFiles, Listener
from cortexctl.retention import Policy as Retention

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat()


def statement(name: str, days: float = 1.0, **predicate: Any) -> Kept:
    content = {"at": ago(days), "finished": ago(days), "by": "ada", "outcome": "passed", **predicate}
    made = Statement(subject=[Subject("x", {})], predicateType="x", predicate=content)
    return Kept(Path(f"{name}.json"), "d" * 64, made)


def forged(kept: Kept) -> Kept:
    return replace(kept, statement=None, trouble="it is not signed by this key")


# Keys
AGES = Ages(
    Policy(),
    [
        Aged("root", "", 10.0),
        Aged("data", "acme", 89.0, 7),
        Aged("kek", "acme", 364.0),
        Aged("operator-tokens", "", 89.0),
    ],
)
VERSION = KeyVersion(
    version=2, state="ACTIVE", kek_version=1, created_at=ago(3), activated_at=ago(3),
    proven=["eu-west", "us-east"], concepts=1, rows=1, seals=1,
)  # fmt: skip
ENTRY = LedgerEntry(tenant="acme", version=2, state="ACTIVE", part="concept", uses=3)
OPENED = Verified(region="eu-west", version=2, state="ACTIVE", check_value=True, tried=3, opened=3)
KEYRING = KeyringFile("eu-west", sealed=True, mode=0o600)

# Access
KEY = ApiKey(id="k1", role="admin", once=False, created_at=ago(300), used_at=None)
USED = UsedKey("acme", KEY, ago(80))
REVIEW = statement("review-1", days=89)
ROLES = {
    "eu-west": {
        "reader": Role("tenant", frozenset({"query", "cortex.export", "cortex.erase"})),
        "operator": Role("operator", frozenset({"health"})),
        "anonymous": Role("public", frozenset({"login"})),
    }
}
CREDENTIAL = Credential("operator/token-keys.json", 0o600, is_ours=True, age=100.0)
TABLES = ["tenant", "tenant_quota", "api_key", "identity_provider", "shown_once", "denied", "data_key",
          "key_proof", "audit_segment", "audit_tree", "audit_subtree", "audit_checkpoint"]  # fmt: skip
DATABASE = DatabaseEvidence(
    tables=[TableSecurity(table=name, enabled=True, forced=True, policies=1) for name in TABLES],
    role=DatabaseRole(name="cortex", superuser=False, bypasses=False, owned=0),
    retention={"audit": "7 years"}, oldest_audit=None, logs=[], backups=[],
)  # fmt: skip


def database(**change: Any) -> DatabaseEvidence:
    return other(DATABASE, tables=[other(DATABASE.tables[0], **change), *DATABASE.tables[1:]])


def with_role(**change: Any) -> DatabaseEvidence:
    return other(DATABASE, role=other(DATABASE.role, **change))


def with_roles(**change: Role) -> dict[str, dict[str, Role]]:
    return {"eu-west": {**ROLES["eu-west"], **change}}


# Network
DATABASE_LISTENER = Listener("eu-west", "database", 20004, ("127.0.0.1",), encrypted=True)
SUPERVISOR = Listener("eu-west", "supervisor", 20001, ("127.0.0.1",), encrypted=False)
CERTIFICATE = Certificate(
    place="eu-west", name="server", subject="front", path=Path("server.pem"), due_before=timedelta(days=30),
    found=Found("a1", NOW + timedelta(days=8)), shown={"load balancer": Found("a1", NOW + timedelta(days=8))},
    now=NOW,
)  # fmt: skip

# Audit
LOG = Log("acme", VerifiedLog("acme", 3, 9, 0, 1, "ab" * 32, ago(3)))
FRESH = AuditFreshness(tenant="acme", size=9, signed_at=ago(1), settled=8, waiting=0.4)
ANCHORS = Anchors([FRESH], {"eu-west": {"acme": 8}, "us-east": {"acme": 9}})

# Recovery
DRILLS = [
    statement(f"drill-20260501T000000Z-{name}", days=31, drill=name)
    for name in ("region-loss", "node-loss", "database-loss")
]
BACKUP = KeptBackup(name="b1", made_at=ago(0.9), until=ago(-30))
NODE = NodeHealth(
    name="eu-west-1", region="eu-west", status="healthy", reasons=(), role="owner", owned=1, slots=1, lag=0.0,
    columns=1, concepts=1, relationships=0, pending_relationships=0, queue=0, consolidation_backlog=0,
    kernels="numpy", version="0.1.0", uptime=9.0, address="127.0.0.1:1",
)  # fmt: skip
REGION = RegionHealth(
    "eu-west", "primary", "healthy", (), DatabaseMember("eu-west", "primary", "running", 1, 0), "https://x"
)
HEALTH = Health(
    deployment="d", id="d-1", profile="small", healthy=True, durability="global: two of three regions",
    load_balancer_url="https://x", reasons=(), warnings=(), regions=(REGION,), nodes=(NODE, NODE),
)  # fmt: skip
QUOTA = Quota(concepts=100, columns=100, storage=100, requests=1)
TENANT = Tenant(
    tenant="acme", tier="free", state="active", created_at=ago(9), key_version=1, legal_hold=False,
    usage=Usage(concepts=90, columns=1, storage=1), quota=QUOTA,
)  # fmt: skip

# Retention
RETENTION = Retention(logs="90 days", traces="7 days", metrics="30 days", audit="7 years")
LOGS = KeptFiles("eu-west", "logs", 90, NOW - timedelta(days=91))
TRACES = KeptFiles("eu-west", "traces", 7, None)
KEPT = KeptFor(RETENTION, (LOGS, TRACES), "7 years", NOW - timedelta(days=2557))

# Rights
EXPORT = "GET /v1/tenants/{tenant}/cortices/{cortex}/export"
ERASE = "POST /v1/tenants/{tenant}/cortices/{cortex}/erase"
SERVED = Served(frozenset({EXPORT, ERASE}), ROLES)
RECEIPT = statement(
    "offboarding-acme-1", tenant="acme", left_at=ago(2), opened_versions=0, nodes={"n": {"database": 0}}
)
GONE = Departures([other(TENANT, state="gone")], [RECEIPT])


def receipt(**change: Any) -> Departures:
    return replace(GONE, receipts=[statement("offboarding-acme-1", **{**_content(RECEIPT), **change})])


def _content(kept: Kept) -> dict[str, Any]:
    assert kept.statement is not None
    return kept.statement.predicate


# By the control's id: what passes, and what does not.
CASES: dict[str, tuple[Any, list[Any]]] = {
    "keys-young": (AGES, [
        replace(AGES, keys=[Aged("data", "acme", 90.0)]),
        replace(AGES, keys=[Aged("kek", "acme", 365.0)]),
        replace(AGES, keys=[Aged("node-tokens", "", 90.0)]),
        replace(AGES, keys=[Aged("root", "", None)]),
        replace(AGES, keys=[Aged("data", "acme", 1.0, 1 << 31)]),
        replace(AGES, schedule=Policy(data=30)),  # the deployment's own schedule is shorter
        replace(AGES, schedule=Policy(data=3650), keys=[Aged("data", "acme", 91.0)]),  # or far too long
    ]),
    "rows-sealed": ({"acme": Sealing([VERSION], [ENTRY])}, [
        {"acme": Sealing([other(VERSION, proven=["eu-west"])], [ENTRY])},
        {"acme": Sealing([other(VERSION, state="PENDING")], [ENTRY])},
        {"acme": Sealing([other(VERSION, state="DESTROYED")], [ENTRY])},
        {"acme": Sealing([VERSION], [other(ENTRY, version=1)])},
    ]),
    "rows-open": (([OPENED], []), [
        ([other(OPENED, check_value=False)], []),
        ([other(OPENED, opened=2)], []),
        ([OPENED], ["acme: region us-east does not answer"]),
    ]),
    "keyring-sealed": ([KEYRING], [[replace(KEYRING, sealed=False)], [replace(KEYRING, mode=0o640)]]),
    "api-keys-used": ([USED], [
        [replace(USED, key=other(KEY, created_at=ago(366)))],
        [replace(USED, used_at=ago(91))],
        [replace(USED, used_at=None)],  # never, and it is 300 days old
    ]),
    "access-reviewed": ([REVIEW], [
        [], [statement("review-1", days=91)], [forged(REVIEW)], [REVIEW, forged(statement("review-2"))],
        [statement("review-1", days=-2)],  # of a time to come
    ]),
    "duties-separated": (ROLES, [
        with_roles(operator=Role("operator", frozenset({"health", "query"}))),
        with_roles(anonymous=Role("public", frozenset({"cortex.export"}))),
    ]),
    "operator-credentials": ([CREDENTIAL], [
        [replace(CREDENTIAL, mode=0o644)], [replace(CREDENTIAL, is_ours=False)],
        [replace(CREDENTIAL, age=366.0)],
    ]),
    "row-level-security": (DATABASE, [
        database(enabled=False), database(forced=False), database(policies=0), database(table="another"),
        with_role(superuser=True), with_role(bypasses=True), with_role(owned=1),
    ]),
    "tls-everywhere": ([DATABASE_LISTENER, SUPERVISOR], [
        [replace(DATABASE_LISTENER, encrypted=False)], [replace(SUPERVISOR, name="patroni")],
    ]),
    "nothing-else-listens": ([DATABASE_LISTENER, SUPERVISOR], [
        [replace(DATABASE_LISTENER, addresses=("0.0.0.0",))],
        [replace(DATABASE_LISTENER, addresses=("127.0.0.1", "::"))],
        [replace(DATABASE_LISTENER, addresses=())],
        [replace(DATABASE_LISTENER, place="", name="")],
    ]),
    "certificates-last": ([CERTIFICATE], [
        [replace(CERTIFICATE, now=NOW + timedelta(days=2))], [replace(CERTIFICATE, found=None)],
        [replace(CERTIFICATE, shown={"load balancer": Found("b2", NOW + timedelta(days=8))})],
    ]),
    "audit-verifies": ([LOG], [
        [replace(LOG, verified=None, trouble="leaf 3 is missing")], [LOG, Log("-", None, "there is no log")],
        [replace(LOG, verified=None)],
    ]),
    "audit-fresh": ([FRESH], [[other(FRESH, waiting=61.0)], [other(FRESH, size=0)]]),
    "audit-anchored": (ANCHORS, [
        replace(ANCHORS, kept={"eu-west": {"acme": 7}}), replace(ANCHORS, kept={"eu-west": {}}),
        replace(ANCHORS, kept={"eu-west": {"acme": 8}, "us-east": None}),
    ]),
    "drills-pass": (DRILLS, [
        [], DRILLS[:2], [*DRILLS, forged(statement("drill-20260502T000000Z-node-loss"))],
        [*DRILLS, statement("drill-20260502T000000Z-node-loss", drill="node-loss", outcome="missed")],
        [*DRILLS[:2], statement("drill-20260501T000000Z-database-loss", days=91, drill="database-loss")],
        [*DRILLS[:2], statement("drill-20260501T000000Z-database-loss", drill="node-loss")],  # renamed
    ]),
    "restore-proven": ([statement("restore-1", days=89)], [
        [], [statement("restore-1", days=91)], [statement("restore-1", outcome="failed")],
        [forged(statement("restore-1"))],
    ]),
    "backups-recent": ([BACKUP], [[], [other(BACKUP, made_at=ago(1.1))]]),
    "healthy": (HEALTH, [
        replace(HEALTH, healthy=False, reasons=("durability",)),
        replace(HEALTH, nodes=(replace(NODE, status="lost"),)),
        replace(HEALTH, regions=(replace(REGION, status="degraded"),)),
    ]),
    "room-left": ([TENANT], [
        [other(TENANT, usage=Usage(concepts=1, columns=91, storage=1))],
        [other(TENANT, quota=other(QUOTA, storage=0))],
    ]),
    "retention-set": (KEPT, [
        replace(KEPT, files=(replace(LOGS, days=91), TRACES)),
        replace(KEPT, files=(replace(LOGS, days=None), TRACES)),
        replace(KEPT, audit="10 years"), replace(KEPT, audit=None),
    ]),
    "retention-held": (KEPT, [
        replace(KEPT, files=(replace(LOGS, oldest=NOW - timedelta(days=93)), TRACES)),
        replace(KEPT, files=(LOGS, replace(TRACES, oldest=NOW - timedelta(days=10)))),
        replace(KEPT, oldest_audit=NOW - timedelta(days=2560)),
    ]),
    "right-to-access": (SERVED, [
        replace(SERVED, routes=frozenset({ERASE})),
        replace(SERVED, roles=with_roles(reader=Role("tenant", frozenset({"query", "cortex.erase"})))),
    ]),
    "right-to-erasure": (SERVED, [
        replace(SERVED, routes=frozenset({EXPORT})),
        replace(SERVED, roles=with_roles(reader=Role("operator", frozenset({"cortex.erase"})))),
    ]),
    "leaving-proven": (GONE, [
        replace(GONE, receipts=[]), replace(GONE, receipts=[forged(RECEIPT)]), receipt(opened_versions=1),
        receipt(nodes={"n": {"database": 2}}), receipt(tenant="other"),
        replace(GONE, tenants=[other(TENANT, state="leaving")]),
    ]),
    "roles-approved": (("ab", {"eu-west": "ab"}), [("ab", {"eu-west": "ab", "us-east": "ac"})]),
    "no-drift": ({"global": {}}, [{"global": {}, "eu-west": {"module.region": "replace"}}]),
    "one-version": (HEALTH, [
        replace(HEALTH, nodes=(NODE, replace(NODE, version="0.2.0"))),
        replace(HEALTH, nodes=(NODE, replace(NODE, version=None))),
    ]),
}  # fmt: skip
