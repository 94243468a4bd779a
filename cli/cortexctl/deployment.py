"""What a deployment is: its name, its regions and nodes, its ports and its directory.

The directory is the whole of it: nothing about a deployment is kept anywhere else.

    <state home>/<deployment>/
      deployment.yaml              this module's content
      ca/  operator/               the CA; the operator's client certificate and token key
      terraform/{global,<region>}/ state and working directory of each root
      edge/                        the edge's process tree
      regions/<region>/            certs/ secrets/ log/ etcd/ postgres/ nodes/ and configurations
"""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cortexctl.errors import DeploymentNotFound, Refused, UsageError

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
DEFAULT = "default"
# Raised when this version cannot go on with the tables and files of a deployment that an earlier one made.
FORMAT = 1
PORTS_A_REGION = 48
PORTS_OF_EDGE = 16


@dataclass(frozen=True, slots=True)
class Node:
    """A column runtime node; `address` is host:port of its TLS listener."""

    name: str
    region: str
    port: int

    @property
    def address(self) -> str:
        """Return host:port."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Region:
    """A region: its directory and the ports of everything in it."""

    name: str
    directory: Path
    first_port: int
    nodes: tuple[Node, ...]

    @property
    def load_balancer_port(self) -> int:
        """The port of the region's HAProxy."""
        return self.first_port

    @property
    def supervisor_port(self) -> int:
        """The port of the region's supervisor."""
        return self.first_port + 1

    @property
    def etcd_client_port(self) -> int:
        """The client port of the region's etcd member."""
        return self.first_port + 2

    @property
    def etcd_peer_port(self) -> int:
        """The peer port of the region's etcd member."""
        return self.first_port + 3

    @property
    def postgres_port(self) -> int:
        """The port of the region's PostgreSQL."""
        return self.first_port + 4

    @property
    def patroni_port(self) -> int:
        """The port of Patroni's REST interface."""
        return self.first_port + 5

    @property
    def load_balancer_url(self) -> str:
        """The base URL of the region's load balancer."""
        return f"https://127.0.0.1:{self.load_balancer_port}"


@dataclass(frozen=True, slots=True)
class KmsPlace:
    """Where AWS KMS keeps key-encryption keys: an AWS region for each region; keys are made in the first.

    `credentials_file` is the path of a file in AWS' form; without it, nodes have what boto3 finds.
    """

    regions: dict[str, str]
    endpoint: str | None = None
    credentials_file: str | None = None


@dataclass(frozen=True, slots=True)
class AwsPlace:
    """Where a deployment on AWS is: addresses (CIDR) by AWS region, the founding one first.

    `states` is the bucket of Terraform's states, in `states_region`; `options` are further variables of the
    stack of a region, as terraform/stacks/aws/region describes them.
    """

    regions: dict[str, str]
    zones: dict[str, list[str]]
    states: str
    states_region: str
    domain: str
    zone_id: str
    administrators: list[str]
    recipients: list[str]
    protected: bool
    accelerator: bool
    options: dict[str, Any]

    @property
    def founder(self) -> str:
        """The region that made the keys and the database's first cluster."""
        return next(iter(self.regions))


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment. `nodes_a_region` maps a region's name to its number of nodes, in order.

    `keyring_passphrase_file` is the path of the file with the passphrase that seals the keyring, if any does.
    """

    name: str
    id: str
    profile: str
    platform: str
    first_port: int
    nodes_a_region: dict[str, int]
    directory: Path
    keyring_passphrase_file: str | None = None
    keyring_passphrase_before: str | None = None  # while the passphrase is being changed
    kms: KmsPlace | None = None  # instead of the keyring
    key_policy: dict[str, int] | None = None  # days by kind of key (see keys.ages)
    format: int = FORMAT  # 0: made before formats were written down
    policy: dict[str, Any] | None = None  # what the rules hold it to (see policy.facts)
    aws: AwsPlace | None = None  # on platform aws: such a deployment has no ports and no nodes here

    @property
    def edge_port(self) -> int:
        """The port of the edge's HAProxy."""
        return self.first_port

    @property
    def edge_supervisor_port(self) -> int:
        """The port of the edge's supervisor."""
        return self.first_port + 1

    @property
    def edge_url(self) -> str:
        """The one address that a client needs."""
        return f"https://{self.aws.domain}" if self.aws else f"https://127.0.0.1:{self.edge_port}"

    @property
    def last_port(self) -> int:
        """The last port of the deployment's block."""
        return self.first_port + PORTS_OF_EDGE + PORTS_A_REGION * len(self.nodes_a_region) - 1

    @property
    def ca_certificate(self) -> Path:
        """The CA's certificate, which clients trust."""
        return self.directory / "ca" / "ca.crt"

    @property
    def operator_directory(self) -> Path:
        """tls.pem (client certificate) and token-keys.json (formats.tokenkeys) of the operator."""
        return self.directory / "operator"

    @property
    def operator_certificate(self) -> Path:
        """The operator's client certificate and its key, in one file."""
        return self.operator_directory / "tls.pem"

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions in their order."""
        return tuple(self._region(i, name) for i, name in enumerate(self.nodes_a_region))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of all regions."""
        return tuple(node for region in self.regions for node in region.nodes)

    def region(self, name: str) -> Region:
        """Return the region of this name. Raises UsageError when there is none."""
        for region in self.regions:
            if region.name == name:
                return region
        raise UsageError(
            f"There is no region {name!r} in deployment {self.name!r}.",
            todo=f"Name one of: {', '.join(self.nodes_a_region)}.",
        )

    def _region(self, index: int, name: str) -> Region:
        first = self.first_port + PORTS_OF_EDGE + PORTS_A_REGION * index
        nodes = tuple(Node(f"{name}-{i + 1}", name, first + 8 + i) for i in range(self.nodes_a_region[name]))
        return Region(name, self.directory / "regions" / name, first, nodes)


def state_home() -> Path:
    """Return where deployments live: in XDG_STATE_HOME, else /var/lib for root, else ~/.local/state.

    Raises Refused when there is no home directory. A relative XDG_STATE_HOME counts as none, as XDG has it.
    """
    if (chosen := Path(os.environ.get("XDG_STATE_HOME", ""))).is_absolute():
        return chosen / "cortexkg"
    if os.geteuid() == 0:
        return Path("/var/lib/cortexkg")
    try:
        return Path.home() / ".local" / "state" / "cortexkg"
    except RuntimeError as error:
        raise Refused(
            "There is no place for deployments.", why=str(error), todo="Set HOME or XDG_STATE_HOME."
        ) from error


def check_name(name: str) -> str:
    """Return the name if a deployment can have it. Raises UsageError."""
    if NAME.fullmatch(name):
        return name
    raise UsageError(
        f"{name!r} is no name for a deployment.",
        why="A name has 1 to 32 of a-z, 0-9 and -, and neither begins nor ends with -.",
        todo="Choose another --deployment, or CORTEXCTL_DEPLOYMENT.",
    )


def load(name: str) -> Deployment:
    """Read a deployment. Raises DeploymentNotFound, or Refused when its file is damaged."""
    directory = state_home() / check_name(name)
    path = directory / "deployment.yaml"
    try:
        found = read(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DeploymentNotFound(
            f"There is no deployment {name!r}.", why=f"{path} does not exist.", todo="Run cortexctl up first."
        ) from None
    except OSError as error:
        raise Refused(
            f"{path} cannot be read.",
            why=str(error),
            todo="Run as the user that ran up, or mend permissions.",
        ) from error
    except ValueError as error:
        raise Refused(
            f"{path} is damaged.",
            why=" ".join(str(error).split()),
            todo="Restore the file, or remove the deployment's directory.",
        ) from error
    if found.name != name:
        raise Refused(
            f"{path} is that of another deployment.",
            why=f"It says that it is {found.name!r}, and its ports are that one's.",
            todo="Remove the copy; a deployment is not made by copying another's directory.",
        )
    return found


def load_if_made(name: str) -> Deployment | None:
    """Read a deployment, None where there is no default one. Raises as `load` does."""
    try:
        return load(name)
    except DeploymentNotFound:
        if name != DEFAULT:
            raise
        return None


def read(path: Path) -> Deployment:
    """Read a deployment.yaml. Raises OSError, or ValueError when it is damaged."""
    import msgspec  # noqa: PLC0415 - neither is needed to tell what commands there are
    import yaml  # noqa: PLC0415

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert({"format": 0, **content, "directory": path.parent}, Deployment)
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(str(error)) from error


def dump(deployment: Deployment) -> str:
    """Return the content of deployment.yaml."""
    import yaml  # noqa: PLC0415

    content = {name: value for name, value in asdict(deployment).items() if value is not None}
    del content["directory"]
    return yaml.safe_dump(content, sort_keys=False)
