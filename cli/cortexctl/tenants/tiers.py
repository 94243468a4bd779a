"""Tiers: the quotas that tenants get unless they are given their own, from policies/tiers.yaml."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from cortex_runtime.formats.messages import Quota
from cortexctl import policies
from cortexctl.errors import Refused, UsageError


@dataclass(frozen=True, slots=True)
class QuotaWish:
    """What is asked for instead of the tier's; None is as the tier has it."""

    concepts: int | None = None
    columns: int | None = None
    storage: int | None = None
    requests: int | None = None


def quota_of(tier: str, wish: QuotaWish = QuotaWish()) -> Quota:
    """Return a tier's quota with what is wished for. Raises UsageError or Refused."""
    known = load()
    if tier not in known:
        raise UsageError(f"There is no tier {tier!r}.", todo=f"Name one of: {', '.join(known)}.")
    return with_wish(known[tier], wish)


def with_wish(quota: Quota, wish: QuotaWish) -> Quota:
    """Return a quota with what is wished for. Raises UsageError."""
    wanted = {name: getattr(wish, name) for name in Quota.__struct_fields__}
    changes = {name: value for name, value in wanted.items() if value is not None}
    try:
        return msgspec.convert({**msgspec.structs.asdict(quota), **changes}, Quota)
    except msgspec.ValidationError as error:
        raise UsageError("The quota cannot be.", why=str(error), todo="Give other numbers.") from error


def load() -> dict[str, Quota]:
    """Return the quotas by tier. Raises Refused."""
    import yaml  # noqa: PLC0415 - --help must be quick

    path = policies.find("tiers.yaml")
    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()), dict[str, Quota])
    except (OSError, yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise Refused(f"{path} is not usable.", why=why, todo="Mend the file.") from error
