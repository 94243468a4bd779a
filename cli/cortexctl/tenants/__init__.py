"""Tenants: their keys in the keyrings, onboarding, API keys."""

from cortexctl.tenants.keyrings import KeyringChange, add_tenant, planned
from cortexctl.tenants.onboarding import Onboarded, find, further_api_key, onboard, show, show_all

__all__ = [
    "KeyringChange",
    "Onboarded",
    "add_tenant",
    "find",
    "further_api_key",
    "onboard",
    "planned",
    "show",
    "show_all",
]
