"""The way to the API server: one place for time limits, what is tried again, and what a refusal means."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused

TIMEOUT = (5.0, 20.0)  # seconds: to connect, between two bytes of an answer
# A patch names the state that is wanted, so it may be sent again; an eviction is a POST and has its own loop.
REPEATED = frozenset({"GET", "PATCH"})
PASSING = frozenset({409, 429, 500, 502, 503, 504})


class Forbidden(Refused):
    """The cluster does not let this user do that."""


class NotThere(Refused):
    """The cluster has nothing of this name."""


class Busy(Refused):
    """Not now: too many requests, or a disruption budget that has nothing left."""


_MEANINGS: dict[int, tuple[type[CortexctlError], str, str]] = {
    400: (Refused, "The cluster refuses this.", "Nothing was changed; see the message."),
    401: (
        Refused,
        "The cluster does not know you, or not any longer.",
        "Log in to it anew: the kubeconfig's token or certificate is not good.",
    ),
    403: (
        Forbidden,
        "The cluster does not let you do this.",
        "Ask for the role that the message names, or use another --context.",
    ),
    404: (NotThere, "The cluster has nothing of this name.", "Check the name, --namespace and --context."),
    409: (Refused, "Somebody else changes the same thing.", "Nothing was changed. Repeat it."),
    422: (Refused, "The cluster refuses this.", "Nothing was changed; see the message."),
    429: (Busy, "The cluster does not do this now.", "Nothing was changed. Repeat it later."),
}
_FAILED = CortexctlError, "The cluster failed.", "Look at its control plane, then repeat it."


@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts of the API that are used, of one cluster, as one user, about one namespace."""

    namespace: str
    core: Any
    apps: Any
    coordination: Any


def connect(namespace: str, *, kubeconfig: Path | None = None, context: str | None = None) -> Cluster:
    """Return a cluster of a kubeconfig (KUBECONFIG, else ~/.kube/config). Asks nothing. Raises Refused."""
    try:
        chosen = client.Configuration()
        load: Callable[..., None] = config.load_kube_config  # it has no types
        load(str(kubeconfig) if kubeconfig else None, context, chosen, persist_config=False)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        raise Refused(
            "There is no way to a cluster.", why=f"{error} ({kubeconfig or 'KUBECONFIG or ~/.kube/config'})",
            todo="Name a kubeconfig by --kubeconfig, and one of its contexts by --context.",
        ) from error  # fmt: skip
    chosen.retries = urllib3.Retry(
        total=4, backoff_factor=0.2, status_forcelist=PASSING, allowed_methods=REPEATED,
        raise_on_status=False, respect_retry_after_header=True,
    )  # fmt: skip
    made = client.ApiClient(chosen)
    return Cluster(namespace, client.CoreV1Api(made), client.AppsV1Api(made), client.CoordinationV1Api(made))


def ask(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Return what the API server answers to a question. Raises Refused, or what it means."""
    try:
        return function(*arguments, _request_timeout=TIMEOUT, **named)
    except ApiException as error:
        raise explain(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise _unreached(error) from error


def change(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Have something changed. Raises Refused, OutcomeUnknown when it may have been, or what it means."""
    try:
        return function(*arguments, _request_timeout=TIMEOUT, **named)
    except ApiException as error:
        raise explain(error) from error
    except urllib3.exceptions.HTTPError as error:
        if _never_sent(error):
            raise _unreached(error) from error
        raise OutcomeUnknown(
            "The cluster did not say whether it was done.",
            why=str(error),
            todo="Repeat it: that does no harm.",
        ) from error


def explain(error: ApiException) -> CortexctlError:
    """Return what a refused request means."""
    kind, what, todo = _MEANINGS.get(error.status, _FAILED)
    return kind(what, why=f"{error.status} {error.reason}: {_message(error)}", todo=todo)


def _message(error: ApiException) -> str:
    """Return the message of the Status object that a refusal is, else its beginning."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, LookupError):
        return str(error.body)[:200]


def _never_sent(error: urllib3.exceptions.HTTPError) -> bool:
    cause: BaseException | None = getattr(error, "reason", None) or error
    return isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _unreached(error: Exception) -> Refused:
    return Refused(
        "The cluster does not answer.", why=str(error),
        todo="See to it that its API server can be reached from here, and that its certificate is good.",
    )  # fmt: skip
