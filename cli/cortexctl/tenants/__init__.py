"""Tenants: their keys in the keyrings, onboarding, quotas, API keys, where their people log in."""

from cortexctl.tenants.apikeys import api_keys, make_api_key, revoke_api_key
from cortexctl.tenants.identity import described, remove_identity_provider, set_identity_provider
from cortexctl.tenants.keks import of as keeper_of
from cortexctl.tenants.leaving import Receipt, offboard, set_legal_hold
from cortexctl.tenants.onboarding import (
    Onboarded,
    Planned,
    onboard,
    preview,
    resume,
    set_quota,
    show,
    show_all,
    suspend,
)
from cortexctl.tenants.rights import Erasure, ExportedCortex, cortices, erase, export
from cortexctl.tenants.tiers import QuotaWish, quota_of, with_wish

__all__ = [
    "Erasure",
    "ExportedCortex",
    "Onboarded",
    "Planned",
    "QuotaWish",
    "Receipt",
    "api_keys",
    "cortices",
    "described",
    "erase",
    "export",
    "keeper_of",
    "make_api_key",
    "offboard",
    "onboard",
    "preview",
    "quota_of",
    "remove_identity_provider",
    "resume",
    "revoke_api_key",
    "set_identity_provider",
    "set_legal_hold",
    "set_quota",
    "show",
    "show_all",
    "suspend",
    "with_wish",
]
