"""The platform of one machine: its faults and returns, its database, what lives of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from cortexctl.certificates import Certificate
from cortexctl.deployment import Deployment, Node, Region
from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused, UsageError
from cortexctl.platforms.base import DatabaseMember, KeptFiles, Landing, Listener
from cortexctl.platforms.local import account, members, processes, regions
from cortexctl.platforms.local.processes import Process
from cortexctl.platforms.local.rest import Patroni
from cortexctl.platforms.local.supervisor import UP
from cortexctl.platforms.local.tree import NO_ANSWER

EDGE = "edge"
SWITCH_PATIENCE = 40.0


class LocalPlatform:
    """The regions of a deployment as trees of processes on this machine: a platforms.base.Platform."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._patroni = Patroni(deployment)

    def prepare(self) -> None:
        """Make CA, keys, passwords and each region's copies, where missing. Raises Refused."""
        from cortexctl.platforms.local import preparation  # noqa: PLC0415 - cryptography takes its time to load

        preparation.prepare(self._deployment, account.choose(self._deployment.directory))

    def certificates(self) -> tuple[Certificate, ...]:
        """Return all certificates, with what each listener that answers shows."""
        from cortexctl.platforms.local import renewal  # noqa: PLC0415

        return renewal.inspect(self._deployment)

    def due_certificates(self, *, everything: bool) -> tuple[Path, ...]:
        """Return the files that a renewal would replace. Changes nothing. Raises Refused."""
        from cortexctl.platforms.local import renewal  # noqa: PLC0415

        return renewal.due(self._deployment, everything=everything)

    def replace_certificates(self, *, everything: bool) -> tuple[Path, ...]:
        """Replace the files that are due, or all of them, and return these. Raises Refused."""
        from cortexctl.platforms.local import renewal  # noqa: PLC0415

        return renewal.replace(self._deployment, everything=everything)

    def take_up_certificates(self, *, patience: float) -> tuple[Certificate, ...]:
        """Have what runs show the certificates of the files; returns those that were not taken up in time."""
        from cortexctl.platforms.local import renewal  # noqa: PLC0415

        return renewal.take_up(self._deployment, patience=patience)

    def listeners(self) -> tuple[Listener, ...]:
        """Return all that is to listen, and whatever else does on a port of the deployment."""
        from cortexctl.platforms.local import listeners  # noqa: PLC0415

        return listeners.every(self._deployment)

    def owner(self) -> str:
        """Return a libpq connection string of the schema's owner, to the primary. Raises Refused."""
        from cortexctl.platforms.local import retention  # noqa: PLC0415

        return retention.owner(self._deployment)

    def kept_files(self) -> tuple[KeptFiles, ...]:
        """Return how long which files are kept, and the oldest that there are."""
        from cortexctl.platforms.local import retention  # noqa: PLC0415

        return retention.kept_files(self._deployment)

    def keep_files(self, days: Mapping[str, int]) -> None:
        """Have files kept for so many days, by what they are, from now on."""
        from cortexctl.platforms.local import retention  # noqa: PLC0415

        retention.keep_files(self._deployment, days)

    def living(self) -> frozenset[str]:
        """Return the names of the regions and nodes whose processes live, and 'edge' when that does.

        A node that a drill has ended and not brought back does not live; one that is just restarting does.
        """
        with ThreadPoolExecutor(1 + len(self._deployment.regions)) as pool:
            edge = pool.submit(regions.edge_of(self._deployment).states)
            found = list(pool.map(self._living, self._deployment.regions))
        return frozenset().union(*found, {EDGE} if edge.result().get("haproxy") in UP else ())

    def stop(self) -> None:
        """End everything of the deployment, gently first. Raises CortexctlError when something lives on."""
        work: list[Callable[[], None]] = [partial(regions.stop_edge, self._deployment)]
        work += [partial(regions.stop, self._deployment, region) for region in self._deployment.regions]
        with ThreadPoolExecutor(len(work)) as pool:
            outcomes = [pool.submit(one) for one in work]
        for outcome in outcomes:
            outcome.result()

    def database(self) -> tuple[DatabaseMember, ...]:
        """Return all members, those that do not answer as absent."""
        with ThreadPoolExecutor(2 * len(self._deployment.regions)) as pool:
            views = pool.map(lambda region: self._patroni.get(region, "/cluster"), self._deployment.regions)
            answers = pool.map(lambda region: self._patroni.get(region, "/patroni"), self._deployment.regions)
            view: dict[str, Any] = next((one for one in views if one), {})
            own = dict(zip(self._deployment.nodes_a_region, answers, strict=True))
        return members.judge(own, view)

    def region_processes(self, region: str) -> tuple[str, ...]:
        """Return what lives of a region, or of the 'edge', as 'pid name'."""
        if region == EDGE:
            return _names(regions.edge_of(self._deployment).members())
        return _names(regions.tree_of(self._deployment.region(region)).members())

    def kill_region(self, region: str) -> Landing:
        """End a whole region at once with SIGKILL."""
        place = self._deployment.region(region).directory
        at = time.time()
        ended, survivors = processes.kill_tree(place)
        survivors += [process for process in processes.tree(place) if process not in survivors]
        return Landing(at, region, _names(ended), _names(survivors))

    def kill_node(self, node: str) -> Landing:
        """End one node with SIGKILL; it stays down until start_node."""
        region, found = self._node(node)
        server = regions.tree_of(region).supervisor()
        hold = regions.hold_file(region, found)
        try:
            first = processes.look(server.pid(node))
            hold.touch(mode=0o600)  # what supervisor starts in its place only waits
            landing = _kill(node, processes.freeze(lambda: _with_children(first)))
            server.stop(node, wait=False)
            # A signal between its fork and its exec is lost: what only waits is not asked, it is ended.
            waiting = processes.look(server.pid(node))
            processes.kill([waiting] if waiting else [])
        except NO_ANSWER as error:
            raise _no_supervisor(region, error) from error
        return landing

    def kill_database(self, region: str) -> Landing:
        """End the postmaster of a region with SIGKILL."""
        place = self._deployment.region(region).directory / "postgres" / "postmaster.pid"
        try:
            found = processes.look(int(place.read_text().split("\n")[0]))
        except (OSError, ValueError):
            found = None
        return _kill(f"{region}/postgres", [found] if found and found.name == "postgres" else [])

    def start_region(self, region: str) -> None:
        """Bring a region back."""
        regions.start(self._deployment, self._deployment.region(region))

    def start_node(self, node: str) -> None:
        """Bring a node back."""
        region, found = self._node(node)
        try:
            regions.start_node(self._deployment, region, found)
        except NO_ANSWER as error:
            raise _no_supervisor(region, error) from error

    def switchover(self, to: str) -> None:
        """Planned switch of the primary to a region. Raises Refused, or OutcomeUnknown."""
        known = {member.region: member for member in self.database()}
        primary = next((member for member in known.values() if member.role == "primary"), None)
        if primary is None or known[to].role != "sync_standby":
            raise Refused(
                f"The primary cannot be switched to {to}.",
                why="There is no primary."
                if primary is None
                else f"{to} is {known[to].role}, not sync_standby.",
                todo="Wait until cortexctl status shows all regions healthy.",
            )
        self._ask("/switchover", {"leader": primary.region, "candidate": to}, primary.region, to)

    def force_failover(self, to: str) -> None:
        """Promote a region although acknowledged writes may be lost. Raises Refused, or OutcomeUnknown."""
        answer = self._patroni.get(self._deployment.region(to), "/patroni")
        if answer is None or answer.get("state") != "running":
            raise Refused(
                f"{to} cannot be promoted.",
                why="Its database does not answer.",
                todo="Bring it back first: cortexctl up.",
            )
        # Without a leader named Patroni promotes the candidate, whatever it may lack.
        self._ask("/failover", {"candidate": to}, to, to)

    def _ask(self, path: str, body: dict[str, str], at: str, to: str) -> None:
        try:
            status, text = self._patroni.post(
                self._deployment.region(at), path, body, timeout=SWITCH_PATIENCE
            )
        except OSError as error:
            raise OutcomeUnknown(
                f"Patroni in {at} was asked to promote {to} and did not answer.",
                why=str(error),
                todo="Look at cortexctl status: it may have happened.",
            ) from error
        if status == 200 and f'"{to}"' in text and "instead of" not in text:
            return
        if "unknown" in text:
            raise OutcomeUnknown(
                f"Patroni does not know yet whether {to} was promoted.",
                why=text,
                todo="Look at cortexctl status: it may happen still.",
            )
        raise Refused(f"Patroni does not promote {to}.", why=text, todo="Look at cortexctl status.")

    def _living(self, region: Region) -> frozenset[str]:
        states = regions.tree_of(region).states()
        if not all(states.get(name) in UP for name in ("etcd", "patroni", "haproxy")):
            return frozenset()
        return frozenset(
            {region.name},
        ) | {
            node.name
            for node in region.nodes
            if states.get(node.name) in UP and not regions.hold_file(region, node).exists()
        }

    def _node(self, name: str) -> tuple[Region, Node]:
        for node in self._deployment.nodes:
            if node.name == name:
                return self._deployment.region(node.region), node
        raise UsageError(
            f"There is no node {name!r}.",
            todo=f"Name one of: {', '.join(node.name for node in self._deployment.nodes)}.",
        )


def _with_children(first: Process | None) -> list[Process]:
    return processes.descendants(processes.every(), [first.pid]) if first else []


def _kill(target: str, victims: Iterable[Process]) -> Landing:
    found = [process for process in victims if processes.alive(process)]
    at = time.time()
    return Landing(at, target, _names(found), _names(processes.kill(found)))


def _names(found: Iterable[Process]) -> tuple[str, ...]:
    return tuple(str(process) for process in found)


def _no_supervisor(region: Region, error: Exception) -> CortexctlError:
    return Refused(
        f"The supervisor of {region.name} does not answer.",
        why=str(error),
        todo="Run cortexctl up, then repeat.",
    )
