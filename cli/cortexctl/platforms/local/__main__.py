"""What Terraform calls: python -m cortexctl.platforms.local VERB, with CORTEXKG_SPEC in the environment.

VERB is one of region-start, region-stop, node-start, node-stop, edge-start and edge-stop; CORTEXKG_SPEC a
JSON object {"directory": the deployment's, "region": a name or null, "node": a name or null}. All the rest
comes from the deployment's file. All verbs may be repeated.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cortexctl.deployment import Deployment
from cortexctl.errors import CortexctlError, UsageError
from cortexctl.platforms.local import regions
from cortexctl.platforms.local.spec import Spec, parse


def main() -> None:
    """Do what the verb says; the only place of this program that exits."""
    try:
        _run(sys.argv[1:], os.environ.get("CORTEXKG_SPEC", ""))
    except CortexctlError as error:
        parts = (error.what, f"Why: {error.why}" if error.why else "", error.todo)
        sys.stderr.write(" ".join(part for part in parts if part) + "\n")
        sys.exit(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"The machine refuses: {error}. Mend permissions or make room, then repeat.\n")
        sys.exit(5)


def _run(arguments: list[str], text: str) -> None:
    verbs: dict[str, Callable[[Deployment, Spec], None]] = {
        "region-start": lambda deployment, spec: regions.start(deployment, deployment.region(spec.region)),
        "region-stop": lambda deployment, spec: regions.stop(deployment, deployment.region(spec.region)),
        "node-start": _start_node,
        "node-stop": lambda deployment, spec: regions.stop_node(
            deployment, deployment.region(spec.region), spec.node
        ),
        "edge-start": lambda deployment, _: regions.start_edge(deployment),
        "edge-stop": lambda deployment, _: regions.stop_edge(deployment),
    }
    if len(arguments) != 1 or arguments[0] not in verbs:
        raise UsageError("The verb is missing or unknown.", todo=f"Give one of: {', '.join(verbs)}.")
    spec = parse(text)
    verbs[arguments[0]](spec.deployment(), spec)


def _start_node(deployment: Deployment, spec: Spec) -> None:
    region = deployment.region(spec.region)
    regions.start_node(deployment, region, regions.node_of(region, spec.node))


if __name__ == "__main__":
    main()
