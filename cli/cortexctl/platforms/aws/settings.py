"""What a deployment on AWS is to be: regions out of the call, the rest out of a file of settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from cortex_runtime.formats import decoding
from cortexctl.deployment import AwsPlace
from cortexctl.errors import Refused, UsageError
from cortexctl.platforms.aws.account import known_regions

PROFILES = {"production": True, "trial": False}  # whether it is protected
LEAST, MOST = 3, 6  # regions: of a production, and of a global database
Network = ipaddress.IPv4Network
Word = Annotated[str, Meta(min_length=1)]


class States(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bucket of Terraform's states, and its region."""

    bucket: Word
    region: Word


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of settings; `options` are further variables of terraform/stacks/aws/region.

    `protected: false` lets a production be taken down; `zones` are a, b and c of a region unless said.
    """

    domain: Word
    zone_id: Word
    states: States
    administrators: Annotated[list[Word], Meta(min_length=1)]
    recipients: list[Word] = []
    zones: dict[str, Annotated[list[Word], Meta(min_length=3, max_length=3)]] = {}
    protected: bool = True
    accelerator: bool = True
    options: dict[str, Any] = {}


def read(path: Path) -> Settings:
    """Read a file of settings. Raises UsageError with what is off."""
    import yaml  # noqa: PLC0415 - --help must be quick

    try:
        return msgspec.convert(yaml.safe_load(path.read_bytes()), Settings)
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise UsageError(
            f"The settings {path} are not usable.",
            why=" ".join(str(error).split()),
            todo="Mend the file: docs/aws.md shows one.",
        ) from error


def place(profile: str, regions: Sequence[str], settings: Settings) -> AwsPlace:
    """Return where the deployment is to be; regions are REGION or REGION=CIDR. Raises UsageError, Refused."""
    if profile not in PROFILES:
        raise UsageError(
            f"There is no profile {profile!r} on AWS.", todo=f"Name one of: {', '.join(PROFILES)}."
        )
    networks = _networks(regions)
    if len(networks) > MOST or len(networks) < (LEAST if PROFILES[profile] else 1):
        raise Refused(
            f"A {profile} deployment cannot have {len(networks)} regions.",
            why="With two, none can tell which one is cut off; a global database has six at most.",
            todo=f"Name {LEAST if PROFILES[profile] else 1} to {MOST}, each by --region.",
        )
    return AwsPlace(
        regions={region: str(network) for region, network in networks.items()},
        zones={region: settings.zones.get(region, [region + zone for zone in "abc"]) for region in networks},
        states=settings.states.bucket,
        states_region=_known(settings.states.region),
        domain=settings.domain,
        zone_id=settings.zone_id,
        administrators=settings.administrators,
        recipients=settings.recipients,
        protected=PROFILES[profile] and settings.protected,
        accelerator=settings.accelerator,
        options=settings.options,
    )


def _networks(regions: Sequence[str]) -> Mapping[str, Network]:
    found: dict[str, Network] = {}
    for i, word in enumerate(regions):
        region, _, cidr = word.partition("=")
        if _known(region) in found:
            raise UsageError(f"--region names {region} twice.", todo="Name each region once.")
        network = _network(cidr or f"10.{16 * (i + 1)}.0.0/16")
        for other, known in found.items():
            if network.overlaps(known):
                raise UsageError(
                    f"The addresses of {other} and {region} overlap: {known} and {network}.",
                    why="Nodes of the one could not reach the other.",
                    todo="Give each region addresses of its own: --region REGION=CIDR.",
                )
        found[region] = network
    return found


def _network(cidr: str) -> Network:
    try:
        return Network(cidr)
    except ValueError as error:
        raise UsageError(
            f"{cidr!r} is no network.", why=f"{error}.", todo="Write it as 10.16.0.0/16."
        ) from error


def _known(region: str) -> str:
    known = known_regions()
    if region in known:
        return region
    alike = [each for each in sorted(known) if region and each.startswith(region[:5])]
    raise UsageError(
        f"AWS has no region {region!r}.",
        why="Regions are named as AWS does, such as eu-west-1.",
        todo=f"Name one of: {', '.join(alike or sorted(known))}.",
    )


decoding.learn(globals())
