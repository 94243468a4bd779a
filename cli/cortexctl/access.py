"""Ways into the service: as an operator, and as a tenant."""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from cortex_runtime.client import ApiError, Client, ClientError, ConnectionFailed
from cortex_runtime.formats import tokenkeys
from cortex_runtime.formats.messages import LoginRequest, LoginResponse
from cortex_runtime.formats.tokenkeys import TokenKeys, TokenKeysError
from cortex_runtime.formats.tokens import LIFETIME, mint_operator_token
from cortexctl import credentials
from cortexctl.deployment import Deployment
from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused, UsageError

REFUSED = frozenset(
    {
        "unauthenticated", "not_found", "forbidden", "conflict", "rate_limited", "unavailable", "cycle",
        "capacity", "quota", "too_complex",
    }
)  # fmt: skip
WRONG = frozenset({"invalid", "too_large", "dimension"})
LOGIN_PATIENCE = 5.0
DOOR_TIMEOUT = 5.0


def operator(
    deployment: Deployment, *, url: str = "", timeout: float = 10.0, deadline: float = 30.0
) -> Client:
    """Return a client with an operator's token, of the edge unless another URL is given. Raises Refused.

    It has the operator's certificate, so that a node's own listener lets it in too.
    """
    if deployment.aws is not None:
        raise Refused(
            f"Deployment {deployment.name!r} is on AWS: this command does not reach it from here.",
            todo="cortexctl status, drift, failover and aws do; docs/aws.md says what else there is.",
        )
    path = deployment.operator_directory / "token-keys.json"
    _token_keys(path)  # whoever cannot read them is told so now
    return open_client(
        deployment, url=url, certificate=deployment.operator_certificate, timeout=timeout, deadline=deadline,
        token=_Renewed(lambda: (mint_operator_token(_token_keys(path), actor()), LIFETIME)),
    )  # fmt: skip


def actor() -> str:
    """Return who an operator is: the person behind sudo, else the user."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def tenant(
    deployment: Deployment,
    name: str,
    *,
    key_file: Path | None = None,
    url: str = "",
    timeout: float = 10.0,
    deadline: float = 30.0,
) -> Client:
    """Return a client of the edge that has what a login left, or logs in with the tenant's API key.

    An API key in a file or in the environment comes before a session, one that is kept after it. Raises
    Refused.
    """
    named = key_file is not None or os.environ.get(credentials.ENVIRONMENT)
    if not named and credentials.session(deployment, name) is not None:
        source = session_source(deployment, name)
    else:
        source = token_source(deployment, name, credentials.api_key(deployment, name, file=key_file))
    return open_client(deployment, url=url, timeout=timeout, deadline=deadline, token=source)


def region_doors(deployment: Deployment) -> dict[str, Callable[[], Client]]:
    """Return an operator's way to each region's own load balancer, by region."""

    def door(url: str) -> Callable[[], Client]:
        return lambda: operator(deployment, url=url, timeout=DOOR_TIMEOUT, deadline=DOOR_TIMEOUT)

    return {region.name: door(region.load_balancer_url) for region in deployment.regions}


def open_client(
    deployment: Deployment,
    *,
    token: str | Callable[[], str] = "",
    url: str = "",
    certificate: Path | None = None,
    timeout: float = 10.0,
    deadline: float = 30.0,
) -> Client:
    """Return a client that trusts the deployment's CA. Raises Refused when its files are not to be read."""
    try:
        return Client(
            url or deployment.edge_url, ca=deployment.ca_certificate, token=token, certificate=certificate,
            timeout=timeout, deadline=deadline,
        )  # fmt: skip
    except OSError as error:  # ssl.SSLError is one, too
        raise Refused(
            f"The certificates of deployment {deployment.name!r} cannot be used.",
            why=f"{error} ({deployment.ca_certificate})",
            todo="Run cortexctl up, or run this as the user that ran it.",
        ) from error


def token_source(deployment: Deployment, name: str, key: str) -> Callable[[], str]:
    """Return a function that gives a current token of a tenant, and logs in by the edge to get one."""

    def login() -> tuple[str, float]:
        with open_client(deployment, timeout=LOGIN_PATIENCE, deadline=LOGIN_PATIENCE) as client:
            answer = log_in(client, name, key)
        return answer.token, answer.expires_in

    return _Renewed(login)


def session_source(deployment: Deployment, name: str) -> Callable[[], str]:
    """Return a function that gives a current token of the session that a login left, and keeps newer ones."""

    def renew() -> tuple[str, float]:
        kept = credentials.session(deployment, name)
        if kept is None or kept.left <= 0:
            raise Refused(
                f"Your session of tenant {name!r} is over.",
                why=f"A session ends when it is not used for {LIFETIME // 60} minutes, or after 12 hours.",
                todo=f"Log in anew: cortexctl login {name}. For the API key: cortexctl logout {name}.",
            )
        if kept.left > LIFETIME / 2:
            return kept.token, kept.left
        with open_client(
            deployment, token=kept.token, timeout=LOGIN_PATIENCE, deadline=LOGIN_PATIENCE
        ) as client:
            answer = client.request("POST", "/v1/session", type=LoginResponse)
        credentials.save_session(deployment, name, answer.token, answer.expires_in)
        return answer.token, answer.expires_in

    return _Renewed(renew)


def log_in(client: Client, name: str, key: str) -> LoginResponse:
    """Exchange an API key for a token. Raises ClientError."""
    return client.request("POST", "/v1/login", LoginRequest(tenant=name, api_key=key), type=LoginResponse)


def cortex_path(tenant_name: str, cortex: str, *parts: str) -> str:
    """Return the path of something in a cortex."""
    return "/".join((f"/v1/tenants/{tenant_name}/cortices/{cortex}", *(_quoted(part) for part in parts)))


@contextmanager
def explained(deployment: Deployment) -> Iterator[None]:
    """Turn the client's errors into those of the command line, with the place of the logs."""
    try:
        yield
    except ClientError as error:
        raise explain(deployment, error) from error


def explain(deployment: Deployment, error: ClientError) -> CortexctlError:
    """Return what a failed request means: refused, wrong, unknown or broken."""
    logs = f"{deployment.directory}/regions/*/log/*.log"
    if isinstance(error, ApiError):
        logs = f"grep {error.request_id} {logs}" if error.request_id != "-" else f"see {logs}"
    if error.unknown:
        return OutcomeUnknown(
            "The service did not say whether it was done.", why=str(error),
            todo=f"Look whether it was, or repeat it; cortexctl status tells what is wrong; logs: {logs}.",
        )  # fmt: skip
    if isinstance(error, ConnectionFailed):
        return Refused(
            f"Deployment {deployment.name!r} does not answer.", why=str(error),
            todo=f"Look at cortexctl status; run cortexctl up when it is down; logs: {logs}.",
        )  # fmt: skip
    if not isinstance(error, ApiError):
        return CortexctlError("The request failed.", why=str(error), todo=f"Logs: {logs}.")
    kind: type[CortexctlError] = (
        Refused if error.code in REFUSED else UsageError if error.code in WRONG else CortexctlError
    )
    todo = {
        "unauthenticated": "Check the API key, have another made by cortexctl api-key make, or log in anew.",
        "not_found": "Check the names; cortexctl tenant list shows the tenants.",
        "unavailable": "Nothing was changed. Look at cortexctl status, and repeat it later.",
        "rate_limited": "Nothing was changed. Repeat it more slowly.",
        "capacity": "Nothing was changed. Delete concepts, or use another cortex.",
        "quota": "Nothing was changed. Delete concepts, or use another cortex.",
        "cycle": "Nothing was changed. Choose another parent.",
    }.get(error.code, "Mend the request.")
    return kind(error.message, why=f"{error.status} {error.code}", todo=f"{todo} Logs: {logs}.")


class _Renewed:
    """A token that is renewed at 60 % of its life; the old one serves while a new one is not to be had."""

    def __init__(self, fetch: Callable[[], tuple[str, float]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._token, self._renew_at, self._ends_at = "", 0.0, 0.0

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._renew()
            return self._token

    def _renew(self) -> None:
        now = time.monotonic()
        try:
            self._token, lifetime = self._fetch()
        except ClientError:
            if now + 1.0 >= self._ends_at:
                raise
            self._renew_at = now + LOGIN_PATIENCE
            return
        self._renew_at, self._ends_at = now + 0.6 * lifetime, now + lifetime


def _token_keys(path: Path) -> TokenKeys:
    try:
        return tokenkeys.parse(path.read_bytes())
    except (OSError, TokenKeysError) as error:
        raise Refused(
            "You cannot act as an operator of this deployment.", why=str(error),
            todo="Run it as the user that ran cortexctl up; run up again when the file is missing.",
        ) from error  # fmt: skip


def _quoted(part: str) -> str:
    text = quote(part, safe="")
    return text.replace(".", "%2E") if text in {".", ".."} else text
