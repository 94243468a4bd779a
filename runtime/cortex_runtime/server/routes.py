"""The routes of the service: none can be written without audience and action, its permission (see rbac)."""

from __future__ import annotations

from typing import Any

from cortex_runtime.formats import messages as m
from cortex_runtime.security.rbac import Audience
from cortex_runtime.server import (
    access,
    apikeys,
    auditing,
    compliance,
    concepts,
    keys,
    leaving,
    openapi,
    operations,
    rights,
    tenants,
)
from cortex_runtime.server.requests import Handler, Route

_CORTEX = "/v1/tenants/{tenant}/cortices/{cortex}"
_TENANT = "/v1/tenants/{tenant}"


def routes() -> list[Route]:
    """Return all routes."""
    return [*_of_tenants(), *_of_operators(), *_of_anybody()]


def _of_tenants() -> list[Route]:
    def route(method: str, path: str, action: str, handler: Handler, summary: str, **more: Any) -> Route:
        return Route(method, path, "tenant", action, handler, summary, **more)

    concept, edges = f"{_CORTEX}/concepts/{{concept}}", f"{_CORTEX}/relationships"
    written = {"gives": m.BatchResponse, "audited": False}  # the event is in the write's own transaction
    return [
        route("PUT", concept, "concept.put", concepts.put_concept, "Put a concept",
              takes=m.ConceptBody, **written),
        route("GET", concept, "concept.get", concepts.get_concept, "Get a concept", gives=m.Concept),
        route("DELETE", concept, "concept.delete", concepts.delete_concept, "Delete a concept", **written),
        route("POST", edges, "relate", concepts.relate, "Relate", takes=m.RelateOperation, **written),
        route("DELETE", edges, "unrelate", concepts.unrelate, "Unrelate",
              takes=m.UnrelateOperation, **written),
        route("POST", f"{_CORTEX}/batch", "batch", concepts.batch, "Apply operations, all or none",
              takes=m.BatchRequest, **written),
        route("POST", f"{_CORTEX}/query", "query", concepts.query, "Find concepts",
              takes=m.QueryRequest, gives=m.QueryResponse),
        route("GET", f"{_TENANT}/cortices", "cortex.list", rights.list_cortices, "List cortices",
              gives=list[m.CortexSummary]),
        route("GET", f"{_CORTEX}/export", "cortex.export", rights.export, "Take concepts out, by pages",
              gives=m.ExportPage, query=("after",)),
        route("POST", f"{_CORTEX}/erase", "cortex.erase", rights.erase, "Erase one subject's concepts",
              takes=m.ErasureRequest, gives=m.ErasurePage),
        route("GET", "/v1/session", "session.show", access.show_session, "Show the session",
              gives=m.Session),
        route("POST", "/v1/session", "session.renew", access.renew_session, "Get the session another token",
              gives=m.LoginResponse),
        route("POST", "/v1/logout", "logout", access.logout, "End the session"),
    ]  # fmt: skip


def _of_operators() -> list[Route]:
    def route(method: str, path: str, action: str, handler: Handler, summary: str, **more: Any) -> Route:
        return Route(method, path, "operator", action, handler, summary, **more)

    changed = {"audited": False}  # the event is in the change's own transaction
    return [
        route("POST", "/v1/tenants", "tenant.onboard", tenants.onboard, "Onboard a tenant",
              takes=m.OnboardRequest, gives=m.OnboardResponse, **changed),
        route("GET", "/v1/tenants", "tenant.list", tenants.list_tenants, "List tenants",
              gives=list[m.Tenant]),
        route("GET", _TENANT, "tenant.show", tenants.show_tenant, "Show a tenant", gives=m.Tenant),
        route("PUT", f"{_TENANT}/quota", "tenant.quota", tenants.set_quota, "Give another tier and quota",
              takes=m.QuotaRequest, gives=m.Tenant, **changed),
        route("POST", f"{_TENANT}/suspend", "tenant.suspend", tenants.suspend, "Shut a tenant out",
              gives=m.Tenant, **changed),
        route("POST", f"{_TENANT}/resume", "tenant.resume", tenants.resume, "Let a tenant in again",
              gives=m.Tenant, **changed),
        route("PUT", f"{_TENANT}/legal-hold", "tenant.legal-hold", leaving.set_legal_hold,
              "Hold data against their destruction", takes=m.LegalHoldRequest, gives=m.Tenant, **changed),
        route("POST", f"{_TENANT}/leave", "tenant.leave", leaving.leave, "Shut a tenant out for good",
              gives=m.Tenant, **changed),
        route("POST", f"{_TENANT}/purge", "tenant.purge", leaving.purge, "Remove what a leaving tenant has",
              gives=m.PurgeProgress, **changed),
        route("GET", f"{_TENANT}/residue", "tenant.residue", leaving.residue, "What is left of a tenant here",
              gives=m.Residue),
        route("PUT", f"{_TENANT}/identity-provider", "tenant.identity-provider",
              tenants.set_identity_provider, "Say where a tenant's people log in",
              takes=m.IdentityProvider, gives=m.IdentityProvider, **changed),
        route("DELETE", f"{_TENANT}/identity-provider", "tenant.identity-provider",
              tenants.remove_identity_provider, "Let nobody log in by OpenID Connect", **changed),
        route("POST", f"{_TENANT}/api-keys", "api-key.make", apikeys.make_api_key, "Make an API key",
              takes=m.ApiKeyRequest, gives=m.ApiKeyResponse, **changed),
        route("GET", f"{_TENANT}/api-keys", "api-key.list", apikeys.list_api_keys, "List API keys",
              gives=list[m.ApiKey]),
        route("DELETE", f"{_TENANT}/api-keys/{{key}}", "api-key.revoke", apikeys.revoke_api_key,
              "Take an API key away", **changed),
        route("GET", f"{_TENANT}/keys", "key.list", keys.list_keys, "List data keys",
              gives=list[m.KeyVersion]),
        route("POST", f"{_TENANT}/keys", "key.make", keys.make_key, "Make the next data key",
              gives=m.KeyVersion, **changed),
        route("POST", f"{_TENANT}/keys/{{version}}/prove", "key.prove", keys.prove_key,
              "Prove a data key in a region", gives=m.KeyVersion, **changed),
        route("POST", f"{_TENANT}/keys/{{version}}/activate", "key.rotate", keys.activate_key,
              "Seal with a proven data key from now on", gives=m.KeyVersion, **changed),
        route("GET", f"{_TENANT}/keys/ledger", "key.ledger", keys.ledger, "What still needs each version",
              gives=list[m.LedgerEntry]),
        route("GET", f"{_TENANT}/keys/verify", "key.verify", keys.verify_keys,
              "Open a sample of each version in this region", gives=list[m.Verified]),
        route("POST", f"{_TENANT}/keys/rewrap", "key.rewrap", keys.rewrap_keys,
              "Wrap all keys by the newest key-encryption key", takes=m.RewrapRequest, gives=m.Rewrapped,
              **changed),
        route("GET", f"{_TENANT}/keys/wrapping", "key.list", keys.wrapping,
              "By which key-encryption keys all keys are wrapped", gives=m.Wrapping),
        route("POST", f"{_TENANT}/keys/{{version}}/retire", "key.retire", keys.retire_key,
              "Destroy a version that nothing needs", gives=m.KeyVersion, **changed),
        route("GET", "/v1/audit", "audit.trail", auditing.audit_trail, "Read the audit log",
              gives=list[m.AuditEvent], query=("tenant", *auditing.FILTERS, "since", "until", "limit")),
        route("GET", "/v1/audit/trees", "audit.trees", auditing.audit_trees, "The heads of all audit logs",
              gives=list[m.AuditTree], audited=False),  # asked for each second, and has nothing of anybody
        route("GET", "/v1/audit/segments", "audit.export", auditing.audit_segments,
              "Segments of an audit log", gives=list[m.AuditSegment], query=("tenant", "first")),
        route("GET", "/v1/audit/anchors", "audit.anchors", auditing.audit_anchors,
              "Checkpoints that a region keeps", gives=list[str], query=("tenant",)),
        route("GET", "/v1/audit/proof", "audit.prove", auditing.audit_proof, "Prove an event",
              gives=m.AuditInclusion, query=("event",)),
        route("GET", "/v1/audit/consistency", "audit.prove-growth", auditing.audit_consistency,
              "Prove that an audit log only grew", gives=m.AuditConsistency, query=("tenant", "first")),
        route("GET", "/v1/compliance", "compliance.evidence", compliance.evidence,
              "What the database says of its security and retention", gives=m.DatabaseEvidence,
              query=("settled",)),
        route("GET", "/v1/health", "health", operations.health, "This node's report",
              gives=m.HealthReport, audited=False, query=("hashes",)),
        route("GET", "/metrics", "metrics", operations.metrics, "This node's metrics", audited=False),
    ]  # fmt: skip


def _of_anybody() -> list[Route]:
    public: Audience = "public"
    return [
        Route("POST", "/v1/login", public, "login", access.login, "Exchange an API key for a token",
              takes=m.LoginRequest, gives=m.LoginResponse),
        Route("POST", "/v1/login/oidc", public, "login.oidc", access.login_oidc,
              "Exchange an ID token of the tenant's identity provider for a token",
              takes=m.OidcLoginRequest, gives=m.LoginResponse),
        Route("GET", "/v1/login/oidc", public, "login.provider", access.show_provider,
              "Where a tenant's people log in", gives=m.LoginProvider, query=("tenant",)),
        Route("GET", "/v1/openapi.json", public, "openapi", _openapi, "This document", audited=False),
    ]  # fmt: skip


async def _openapi(service: object, request: object) -> bytes:  # noqa: ARG001
    return openapi.document(routes())
