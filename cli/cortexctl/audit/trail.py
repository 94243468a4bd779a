"""Reading of the audit log by tenant, actor, action, result and time."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from cortex_runtime.client import Client
from cortex_runtime.formats.messages import AuditEvent
from cortexctl.errors import UsageError

AGE = re.compile(r"^(\d{1,6})([smhd])$")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; None is everything. `since` and `until` are ISO 8601 times with their zone."""

    tenant: str | None = None
    actor: str | None = None
    action: str | None = None
    result: str | None = None
    resource: str | None = None
    session: str | None = None
    request_id: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int = 100


def trail(client: Client, wanted: Filter) -> list[AuditEvent]:
    """Return the newest events that match, newest first. Raises ClientError."""
    query = urlencode({key: value for key, value in asdict(wanted).items() if value is not None})
    return client.request("GET", f"/v1/audit?{query}", type=list[AuditEvent])


def since(text: str, now: datetime) -> str:
    """Return the time that an age (90s, 15m, 1h, 7d) or an ISO 8601 time means. Raises UsageError."""
    if found := AGE.match(text):
        return (now - timedelta(**{UNITS[found[2]]: int(found[1])})).isoformat(timespec="milliseconds")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no time.",
            why="It is neither an age like 90s, 15m, 1h, 7d nor ISO 8601.",
            todo="Mend --since or --until.",
        ) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat(timespec="milliseconds")
