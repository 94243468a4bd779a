"""A whole validation: drive, measure, judge."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_runtime.client import ClientError
from cortexctl.errors import Refused
from cortexctl.load import driving, figures, judging
from cortexctl.load.figures import Figures
from cortexctl.load.judging import Thresholds, Verdict
from cortexctl.probing.doors import Door


@dataclass(frozen=True, slots=True)
class Load:
    """Requests a second in all, over so many connections, for so many seconds."""

    rate: float
    connections: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Validation:
    """What was measured at a front door, and each verdict on it."""

    url: str
    load: Load
    figures: Figures
    verdicts: tuple[Verdict, ...]

    @property
    def missed(self) -> tuple[Verdict, ...]:
        """The verdicts that are not met."""
        return tuple(verdict for verdict in self.verdicts if not verdict.met)


def validate(door: Door, tenant: str, key: str, load: Load, bounds: dict[str, Thresholds]) -> Validation:
    """Put the load on a door as a tenant; `bounds` by where they come from. Raises Refused."""
    try:
        samples, seconds = driving.drive(
            lambda: door.tenant(tenant, key, timeout=driving.TIMEOUT), tenant,
            connections=load.connections, rate=load.rate, seconds=load.seconds,
        )  # fmt: skip
    except ClientError as error:
        raise Refused(
            f"{door.url} cannot be asked as tenant {tenant!r}.", why=str(error),
            todo="Look whether it is healthy (cortexctl health), and check the tenant's API key.",
        ) from error  # fmt: skip
    found = figures.of(samples, seconds)
    verdicts = [verdict for kind, one in bounds.items() for verdict in judging.judge(found, one, kind)]
    return Validation(door.url, load, found, tuple(verdicts))
