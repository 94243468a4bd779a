"""Keys of tenants: their versions, rotation, ages, what needs them, and their end."""

from cortexctl.keys.ages import (
    Aged,
    Kind,
    Policy,
    changed_policy,
    due,
    kek_age,
    key_ages,
    parse_age,
    policy_of,
    set_policy,
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
from cortexctl.keys.rotation import Planned, Rotation, preview, rotate, versions
from cortexctl.keys.sealing import PlannedSealing, Sealed, preview_sealing, seal
from cortexctl.keys.wrapping import KekRotation, RootRotation, preview_kek, rotate_kek, rotate_root

__all__ = [
    "Aged",
    "KekRotation",
    "Kind",
    "Planned",
    "PlannedSealing",
    "Policy",
    "Retirement",
    "RootRotation",
    "Rotation",
    "Sealed",
    "await_reencryption",
    "changed_policy",
    "check",
    "due",
    "each",
    "kek_age",
    "key_ages",
    "ledger",
    "parse_age",
    "policy_of",
    "preview",
    "preview_kek",
    "preview_retirement",
    "preview_sealing",
    "retire",
    "rotate",
    "rotate_kek",
    "rotate_root",
    "seal",
    "set_policy",
    "verify",
    "versions",
]
