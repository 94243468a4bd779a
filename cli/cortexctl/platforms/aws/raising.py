"""Making a deployment on AWS, planning, finding drift, and taking it down. Terraform does all of it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cortexctl import deployment as deployments
from cortexctl import durable, provision, tools
from cortexctl.deployment import AwsPlace, Deployment, state_home
from cortexctl.errors import ChangesPending, DeploymentNotFound, Refused, UsageError
from cortexctl.locking import lock
from cortexctl.platforms.aws import AwsPlatform, planning, roots, settings, states
from cortexctl.platforms.aws.planning import Actions
from cortexctl.progress import Progress
from cortexctl.terraform import Event, Outcome, Root


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for; what is missing is as it is."""

    profile: str | None = None
    regions: Sequence[str] = ()  # REGION or REGION=CIDR
    settings: Path | None = None


def up(name: str, wish: Wish, *, confirm: Callable[[str], None], progress: Progress) -> Actions:
    """Make everything of a deployment, stage by stage, each planned and held against the policies.

    Returns what was done. May be killed and repeated at any moment: it goes on with what there is.
    """
    with lock(name, "up"):
        wanted, every = _begin(name, wish, progress)
        known = planning.outputs(every)
        done: Actions = {}
        applied: planning.Variables = {}
        while (variables := planning.variables(wanted, known)) != applied:
            progress.tell(name, f"planning {', '.join(variables)}")
            changes = planning.changes(planning.make(wanted, every, variables))
            if changes:
                confirm(_question(changes))
                planning.apply({root: every[root] for root in changes})
                known = planning.outputs(every)
            for root, actions in changes.items():
                done[root] = actions | done.get(root, {})
            applied = variables
        if len(applied) < len(every):
            raise _incomplete(name, f"{', '.join(applied)} have no outputs.")
        return done


def up_as_planned(name: str, wish: Wish, place: Path, progress: Progress) -> Actions:
    """Apply what was planned and reviewed, and nothing else. Raises Refused when something has moved on.

    Raises ChangesPending when a further stage of the deployment is to be planned then.
    """
    with lock(name, f"up --plan {place}"):
        manifest = planning.kept(place, _wanted(name, wish))
        wanted, every = _begin(name, wish, progress)
        planned = planning.variables(wanted, planning.outputs(every))
        outcomes = planning.apply(planning.take(place, manifest, every))
        if planning.variables(wanted, planning.outputs(every)) != planned:
            raise _incomplete(name, f"{', '.join(manifest.planned)} are as planned.")
        return planning.changes(outcomes)


def plan(name: str, wish: Wish, place: Path | None = None) -> Actions:
    """Return what the next stage of `up` would do; with a place, keep the plan there. Changes nothing."""
    wanted = _wanted(name, wish)
    if place is None:
        with tempfile.TemporaryDirectory(prefix="cortexctl-plan-") as temporary:
            return planning.changes(_plan(replace(wanted, directory=Path(temporary))))
    if place.exists() and any(place.iterdir()):
        raise UsageError(f"{place} is not empty.", todo="Name a new directory.")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    AwsPlatform(wanted).prepare()
    before = states.marks(wanted)
    here = replace(wanted, directory=place.absolute())
    changes = planning.changes(_plan(here))
    planning.keep(here, before, changes)
    return changes


def drift(name: str) -> Actions:
    """Return what is not as Terraform left it, and what would be done about it. Changes nothing."""
    wanted = _wanted(name, Wish())
    with tempfile.TemporaryDirectory(prefix="cortexctl-drift-") as temporary:
        outcomes = _plan(replace(wanted, directory=Path(temporary)))
    found = {root: outcome.drift | outcome.actions for root, outcome in outcomes.items()}
    return {root: actions for root, actions in found.items() if actions}


def down(name: str, *, confirm: Callable[[str], None], progress: Progress) -> None:
    """Destroy a deployment with all its data: the regions, the founding one last, then what exists once.

    Raises Refused when it is protected.
    """
    with lock(name, "down"):
        found = deployments.load(name)
        place = _place(found)
        if place.protected:
            raise Refused(
                f"Deployment {name!r} is protected.",
                why="It is a production: what holds data does not go by a slip.",
                todo="Set protected: false in its settings, run cortexctl up --settings FILE, then down.",
            )
        confirm(f"Destroy deployment {name!r} in {', '.join(place.regions)} with all its data and keys?")
        AwsPlatform(found).prepare()
        every = roots.every(found, tools.find_terraform(), progress.event)
        known = planning.outputs(every)

        def one(root: Root) -> None:
            if known[root.name]:
                root.destroy(roots.variables(found, root.name, known))

        followers = [every[region] for region in place.regions if region != place.founder]
        for stage in (followers, [every[place.founder]], [every[roots.GLOBAL]]):
            if stage:
                provision.side_by_side(stage, one, patience=planning.PATIENCE)
        shutil.rmtree(found.directory)


def unlock(name: str, lock_id: str, *, confirm: Callable[[str], None]) -> None:
    """Break the lock of a run that is dead. Raises Refused when no state has it."""
    found = deployments.load(name)
    held = states.lock(found, lock_id)
    confirm(
        f"{held.who} has held {held.root} since {held.since}. Is that run dead, and the lock to be broken?"
    )
    roots.every(found, tools.find_terraform(), _ignore)[held.root].unlock(lock_id)


def _plan(wanted: Deployment) -> dict[str, Outcome]:
    AwsPlatform(wanted).prepare()
    every = roots.every(wanted, tools.find_terraform(), _ignore)
    return planning.make(wanted, every, planning.variables(wanted, planning.outputs(every)))


def _incomplete(name: str, why: str) -> ChangesPending:
    return ChangesPending(
        f"Deployment {name!r} is not complete.",
        why=f"{why} What comes next could not be planned before.",
        todo="Run cortexctl up, or make the next plan: cortexctl plan --out DIR.",
    )


def _begin(name: str, wish: Wish, progress: Progress) -> tuple[Deployment, dict[str, Root]]:
    """See that AWS lets us in, and write down what is wanted."""
    wanted = _wanted(name, wish)
    AwsPlatform(wanted).prepare()
    wanted.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write(wanted.directory / "deployment.yaml", deployments.dump(wanted).encode())
    durable.sync_directory(state_home())
    return wanted, roots.every(wanted, tools.find_terraform(), progress.event)


def _wanted(name: str, wish: Wish) -> Deployment:
    try:
        known = deployments.load(name)
    except DeploymentNotFound:
        return _new(name, wish)
    before = _place(known)
    regions = wish.regions or [f"{region}={cidr}" for region, cidr in before.regions.items()]
    if wish.settings is None:
        if wish.regions or wish.profile not in (None, known.profile):
            raise UsageError(
                "What a deployment on AWS is to be needs its settings.", todo="Give --settings FILE."
            )
        return known
    profile = wish.profile or known.profile
    place = settings.place(profile, regions, settings.read(wish.settings))
    if place.founder != before.founder or not before.regions.items() <= place.regions.items():
        raise Refused(
            f"Deployment {name!r} keeps its regions.",
            why="The first made the keys, and addresses cannot change.",
            todo="Name these first, then further ones: "
            + ", ".join(f"{region}={cidr}" for region, cidr in before.regions.items()),
        )
    return _described(replace(known, profile=profile), place)


def _new(name: str, wish: Wish) -> Deployment:
    if wish.settings is None or not wish.regions:
        raise UsageError(
            "A new deployment on AWS needs its regions and its settings.",
            todo="Give --region for each, the founding one first, and --settings FILE: see docs/aws.md.",
        )
    profile = wish.profile or "production"
    place = settings.place(profile, wish.regions, settings.read(wish.settings))
    bare = Deployment(
        name=deployments.check_name(name), id=f"{name}-{secrets.token_hex(4)}", profile=profile,
        platform="aws", first_port=0, nodes_a_region={}, directory=state_home() / name,
    )  # fmt: skip
    return _described(bare, place)


def _described(deployment: Deployment, place: AwsPlace) -> Deployment:
    """Return a deployment with its place, and the policies' facts that follow from it."""
    facts = {"protected": place.protected, "regions": sorted(place.regions)}
    regions = dict.fromkeys(place.regions, 0)
    return replace(deployment, aws=place, nodes_a_region=regions, policy=(deployment.policy or {}) | facts)


def _place(deployment: Deployment) -> AwsPlace:
    if deployment.aws is None:
        raise Refused(
            f"Deployment {deployment.name!r} is on this machine, not on AWS.",
            todo="Name another --deployment.",
        )
    return deployment.aws


def _question(changes: Actions) -> str:
    told = ", ".join(f"{root}: {len(actions)} changes" for root, actions in changes.items())
    return f"Apply to AWS ({told})? cortexctl plan says which."


def _ignore(_: Event) -> None:
    """Tell nobody."""
