"""What the control plane asks of a platform, wherever its regions live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from cortexctl.certificates import Certificate

RegionStatus = Literal["healthy", "degraded", "draining", "lost"]


@dataclass(frozen=True, slots=True)
class Landing:
    """Evidence that a fault landed: the instant (seconds, time.time()) and what was ended."""

    at: float
    target: str
    processes: tuple[str, ...]
    survivors: tuple[str, ...]

    @property
    def landed(self) -> bool:
        """True when something was ended and nothing of it is left."""
        return bool(self.processes) and not self.survivors


@dataclass(frozen=True, slots=True)
class DatabaseMember:
    """One database instance as the arbiter sees it; `lag` in bytes, None when unknown."""

    region: str
    role: Literal["primary", "sync_standby", "standby", "absent"]
    state: str
    timeline: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """Files of a tree of processes: `what` is logs, traces or metrics, `place` a region or the edge.

    They are removed after `days`, None when that is not set. `oldest`: when the oldest of them was written.
    """

    place: str
    what: str
    days: int | None
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Listener:
    """What listens, or is to: its port, the addresses that it is bound to, whether it answers in TLS.

    One that nobody knows has neither place nor name; one that does not run has no addresses.
    """

    place: str
    name: str
    port: int
    addresses: tuple[str, ...]
    encrypted: bool


class Platform(Protocol):
    """Where regions live. `cortexctl.platforms.local.LocalPlatform(deployment)` is one."""

    def prepare(self) -> None:
        """Make what must be there before anything starts (CA, certificates, secrets), if it isn't yet."""

    def certificates(self) -> tuple[Certificate, ...]:
        """Return all certificates, with what each listener that answers shows."""

    def due_certificates(self, *, everything: bool) -> tuple[Path, ...]:
        """Return the files that a renewal would replace. Changes nothing."""

    def replace_certificates(self, *, everything: bool) -> tuple[Path, ...]:
        """Replace the files that are due, or all of them, and return these."""

    def take_up_certificates(self, *, patience: float) -> tuple[Certificate, ...]:
        """Have what runs show the certificates of the files; returns those that were not taken up in time."""

    def listeners(self) -> tuple[Listener, ...]:
        """Return all that is to listen, and whatever else does on a port of the deployment."""

    def owner(self) -> str:
        """Return a libpq connection string of the schema's owner, to the primary database. Raises Refused."""

    def kept_files(self) -> tuple[KeptFiles, ...]:
        """Return how long which files are kept, and the oldest that there are."""

    def keep_files(self, days: Mapping[str, int]) -> None:
        """Have files kept for so many days, by what they are, from now on."""

    def living(self) -> frozenset[str]:
        """Return the names of the regions and nodes that are alive, and "edge"; a zombie is dead.

        A region is alive when its tree of processes has its supervisor; its nodes one by one.
        """

    def stop(self) -> None:
        """End every process of the deployment, whatever Terraform's state says; returns when all are gone."""

    def database(self) -> tuple[DatabaseMember, ...]:
        """Return all members, those that do not answer as absent."""

    def region_processes(self, region: str) -> tuple[str, ...]:
        """Return what lives of a region, or of the 'edge', as 'pid name'."""

    def kill_region(self, region: str) -> Landing:
        """End a whole region at once with SIGKILL."""

    def kill_node(self, node: str) -> Landing:
        """End one node with SIGKILL; it stays down until start_node."""

    def kill_database(self, region: str) -> Landing:
        """End the postmaster of a region with SIGKILL."""

    def start_region(self, region: str) -> None:
        """Bring a region back."""

    def start_node(self, node: str) -> None:
        """Bring a node back."""

    def switchover(self, to: str) -> None:
        """Planned switch of the primary to a region. Raises Refused."""

    def force_failover(self, to: str) -> None:
        """Promote a region although acknowledged writes may be lost. Raises Refused."""
