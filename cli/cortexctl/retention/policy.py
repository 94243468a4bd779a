"""The retention policy: policies/retention.yaml."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl import policies
from cortexctl.errors import Refused

# As PostgreSQL writes such an interval, so that what is set there can be compared by its text.
Age = Annotated[str, Meta(pattern=r"^(1 (day|year)|([2-9]|[1-9][0-9]{1,3}) (days|years))$(?!\n)")]
FILES = ("logs", "traces", "metrics")  # what is kept in files of each tree; audit is in the database


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what is kept, like `90 days` or `7 years`."""

    logs: Age
    traces: Age
    metrics: Age
    audit: Age


def load() -> Policy:
    """Return the policy. Raises Refused when its file is missing or damaged."""
    import yaml  # noqa: PLC0415 - --help must be quick

    path = policies.find("retention.yaml")
    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()), Policy)
    except (OSError, yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        why = " ".join(str(error).split())
        raise Refused(f"{path} is not usable.", why=why, todo="Mend the file.") from error


def days(age: str) -> int:
    """Return an age in days; a year has 365, so that nothing is taken for kept too long."""
    number, unit = age.split()
    return int(number) * (365 if unit.startswith("year") else 1)


decoding.learn(globals())
