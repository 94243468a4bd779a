"""Keys of tenants: their versions, rotation, ages, what needs them, and their end."""

from cortexctl.keys.ages import (
    ISSUERS,
    Aged,
    Kind,
    Policy,
    changed_policy,
    data_key_ages,
    due,
    kek_age,
    parse_age,
    policy_of,
    set_policy,
    token_key_ages,
    wrapping_key_ages,
)
from cortexctl.keys.keeping import (
    Retirement,
    await_reencryption,
    ledger,
    preview_retirement,
    retire,
    verify,
)
from cortexctl.keys.many import check, each
from cortexctl.keys.own import OwnKey, own_keys
from cortexctl.keys.rotation import Planned, Rotation, preview, rotate, versions
from cortexctl.keys.sealing import PlannedSealing, Sealed, preview_sealing, seal
from cortexctl.keys.tokens import (
    PlannedTokens,
    TokenRotation,
    preview_tokens,
    rotate_tokens,
)
from cortexctl.keys.wrapping import KekRotation, RootRotation, preview_kek, rotate_kek, rotate_root

__all__ = [
    "ISSUERS",
    "Aged",
    "KekRotation",
    "Kind",
    "OwnKey",
    "Planned",
    "PlannedSealing",
    "PlannedTokens",
    "Policy",
    "Retirement",
    "RootRotation",
    "Rotation",
    "Sealed",
    "TokenRotation",
    "await_reencryption",
    "changed_policy",
    "check",
    "data_key_ages",
    "due",
    "each",
    "kek_age",
    "ledger",
    "own_keys",
    "parse_age",
    "policy_of",
    "preview",
    "preview_kek",
    "preview_retirement",
    "preview_sealing",
    "preview_tokens",
    "retire",
    "rotate",
    "rotate_kek",
    "rotate_root",
    "rotate_tokens",
    "seal",
    "set_policy",
    "token_key_ages",
    "verify",
    "versions",
    "wrapping_key_ages",
]
