"""Rotation of the keys that sign tokens, with an overlap, so that no token that is good is ever refused.

The new key is published to every region; when every node that lives believes it, it signs; when every node
signs by it, the one before is retired, and verifies until its last tokens are over. Each step may be
repeated: a run that was ended anywhere is finished by the next one. The caller holds the deployment's lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cortex_runtime.formats.messages import HealthReport
from cortex_runtime.formats.tokenkeys import Issuer
from cortexctl import tokenfiles
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.health import Answer
from cortexctl.keys.own import end_of

PATIENCE = 30.0
POLL = 0.2
Ask = Callable[[], tuple[Answer, ...]]


@dataclass(frozen=True, slots=True)
class TokenRotation:
    """A finished rotation: the key that signs, the one before and until when it verifies, who followed."""

    issuer: Issuer
    signing: str
    previous: str
    previous_until: str
    nodes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedTokens:
    """What a rotation would do."""

    issuer: Issuer
    signing: str
    would: str


def preview_tokens(deployment: Deployment, issuer: Issuer) -> PlannedTokens:
    """Return what rotate_tokens would do. Raises Refused."""
    keys = tokenfiles.read(deployment, issuer)
    would = "publish a new key, sign by it, retire the one before"
    return PlannedTokens(
        issuer, keys.signing, f"finish the change to {keys.keys[-1].kid}" if keys.turning else would
    )


def rotate_tokens(
    deployment: Deployment, issuer: Issuer, ask: Ask, *, told: Callable[[str], None] = lambda _: None
) -> TokenRotation:
    """Give an issuer's tokens another signing key; `ask` asks the nodes that live for their reports.

    Raises Refused when one of them does not follow, or a file is not to be written: good tokens are believed
    on, and the next call goes on.
    """
    started = time.monotonic()
    keys = tokenfiles.read(deployment, issuer).published()
    previous, newest = keys.keys[-2].kid, keys.keys[-1].kid
    tokenfiles.keep(deployment, keys)
    nodes = _await(ask, lambda report: newest in report.token_keys, f"seen to believe {newest}")
    told(f"{newest} is published; {len(nodes)} nodes believe it.")
    keys = keys.switched()
    tokenfiles.keep(deployment, keys)
    if issuer == "node":
        _await(ask, lambda report: report.signing_key == newest, f"seen to sign by {newest}")
    keys = keys.retired(int(time.time()))
    tokenfiles.keep(deployment, keys)
    until = end_of(keys.keys[-2]) or ""
    told(f"{newest} signs; {previous} verifies until {until}.")
    return TokenRotation(issuer, newest, previous, until, nodes, round(time.monotonic() - started, 3))


def _await(ask: Ask, follows: Callable[[HealthReport], bool], what: str) -> tuple[str, ...]:
    """Return the names of the nodes that live, once it is so for all of them. Raises Refused."""
    until = time.monotonic() + PATIENCE
    while True:
        answers = ask()
        late = [each for each in answers if each.report is None or not follows(each.report)]
        if not late:
            return tuple(each.node.name for each in answers)
        if time.monotonic() > until:
            raise Refused(
                "The token keys are not changed everywhere yet.",
                why=f"{', '.join(f'{each.node.name}{_because(each)}' for each in late)}: not {what} yet.",
                todo="Every good token is believed meanwhile. Mend the nodes (cortexctl status), or end those"
                " that hang, and repeat it to go on.",
            )
        time.sleep(POLL)


def _because(answer: Answer) -> str:
    return f" ({answer.reason})" if answer.report is None else ""
