"""All checks by name: what each reads of a deployment, and how that is judged."""

from __future__ import annotations

from typing import Any

from cortexctl.compliance.checks import access, audit, changes, keys, network, recovery, retention, subjects
from cortexctl.compliance.finding import Bounds, Check

NO_TENANTS = "There is no tenant."

CHECKS: dict[str, Check[Any, Any]] = {
    "key-ages": Check(
        keys.AgeBounds, "the ages of all keys in use, and the schedule (cortexctl key schedule)",
        lambda source: source.ages, keys.ages,
    ),
    "key-ledger": Check(
        keys.ProofBounds, "what needs each version of each tenant's data key (cortexctl key ledger)",
        lambda source: source.sealing, keys.proven, NO_TENANTS,
    ),
    "key-opening": Check(
        Bounds, "a sample of what each version seals, opened in every region (cortexctl key verify)",
        lambda source: source.opened, keys.opens, NO_TENANTS,
    ),
    "keyring-sealed": Check(
        Bounds, "the keyring's file in every region", lambda source: source.keyring_files, keys.sealed,
        "AWS KMS has the keys.",
    ),
    "api-keys": Check(
        access.ApiKeyBounds, "all API keys (cortexctl api-key list), and their last use in the audit log",
        lambda source: source.api_keys, access.api_keys, "No tenant has an API key.",
    ),
    "access-review": Check(
        access.ReviewBounds, "the reviews on record in evidence/ (cortexctl compliance review)",
        lambda source: source.statements("review"), access.review,
    ),
    "roles-separated": Check(
        Bounds, "the roles that are in force in every region", lambda source: source.roles, access.separated
    ),
    "operator-credentials": Check(
        access.CredentialBounds, "the files in operator/", lambda source: source.credentials,
        access.credentials,
    ),
    "row-security": Check(
        access.TableBounds, "the catalogue of the primary database", lambda source: source.database,
        access.row_security,
    ),
    "listeners-encrypted": Check(
        network.TlsBounds, "every listener, by a handshake", lambda source: source.listeners,
        network.encrypted,
    ),
    "listeners-bound": Check(
        network.AddressBounds, "the kernel's list of listeners on the deployment's ports",
        lambda source: source.listeners, network.bound,
    ),
    "certificate-life": Check(
        network.LifeBounds, "all certificates, and what each listener shows (cortexctl certificate list)",
        lambda source: source.certificates, network.life,
    ),
    "audit-trees": Check(
        Bounds, "all audit logs, exported and verified (cortexctl audit verify)", lambda source: source.logs,
        audit.trees,
    ),
    "audit-fresh": Check(
        audit.FreshBounds, "the heads of all audit logs in the primary database",
        lambda source: source.database.logs, audit.fresh, "There is no log.",
    ),
    "audit-anchored": Check(
        Bounds, "the checkpoints in every region's object store", lambda source: source.anchors,
        audit.anchored, "No log is old enough to be anchored.",
    ),
    "drills": Check(
        recovery.DrillBounds, "the signed reports of drills in evidence/ (cortexctl drill run)",
        lambda source: source.statements("drill"), recovery.drills,
    ),
    "restore": Check(
        recovery.RecentBounds, "the signed reports of restores in evidence/",
        lambda source: source.statements("restore"), recovery.restore,
    ),
    "backups": Check(
        recovery.RecentBounds, "the backups that are registered in the primary database",
        lambda source: source.database.backups, recovery.backups,
    ),
    "healthy": Check(
        Bounds, "regions, nodes, databases and load balancers (cortexctl status)",
        lambda source: source.health, recovery.healthy,
    ),
    "room": Check(
        recovery.RoomBounds, "each tenant's usage and quota (cortexctl tenant show)",
        lambda source: source.serving, recovery.room, NO_TENANTS,
    ),
    "retention-set": Check(
        Bounds, "retention.json of each tree and the table `retention`, beside policies/retention.yaml",
        lambda source: source.kept, retention.as_set,
    ),
    "retention-held": Check(
        retention.SlackBounds, "the oldest log, trace and metric of each tree, and the oldest audit event",
        lambda source: source.kept, retention.held,
    ),
    "right": Check(
        subjects.RightBounds, "what the service says that it serves, and the roles of every region",
        lambda source: source.served, subjects.right,
    ),
    "receipts": Check(
        Bounds, "all tenants, and the signed receipts in evidence/", lambda source: source.departures,
        subjects.receipts, "No tenant has left.",
    ),
    "roles-in-force": Check(
        Bounds, "the roles' file of each region, beside policies/rbac.yaml",
        lambda source: source.roles_in_force, changes.in_force,
    ),
    "drift": Check(
        Bounds, "what an up would change (cortexctl up --dry-run)", lambda source: source.drift,
        changes.undrifted,
    ),
    "one-version": Check(
        Bounds, "the version of every node (cortexctl status)", lambda source: source.health,
        changes.one_version,
    ),
}  # fmt: skip
