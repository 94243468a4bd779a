"""Whether the nodes agree, by what each says of itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from cortexctl.health import Answer

REPLICAS = 2
SLOTS = 1024


def disagreements(answers: tuple[Answer, ...]) -> list[str]:
    """Return where the nodes differ: a slot's position or hash of arrays, or a replica that is not there."""
    found = [f"Node {answer.node.name} does not answer." for answer in answers if answer.report is None]
    reports = {answer.node.name: answer.report for answer in answers if answer.report is not None}
    held: dict[int, dict[str, tuple[int, int, str]]] = defaultdict(dict)
    for name, report in reports.items():
        for one in report.slots:
            held[one.slot][name] = (one.position.token, one.position.seq, one.digest)
    wanted = _replicas_wanted(answers)
    for slot, states in sorted(held.items()):
        if len(set(states.values())) > 1:
            found.append(f"Slot {slot} differs: {_told(states)}.")
        for region, count in wanted.items():
            holders = [name for name in states if reports[name].region == region]
            if len(holders) < count:
                found.append(f"Slot {slot} is held by {len(holders)} nodes of {region} instead of {count}.")
        owners = [name for name in states if any(s.slot == slot and s.owner for s in reports[name].slots)]
        if len(owners) != 1:
            found.append(f"Slot {slot} has {len(owners)} owners: {', '.join(owners) or 'none'}.")
    return found


def miscounts(answers: Iterable[Answer], stored: int) -> list[str]:
    """Return which nodes that hold every slot have other concepts in their arrays than are stored."""
    return [
        f"Node {answer.node.name} has {answer.report.concepts} concepts in its arrays; {stored} are stored."
        for answer in answers
        if answer.report and answer.report.held == SLOTS and answer.report.concepts != stored
    ]


def owner_of(answers: tuple[Answer, ...], slot: int) -> str | None:
    """Return the node that says it owns a slot."""
    for answer in answers:
        if answer.report and any(one.slot == slot and one.owner for one in answer.report.slots):
            return answer.node.name
    return None


def _replicas_wanted(answers: tuple[Answer, ...]) -> dict[str, int]:
    nodes: dict[str, int] = defaultdict(int)
    for answer in answers:
        nodes[answer.node.region] += 1
    return {region: min(REPLICAS, count) for region, count in nodes.items()}


def _told(states: Mapping[str, tuple[int, int, str]]) -> str:
    return ", ".join(f"{name} {token}.{seq} {digest[:12]}" for name, (token, seq, digest) in states.items())
