"""Making a deployment, putting it right, and ending it."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cortexctl import certificates, durable, health, platforms, ports, provision, retention, tools
from cortexctl import deployment as deployments
from cortexctl.certificates import Certificate
from cortexctl.deployment import FORMAT, PORTS_A_REGION, PORTS_OF_EDGE, Deployment, KmsPlace, state_home
from cortexctl.errors import CortexctlError, DeploymentNotFound, ObjectiveMissed, Refused, UsageError
from cortexctl.health import Health
from cortexctl.locking import lock, lock_path
from cortexctl.platforms.base import Platform
from cortexctl.progress import Progress

REGIONS = ("eu-west", "us-east", "ap-south")
PROFILES = {"standard": 2, "small": 1}
MAX_NODES = 40  # of a region: what its block of ports holds
HEALTH_PATIENCE = 120.0
RENEWAL_PATIENCE = 30.0
POLL = 0.3


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller asked for; None means: as it is, or the default of a new deployment."""

    profile: str | None = None
    nodes: int | None = None
    keyring_passphrase_file: Path | None = None
    kms: tuple[str, ...] = ()  # AWS regions, one for each region
    aws_credentials_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """What `up` did: actions by address by root, and how the deployment is then."""

    actions: dict[str, dict[str, str]]
    health: Health

    @property
    def changed(self) -> bool:
        """True when anything was created, replaced or destroyed."""
        return any(self.actions.values())


def up(name: str, wish: Wish, *, confirm: Callable[[str], None], progress: Progress) -> Raised:
    """Make everything of a deployment run, and wait until all of it is healthy.

    Raises Refused before anything is changed (ports, tools, permissions), ObjectiveMissed when it does not
    become healthy in time. May be killed and repeated at any moment.
    """
    with lock(name, "up"):
        known = _load(name)
        wanted = _wanted(name, known, wish)
        _check_kms(known, wanted)
        _confirm_removal(known, wanted, confirm)
        platform = platforms.of(wanted)
        living = platform.living() if known else frozenset[str]()
        _check_ports(wanted, platform, living)
        binary = _find_tools(progress)
        if wanted != known:
            wanted = _write(wanted, new=known is None)
            platform = platforms.of(wanted)
        platform.prepare()
        _take_up(platform, progress)
        outcomes = provision.apply(
            wanted, binary=binary, replace=_dead(wanted, living), on_event=progress.event
        )
        found = _await_health(wanted, platform, progress)
        actions = {root: outcome.actions for root, outcome in outcomes.items()}
        return Raised(actions | _set_retention(platform, confirm), found)


def preview(name: str, wish: Wish) -> dict[str, dict[str, str]]:
    """Return what `up` would do: actions by address, by root. Changes nothing."""
    known = _load(name)
    wanted = _wanted(name, known, wish)
    platform = platforms.of(wanted)
    living = platform.living() if known else frozenset[str]()
    _check_ports(wanted, platform, living)
    actions = provision.plan(wanted, binary=tools.find_terraform(), replace=_dead(wanted, living))
    if "edge" in living:
        with suppress(ObjectiveMissed):  # the database does not answer: there is more to put right
            actions |= _actions(retention.changes(retention.load(), platform))
    return actions


def down(name: str, *, delete_data: bool, confirm: Callable[[str], None], progress: Progress) -> bool:
    """End everything of a deployment; its data stay unless they are to be deleted. False: there is none.

    What Terraform can't end (its state is damaged) is ended all the same. Raises CortexctlError when
    something lives on.
    """
    directory = state_home() / deployments.check_name(name)
    if not directory.exists() and not lock_path(name).exists():  # else an up may be about to make it
        return False
    with lock(name, "down"):
        try:
            found = deployments.load(name)
        except DeploymentNotFound:  # killed before its first file: there is nothing in it
            if directory.exists():
                shutil.rmtree(directory)
            return False
        if delete_data:
            confirm(f"Delete deployment {name!r} with all its data, keys and backups ({found.directory})?")
        failure = _destroy(found, progress)
        platform = platforms.of(found)
        platform.stop()
        _check_ended(found, platform, failure)
        if delete_data:
            _remove(found.directory)
    return True


def renew(name: str, *, everything: bool, dry_run: bool = False) -> tuple[Certificate, ...]:
    """Renew the certificates that are due, or all, and return them once everything that runs shows them.

    Raises Refused when the CA is damaged, ObjectiveMissed when something goes on showing another. May be
    killed and repeated at any moment: what was replaced and not yet taken up is then.
    """
    platform = platforms.of(deployments.load(name))
    if dry_run:
        paths = platform.due_certificates(everything=everything)
        return tuple(one for one in platform.certificates() if one.path in paths)
    with lock(name, "certificate renew"):
        platform = platforms.of(deployments.load(name))
        paths = platform.replace_certificates(everything=everything)
        stale = platform.take_up_certificates(patience=RENEWAL_PATIENCE)
        if stale:
            raise ObjectiveMissed(
                f"{len(stale)} certificates of deployment {name!r} were replaced and are not in use yet.",
                why=" ".join(f"{reason}." for reason in certificates.judge(stale)[1]),
                todo="Look at cortexctl status, then run cortexctl certificate renew again.",
            )
        return tuple(one for one in platform.certificates() if one.path in paths)


def living(name: str) -> list[str]:
    """Return the regions and nodes that are alive, and the edge; nothing when there is no such deployment."""
    known = _load(name)
    return sorted(platforms.of(known).living()) if known else []


def _load(name: str) -> Deployment | None:
    try:
        return deployments.load(name)
    except DeploymentNotFound:
        return None


def _wanted(name: str, known: Deployment | None, wish: Wish) -> Deployment:
    if wish.profile is not None and wish.profile not in PROFILES:
        raise UsageError(
            f"There is no profile {wish.profile!r}.", todo=f"Name one of: {', '.join(PROFILES)}."
        )
    if wish.nodes is not None and not 1 <= wish.nodes <= MAX_NODES:
        raise UsageError(
            f"A region has 1 to {MAX_NODES} nodes, not {wish.nodes}.", todo="Choose another --nodes."
        )
    profile = wish.profile or (known.profile if known else "standard")
    count = wish.nodes or (PROFILES[profile] if wish.profile or not known else None)
    file = wish.keyring_passphrase_file
    passphrase_file = None if file is None else str(file.absolute())
    kms = _kms(known, wish)
    if kms is not None and file is not None:
        raise UsageError(
            "A deployment with its keys in AWS KMS has no keyring.",
            todo="Leave out --keyring-passphrase-file.",
        )
    if known:
        _check_format(known)
        nodes = {region: count or nodes for region, nodes in known.nodes_a_region.items()}
        passphrase_file = passphrase_file or known.keyring_passphrase_file
        changed = replace(
            known, profile=profile, nodes_a_region=nodes, keyring_passphrase_file=passphrase_file, kms=kms
        )
        _check_passphrase(changed)
        return changed
    size = PORTS_OF_EDGE + PORTS_A_REGION * len(REGIONS)
    return Deployment(
        name=name,
        id=f"{name}-{secrets.token_hex(4)}",
        profile=profile,
        platform="local",
        first_port=ports.choose_block(state_home(), name, size),
        nodes_a_region=dict.fromkeys(REGIONS, count or PROFILES[profile]),
        directory=state_home() / name,
        keyring_passphrase_file=passphrase_file,
        kms=kms,
    )


def _check_format(known: Deployment) -> None:
    if known.format != FORMAT:
        raise Refused(
            f"Deployment {known.name!r} was made by another version of cortexctl.",
            why=f"Its tables and files have format {known.format}, and this version makes format {FORMAT}.",
            todo="Run the version that made it, whose tenant export takes out what is stored; the down of "
            "this one ends it, with --delete-data for good.",
        )


def _kms(known: Deployment | None, wish: Wish) -> KmsPlace | None:
    """Return where AWS KMS is to keep the keys, if it is. Raises UsageError, or Refused of a change."""
    before = known.kms if known else None
    file = wish.aws_credentials_file
    credentials = None if file is None else str(file.absolute())
    if not wish.kms:
        if credentials is not None and before is None:
            raise UsageError("--aws-credentials-file is for --kms alone.", todo="Give both, or neither.")
        return before and replace(before, credentials_file=credentials or before.credentials_file)
    names = tuple(known.nodes_a_region) if known else REGIONS
    if len(wish.kms) != len(names) or not all(wish.kms):
        raise UsageError(
            f"--kms names {len(wish.kms)} AWS regions.",
            why=f"Each of {', '.join(names)} needs one, in this order.", todo="Say A,B,C.",
        )  # fmt: skip
    regions = dict(zip(names, wish.kms, strict=True))
    if known and (before is None or before.regions != regions):
        raise Refused(
            f"Deployment {known.name!r} keeps its keys elsewhere.",
            why="Its tenants' keys are wrapped by "
            + ("its keyring." if before is None else f"AWS KMS in {', '.join(before.regions.values())}."),
            todo="Make another deployment, and import the tenants' exports there.",
        )
    endpoint = os.environ.get("AWS_ENDPOINT_URL_KMS") or (before.endpoint if before else None)
    return KmsPlace(regions, endpoint, credentials or (before.credentials_file if before else None))


def _check_kms(known: Deployment | None, wanted: Deployment) -> None:
    """Raise Refused when a deployment is to have its keys in AWS KMS, and that does not let us in."""
    if wanted.kms is not None and (known is None or known.kms != wanted.kms):
        from cortexctl.tenants import kmskeys  # noqa: PLC0415 - only what is used is imported

        kmskeys.check(wanted)


def _check_passphrase(wanted: Deployment) -> None:
    """Raise Refused when a keyring of a deployment is sealed by another passphrase than its own."""
    if wanted.keyring_passphrase_file is not None:
        from cortexctl.tenants import keyrings, passphrases  # noqa: PLC0415 - cryptography takes its time

        passphrases.current(wanted)
        for region in wanted.regions:
            with suppress(FileNotFoundError, ValueError):  # preparing it tells what is to be done then
                path = region.directory / "secrets" / "keyring.json"
                keyrings.open_(wanted, region.name, path.read_bytes())


def _confirm_removal(known: Deployment | None, wanted: Deployment, confirm: Callable[[str], None]) -> None:
    staying = {node.name for node in wanted.nodes}
    leaving = [node.name for node in known.nodes if node.name not in staying] if known else []
    if leaving:
        confirm(f"End {len(leaving)} nodes of deployment {wanted.name!r}: {', '.join(leaving)}?")


def _check_ports(wanted: Deployment, platform: Platform, living: frozenset[str]) -> None:
    """Raise Refused when somebody else listens on a port of what isn't alive.

    Where processes of ours are left (an `up` was interrupted), they have the ports; starting anew ends them.
    """
    edge, regions = ports.ports_of(wanted)
    for place, needed in {"edge": edge, **regions}.items():
        if place not in living and not platform.region_processes(place):
            ports.check_free(needed)


def _take_up(platform: Platform, progress: Progress) -> None:
    """Have what lives show the certificates that were renewed: with an expired one it could not be asked."""
    stale = [f"{one.place}/{one.name}" for one in platform.certificates() if one.stale]
    if stale:
        progress.tell("certificates", f"renewed: {', '.join(stale)}")
        platform.take_up_certificates(patience=RENEWAL_PATIENCE)


def _find_tools(progress: Progress) -> Path:
    for name in ("etcd", "haproxy"):
        tools.find(name)
    binary = tools.find_terraform()
    progress.tell("terraform", f"using {binary}")
    return binary


def _write(wanted: Deployment, *, new: bool) -> Deployment:
    """Write deployment.yaml. A new one's ports are chosen again, under a lock that all deployments share."""
    home = state_home()
    try:
        with durable.exclusive(home / ".ports.lock", "The list of ports", patience=30.0):
            if new:
                size = wanted.last_port - wanted.first_port + 1
                wanted = replace(wanted, first_port=ports.choose_block(home, wanted.name, size))
            wanted.directory.mkdir(mode=0o700, exist_ok=True)
            durable.write(wanted.directory / "deployment.yaml", deployments.dump(wanted).encode())
            durable.sync_directory(home)
    except OSError as error:
        raise Refused(
            f"{wanted.directory} cannot be written.",
            why=str(error),
            todo="Mend its permissions, or make room on the disk.",
        ) from error
    return wanted


def _dead(wanted: Deployment, living: frozenset[str]) -> Mapping[str, list[str]]:
    """Return the addresses, by root, of what isn't alive. Terraform ignores those its state doesn't know."""
    found: dict[str, list[str]] = {provision.GLOBAL: [] if "edge" in living else [provision.EDGE_ADDRESS]}
    for region in wanted.regions:
        if region.name not in living:
            found[region.name] = [provision.REGION_ADDRESS]
        else:
            found[region.name] = [
                provision.node_address(node.name) for node in region.nodes if node.name not in living
            ]
    return found


def _await_health(wanted: Deployment, platform: Platform, progress: Progress) -> Health:
    until = time.monotonic() + HEALTH_PATIENCE
    waiting = list(wanted.nodes)
    while waiting and time.monotonic() < until:
        # What doesn't listen yet isn't asked: every question costs a handshake, while processors are short.
        listening = set(ports.in_use(node.port for node in waiting))
        answers = health.ask(wanted, [node for node in waiting if node.port in listening])
        ready = {
            answer.node.name for answer in answers if answer.report and answer.report.status == "healthy"
        }
        if ready:
            progress.tell("health", f"{', '.join(sorted(ready))} healthy")
        waiting = [node for node in waiting if node.name not in ready]
        time.sleep(POLL if waiting else 0)
    while True:
        found = health.inspect(wanted, platform)
        if found.healthy:
            return found
        if time.monotonic() >= until:
            raise _unhealthy(wanted, found)
        time.sleep(POLL)


def _set_retention(platform: Platform, confirm: Callable[[str], None]) -> dict[str, dict[str, str]]:
    """Have all kept as long as the policy says; what would become shorter is asked for."""
    policy = retention.load()
    found = retention.changes(policy, platform)
    if shorter := [str(change) for change in found if change.shorter]:
        confirm(f"The deployment runs. Keep {'; '.join(shorter)}, and remove for good what is older?")
    if found:
        retention.apply(policy, platform, may_shorten=bool(shorter))
    return _actions(found)


def _actions(found: list[retention.Change]) -> dict[str, dict[str, str]]:
    return {"retention": {f"{change.what} of {change.place}": "update" for change in found}} if found else {}


def _unhealthy(wanted: Deployment, found: Health) -> ObjectiveMissed:
    sick = [node for node in found.nodes if node.status != "healthy"]
    logs = [str(wanted.region(node.region).directory / "log" / f"{node.name}.log") for node in sick]
    return ObjectiveMissed(
        f"Deployment {wanted.name!r} is not healthy after {HEALTH_PATIENCE:.0f} s; ready: {found.ready}.",
        why=" ".join(f"{reason}." for reason in found.reasons),
        todo=f"Look at {', '.join(logs[:3]) or wanted.directory / 'regions'}, then run cortexctl up again.",
    )


def _destroy(found: Deployment, progress: Progress) -> CortexctlError | None:
    try:
        provision.destroy(found, binary=tools.find_terraform(), on_event=progress.event)
    except CortexctlError as error:
        progress.tell("terraform", f"{error.what} {error.why} Ending the processes without it.")
        return error
    return None


def _check_ended(found: Deployment, platform: Platform, failure: CortexctlError | None) -> None:
    edge, regions = ports.ports_of(found)
    used = ports.in_use([*edge, *(port for some in regions.values() for port in some)])
    places = ("edge", *found.nodes_a_region)
    left = [process for place in places for process in platform.region_processes(place)]
    if left or used:
        raise CortexctlError(
            f"Something of deployment {found.name!r} lives on.",
            why=f"Processes: {', '.join(left) or 'none'}; ports: {', '.join(map(str, used)) or 'none'}.",
            todo="End these processes, then run cortexctl down again.",
        ) from failure
    if failure:  # nothing lives, so that a state that can't be read is worth nothing
        shutil.rmtree(provision.directory(found))


def _remove(directory: Path) -> None:
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise CortexctlError(
            f"{directory} could not be removed.",
            why=str(error),
            todo="Remove it by hand; nothing of it runs.",
        ) from error
