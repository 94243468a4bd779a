"""Tenants: their keys in the keyrings, onboarding, API keys."""

from cortexctl.tenants.keyrings import KeyringChange, add_tenant
from cortexctl.tenants.onboarding import Onboarded, Planned, further_api_key, onboard, preview, show, show_all

__all__ = [
    "KeyringChange",
    "Onboarded",
    "Planned",
    "add_tenant",
    "further_api_key",
    "onboard",
    "preview",
    "show",
    "show_all",
]
