"""The same for many tenants: one that fails does not stop the others, and is named at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cortex_runtime.client import ClientError
from cortexctl import access
from cortexctl.deployment import Deployment
from cortexctl.errors import CortexctlError

T = TypeVar("T")


def each(
    deployment: Deployment, names: Iterable[str], work: Callable[[str], T]
) -> tuple[list[T], dict[str, CortexctlError]]:
    """Do the work for each name; return what came out, and what failed by name."""
    done: list[T] = []
    failed: dict[str, CortexctlError] = {}
    for name in names:
        try:
            done.append(work(name))
        except ClientError as error:
            failed[name] = access.explain(deployment, error)
        except CortexctlError as error:
            failed[name] = error
    return done, failed


def check(failed: dict[str, CortexctlError], what: str) -> None:
    """Raise an error of the first failure's kind that names all that failed, if any did."""
    if not failed:
        return
    first = next(iter(failed.values()))
    if len(failed) == 1:
        name = next(iter(failed))
        raise type(first)(f"{what}: not {name}. {first.what}", why=first.why, todo=first.todo) from first
    why = "; ".join(f"{name}: {' '.join(filter(None, (e.what, e.why)))}" for name, e in failed.items())
    raise type(first)(f"{what}: not {', '.join(failed)}.", why=why, todo=first.todo) from first
