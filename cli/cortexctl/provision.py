"""A deployment's roots: the global one and one a region, applied side by side."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from cortexctl import terraform
from cortexctl.deployment import Deployment, Region
from cortexctl.errors import CortexctlError
from cortexctl.terraform import Event, Outcome, Root

T = TypeVar("T")

GLOBAL = "global"
EDGE_ADDRESS = "module.edge.terraform_data.this"
REGION_ADDRESS = "module.region.terraform_data.this"


def node_address(node: str) -> str:
    """Return the Terraform address of a node in its region's root."""
    return f'module.node["{node}"].terraform_data.this'


def apply(
    deployment: Deployment,
    *,
    binary: Path,
    replace: Mapping[str, Sequence[str]],
    on_event: Callable[[Event], None],
) -> dict[str, Outcome]:
    """Apply all roots; `replace` has the addresses to make anew by root. Returns the outcomes by root.

    All of them are finished, whatever becomes of one; then the first failure is raised.
    """
    variables = _variables(deployment)

    def one(root: Root) -> Outcome:
        return root.apply(variables[root.name], replace=replace.get(root.name, ()))

    return side_by_side(_roots(deployment, binary, on_event), one)


def plan(
    deployment: Deployment, *, binary: Path, replace: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str]]:
    """Return what apply would do: actions by address, by root. Works on copies: nothing is changed."""
    variables = _variables(deployment)

    def one(root: Root) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="cortexctl-plan-") as temporary:
            copy = Root(root.name, root.stack, Path(temporary), root.binary, root.on_event)
            if root.state.exists():
                shutil.copyfile(root.state, copy.state)
            return copy.plan(variables[root.name], replace=replace.get(root.name, ()))

    outcomes = side_by_side(_roots(deployment, binary, lambda _: None), one)
    return {name: outcome.actions for name, outcome in outcomes.items()}


def destroy(deployment: Deployment, *, binary: Path, on_event: Callable[[Event], None]) -> dict[str, Outcome]:
    """Destroy all roots. All of them are tried; then the first failure is raised."""
    return side_by_side(_roots(deployment, binary, on_event), Root.destroy)


def side_by_side(
    roots: Sequence[Root], work: Callable[[Root], T], *, patience: float = terraform.INTERRUPT_PATIENCE
) -> dict[str, T]:
    """Do the work on all roots at the same time, and return what came of it by root.

    All of them are finished, whatever becomes of one; then the first failure is raised. Interrupted, they
    have `patience` seconds to save their states.
    """
    with ThreadPoolExecutor(len(roots)) as pool:
        futures: dict[str, Future[T]] = {root.name: pool.submit(work, root) for root in roots}
        try:
            wait(futures.values())
        except BaseException:
            terraform.interrupt(patience)
            raise
    failures = [error for future in futures.values() if (error := future.exception())]
    if len(failures) > 1 and all(isinstance(failure, CortexctlError) for failure in failures):
        first = failures[0]
        assert isinstance(first, CortexctlError)
        others = " ".join(str(failure) for failure in failures[1:])
        first.why = f"{first.why} Also: {others}"
    if failures:
        raise failures[0]
    return {name: future.result() for name, future in futures.items()}


def directory(deployment: Deployment) -> Path:
    """Return where the roots have their states."""
    return deployment.directory / "terraform"


def _roots(deployment: Deployment, binary: Path, on_event: Callable[[Event], None]) -> tuple[Root, ...]:
    place = directory(deployment)
    regions = (
        Root(name, f"{deployment.platform}/region", place / name, binary, on_event)
        for name in deployment.nodes_a_region
    )
    return (Root(GLOBAL, f"{deployment.platform}/global", place / GLOBAL, binary, on_event), *regions)


def _variables(deployment: Deployment) -> dict[str, dict[str, Any]]:
    shared = {"python": sys.executable, "directory": str(deployment.directory)}
    found: dict[str, dict[str, Any]] = {
        GLOBAL: {
            **shared,
            "edge_port": deployment.edge_port,
            "regions": {region.name: region.load_balancer_port for region in deployment.regions},
        }
    }
    for region in deployment.regions:
        found[region.name] = {**shared, **_region_variables(region)}
    return found


def _region_variables(region: Region) -> dict[str, Any]:
    return {
        "region": region.name,
        "load_balancer_port": region.load_balancer_port,
        "nodes": {node.name: node.port for node in region.nodes},
    }
