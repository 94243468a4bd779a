"""What a provisioner is told: which deployment, which region, which node."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cortexctl import deployment as deployments
from cortexctl.deployment import Deployment
from cortexctl.errors import Refused, UsageError

FIELDS = frozenset({"directory", "region", "node"})


@dataclass(frozen=True, slots=True)
class Spec:
    """A provisioner's input; `region` and `node` are empty where the verb needs none."""

    directory: Path
    region: str = ""
    node: str = ""

    def deployment(self) -> Deployment:
        """Read the deployment's file. Raises Refused."""
        try:
            return deployments.read(self.directory / "deployment.yaml")
        except (OSError, ValueError) as error:
            raise Refused(
                f"{self.directory}/deployment.yaml cannot be used.", why=" ".join(str(error).split()),
                todo="Restore it from a backup.",
            ) from error  # fmt: skip


def parse(text: str) -> Spec:
    """Read the content of CORTEXKG_SPEC. Raises UsageError."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _unusable(str(error)) from None
    if not isinstance(content, dict) or not set(content) <= FIELDS:
        raise _unusable(f"it must be an object with {', '.join(sorted(FIELDS))}")
    values = {field: content.get(field) or "" for field in FIELDS}
    if not all(isinstance(value, str) for value in values.values()):
        raise _unusable("all its values must be strings or null")
    if not Path(values["directory"]).is_absolute():
        raise _unusable("directory must be an absolute path")
    return Spec(Path(values["directory"]), values["region"], values["node"])


def _unusable(why: str) -> UsageError:
    return UsageError(
        "CORTEXKG_SPEC cannot be used.",
        why=why,
        todo='Give {"directory": "...", "region": "...", "node": "..."}.',
    )
