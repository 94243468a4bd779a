"""A drill from its first check to its report.

prepare → steady → fault → recovery → return → verify. What was ended is brought back whatever happens, by
this run or, when it is killed, by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from cortex_runtime.client import Client, ClientError
from cortexctl import health
from cortexctl.deployment import Deployment
from cortexctl.drill import (
    aftermath,
    judging,
    leftover,
    report,
    summary,
    targets,
    tenancy,
    verification,
    waiting,
)
from cortexctl.drill.canary import Canary
from cortexctl.drill.history import Findings
from cortexctl.drill.leftover import Leftover
from cortexctl.drill.scenario import Scenario
from cortexctl.drill.timeline import Timeline, iso
from cortexctl.errors import CortexctlError, Refused
from cortexctl.platforms.base import Landing, Platform


def run(
    deployment: Deployment,
    platform: Platform,
    scenario: Scenario,
    target: str | None,
    tell: Callable[[str], None],
) -> report.Report:
    """Run a drill and keep its report. The caller holds the deployment's lock.

    Raises Refused, before anything is ended, when the deployment is not healthy, and ClientError.
    """
    return _Drill(deployment, platform, scenario, target, Timeline(tell)).run()


class _Drill:
    def __init__(
        self,
        deployment: Deployment,
        platform: Platform,
        scenario: Scenario,
        target: str | None,
        timeline: Timeline,
    ) -> None:
        self._deployment, self._platform, self._scenario = deployment, platform, scenario
        self._target, self._timeline = target, timeline
        self._started = time.time()
        self._canary: Canary
        self._primary_before: str | None = None
        self._landing: Landing | None = None
        self._returned = False

    def run(self) -> report.Report:
        with ExitStack() as stack:
            self._bring_back_leftover()
            self._require_health()
            token = tenancy.prepare(self._deployment)
            door = stack.enter_context(tenancy.front_door(self._deployment, token))
            doors = tenancy.node_doors(self._deployment, token)
            for client in doors.values():
                stack.enter_context(client)
            self._canary = tenancy.canary(self._deployment, token, self._scenario.canary)
            try:
                self._canary.start()
                self._reach_steady_state()
                target = self._choose()
            except BaseException:
                self._canary.stop()
                raise
            return self._strike_and_judge(target, door, doors)

    def _strike_and_judge(self, target: Leftover, door: Client, doors: dict[str, Client]) -> report.Report:
        findings, trouble = Findings((), (), ()), ""
        disagreements: tuple[str, ...] = ()
        try:
            self._strike(target)
            self._await_recovery()
            self._return(target)
            self._returned = self._await_health()
            self._watch()
            self._canary.stop()
            patience = self._scenario.expectation.convergence_seconds
            disagreements = aftermath.await_agreement(self._deployment, patience, self._timeline)
            findings = aftermath.verify(self._deployment, self._canary.history(), door, doors, self._timeline)
        except (CortexctlError, ClientError, OSError) as error:
            trouble = str(error)
            self._timeline.add("error", trouble)
        except BaseException as error:
            trouble = f"It was ended by {type(error).__name__}."
            raise
        finally:
            trouble = " ".join(filter(None, (trouble, self._clean_up(target))))
            result = self._report(target, findings, disagreements, trouble)
            path = report.write(self._deployment, result)
        self._timeline.add("report", f"{result.outcome}: {path}")
        if result.outcome == "passed":
            aftermath.tidy(self._canary.history(), door, self._timeline)
        return result

    def _bring_back_leftover(self) -> None:
        if left := leftover.found(self._deployment):
            self._timeline.add(
                "prepare", f"Bringing {left.target} back, which an earlier {left.drill} ended."
            )
            leftover.bring_back(self._deployment, self._platform, left)
            self._await_health()  # what is still wrong then is told by the check that follows

    def _require_health(self) -> None:
        if troubles := self._troubles():
            raise Refused(
                f"Deployment {self._deployment.name!r} is not healthy; nothing was ended.",
                why="; ".join(troubles),
                todo="Look at cortexctl status, and run cortexctl up.",
            )
        self._primary_before = targets.primary(self._platform.database())
        self._timeline.add("prepare", f"The deployment is healthy; the primary is in {self._primary_before}.")

    def _reach_steady_state(self) -> None:
        wanted, writers = self._scenario.steady_state, self._scenario.canary.writers
        steady = waiting.until(
            lambda: judging.steady(self._canary.history().rounds, writers, wanted.rounds),
            wanted.within_seconds,
        )
        if not steady:
            bad = [one.reason for one in self._canary.history().rounds if not one.good]
            raise Refused(
                f"There was no steady state within {wanted.within_seconds:g} s; nothing was ended.",
                why=bad[-1] if bad else "Writes and reads were too slow.",
                todo="Look at cortexctl status.",
            )
        self._timeline.add("steady", f"{wanted.rounds} good rounds in a row of each of {writers} writers.")

    def _choose(self) -> Leftover:
        position = verification.last_position(self._canary.history())
        slot = position.slot if position else -1
        name = self._target or targets.choose(
            self._deployment, self._scenario, self._platform.database(), slot
        )
        return Leftover(drill=self._scenario.name, kind=self._scenario.fault.kind, target=name)

    def _strike(self, target: Leftover) -> None:
        leftover.remember(self._deployment, target)
        strike = {
            "kill-region": self._platform.kill_region,
            "kill-node": self._platform.kill_node,
            "kill-database": self._platform.kill_database,
        }[target.kind]
        self._landing = strike(target.target)
        ended, left = len(self._landing.processes), len(self._landing.survivors)
        self._timeline.add(
            "fault",
            f"{target.kind} {target.target}: {ended} ended, {left} left.",
            at=self._landing.at,
        )

    def _await_recovery(self) -> None:
        wanted, writers = self._scenario.expectation, self._scenario.canary.writers
        fault = self._fault_at()

        def recovered() -> float | None:
            return judging.recovery(self._canary.history().rounds, fault, wanted.rounds, writers)

        if waiting.until(lambda: recovered() is not None, wanted.within_seconds):
            seconds = recovered() or 0.0
            self._timeline.add(
                "recovery", f"Writes and reads are back after {seconds:.2f} s.", at=fault + seconds
            )
            self._watch()
        else:
            self._timeline.add("recovery", f"Nothing recovered within {wanted.within_seconds:g} s.")

    def _return(self, target: Leftover) -> None:
        self._timeline.add("return", f"Bringing {target.target} back.")
        leftover.bring_back(self._deployment, self._platform, target)

    def _await_health(self) -> bool:
        patience = self._scenario.expectation.return_seconds
        if waiting.until(lambda: not self._troubles(), patience, waiting.SLOW_POLL):
            self._timeline.add("return", "All regions and nodes are healthy.")
            return True
        self._timeline.add("return", f"Not healthy after {patience:g} s: {'; '.join(self._troubles())}")
        return False

    def _watch(self) -> None:
        time.sleep(self._scenario.expectation.watch_seconds)

    def _clean_up(self, target: Leftover) -> str:
        """Bring back what was ended, first of all, and end the canary. Returns what went wrong."""
        trouble = ""
        if leftover.found(self._deployment):
            self._timeline.add("return", f"Bringing {target.target} back.")
            try:
                leftover.bring_back(self._deployment, self._platform, target)
            except (CortexctlError, OSError) as error:
                trouble = (
                    f"{target.target} could not be brought back (the next drill, or up, does it): {error}"
                )
                self._timeline.add("error", trouble)
        self._canary.stop()
        return trouble

    def _report(
        self, target: Leftover, findings: Findings, disagreements: tuple[str, ...], trouble: str
    ) -> report.Report:
        judgement = judging.judge(
            self._canary.history(),
            findings,
            self._scenario.objectives,
            fault=self._fault_at(),
            landed=self._landing is not None and self._landing.landed,
            needed=self._scenario.expectation.rounds,
            writers=self._scenario.canary.writers,
            returned=self._returned,
            disagreements=disagreements,
        )
        return summary.build(
            self._deployment,
            self._scenario,
            target=target.target,
            judgement=judgement,
            history=self._canary.history(),
            findings=findings,
            landing=self._landing,
            primaries=(self._primary_before, targets.primary(self._platform.database())),
            answers=health.ask(self._deployment, self._deployment.nodes, hashes=True),
            disagreements=disagreements,
            trouble=trouble,
            started=iso(self._started),
            events=self._timeline.events(self._landing.at if self._landing else None),
        )

    def _troubles(self) -> list[str]:
        return list(health.inspect(self._deployment, self._platform).reasons)

    def _fault_at(self) -> float:
        return self._landing.at if self._landing else time.time()
