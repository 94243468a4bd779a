"""Plans of a deployment on AWS: made side by side, held against the policies, kept, applied to the letter.

A directory with a kept plan has all that it was made of: the stacks as they were, the provider's version,
each root's plan; and plan.json, written last, with what must not have changed when it is applied.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cortex_runtime.formats import decoding
from cortexctl import deployment as deployments
from cortexctl import durable, policy, provision
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.aws import roots, states
from cortexctl.terraform import TERRAFORM, Outcome, Root

PLAN, MANIFEST = "plan", "plan.json"
Variables = dict[str, dict[str, Any]]  # by root
Actions = dict[str, dict[str, str]]  # by address, by root
# Terraform that is told to end waits for what AWS is making.
PATIENCE = 900.0
_NOT_OURS = (".terraform", "tests")


class Manifest(msgspec.Struct, frozen=True):
    """What a kept plan was made of: its deployment, the stacks' hash, and each root's state."""

    deployment: str
    configuration: str
    states: dict[str, str | None]
    planned: list[str]


def outputs(every: Mapping[str, Root]) -> dict[str, dict[str, Any]]:
    """Return the outputs of all roots, by root. Raises CortexctlError."""
    return provision.side_by_side(tuple(every.values()), Root.outputs, patience=PATIENCE)


def variables(deployment: Deployment, known: roots.Outputs) -> Variables:
    """Return the variables of the roots of the stage that comes next, by root."""
    return {name: roots.variables(deployment, name, known) for name in roots.stage(deployment, known)}


def make(deployment: Deployment, every: Mapping[str, Root], wanted: Variables) -> dict[str, Outcome]:
    """Plan a stage, hold it against the policies, and return what it would do. Raises CortexctlError."""

    def one(root: Root) -> Outcome:
        return root.plan(wanted[root.name], out=root.directory / PLAN)

    outcomes = provision.side_by_side([every[name] for name in wanted], one, patience=PATIENCE)
    _judge(deployment, [every[name] for name in changes(outcomes)])
    return outcomes


def changes(outcomes: Mapping[str, Outcome]) -> Actions:
    """Return the actions; roots without any are left out."""
    return {root: outcome.actions for root, outcome in outcomes.items() if outcome.changed}


def keep(deployment: Deployment, before: dict[str, str | None], planned: Collection[str]) -> None:
    """Finish a plan of these roots in the deployment's directory: from now on it can be applied.

    `before` has the states' marks from before it was made.
    """
    manifest = Manifest(_settings(deployment), configuration(), before, list(planned))
    durable.write(deployment.directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))


def kept(place: Path, deployment: Deployment) -> Manifest:
    """Read a kept plan, and see that it still holds. Raises Refused."""
    try:
        found = msgspec.json.decode((place / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise Refused(
            f"{place} has no plan that can be applied.",
            why=" ".join(str(error).split()),
            todo="Make one: cortexctl plan --out DIR.",
        ) from error
    now = {"the deployment's settings": _settings(deployment), "the stacks of Terraform": configuration()}
    then = {"the deployment's settings": found.deployment, "the stacks of Terraform": found.configuration}
    moved = [what for what, value in now.items() if then[what] != value]
    marks = states.marks(deployment)
    moved += [f"the state of {root}" for root in marks if marks[root] != found.states.get(root)]
    if moved:
        raise Refused(
            f"The plan in {place} is out of date.",
            why=f"Since it was made, this has changed: {', '.join(moved)}.",
            todo="Make it anew with cortexctl plan --out, and have it reviewed.",
        )
    return found


def take(place: Path, manifest: Manifest, every: Mapping[str, Root]) -> dict[str, Root]:
    """Copy a kept plan to where its roots are applied, and return these."""
    wanted = {name: every[name] for name in manifest.planned}
    for name, root in wanted.items():
        if root.rescued.exists():
            raise Refused(
                f"{name} has a state that could not be written to the bucket.",
                why=f"It is in {root.rescued}.",
                todo="Run cortexctl up without --plan: it writes the state there first.",
            )
        if root.directory.exists():
            shutil.rmtree(root.directory)
        shutil.copytree(place / "terraform" / name, root.directory, symlinks=True)
    return wanted


def apply(wanted: Mapping[str, Root]) -> dict[str, Outcome]:
    """Apply the roots' plans, side by side. All are finished; then the first failure is raised."""

    def one(root: Root) -> Outcome:
        return root.apply_plan(root.directory / PLAN)

    return provision.side_by_side(tuple(wanted.values()), one, patience=PATIENCE)


def configuration() -> str:
    """Return the hash of all modules and stacks."""
    hashed = hashlib.sha256()
    for path in sorted(TERRAFORM.rglob("*")):
        name = path.relative_to(TERRAFORM)
        if path.is_file() and not any(part in _NOT_OURS for part in name.parts):
            content = path.read_bytes()
            hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()


def _settings(deployment: Deployment) -> str:
    # The id is drawn anew as long as the deployment is not made.
    return hashlib.sha256(deployments.dump(replace(deployment, id="")).encode()).hexdigest()


def _judge(deployment: Deployment, planned: Sequence[Root]) -> None:
    """Hold plans against the policies. Raises Refused."""
    judge = policy.Judge(policy.rules_of("terraform"), policy.facts_of(deployment))
    verdicts = [
        verdict
        for root in planned
        for verdict in judge.judge(policy.read_plan(root.show(root.directory / PLAN), root.name))
    ]
    policy.refuse(verdicts, f"what would be applied to deployment {deployment.name!r}")


decoding.learn(globals())
