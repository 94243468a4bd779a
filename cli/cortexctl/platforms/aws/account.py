"""Clients of AWS' services, and what goes wrong with them said so that people can do something about it.

Credentials, profiles and endpoints are those that boto3 finds: AWS' own variables and files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 20.0  # seconds
ATTEMPTS = 5
LOGIN = "Log in again (aws sso login, or new keys in AWS' own variables or files), and repeat the command."
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
UNKNOWN = {
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"}
THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
}


def client(service: str, region: str) -> Any:
    """Return a client of a service. Raises Refused when the profile that AWS_PROFILE names is not there."""
    import boto3  # noqa: PLC0415 - it takes its time to load
    from botocore.config import Config  # noqa: PLC0415

    with explained(f"AWS cannot be asked for {service}"):
        return boto3.client(
            service,
            region_name=region,
            config=Config(
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            ),
        )


def known_regions() -> frozenset[str]:
    """Return the regions of the commercial partition that have Kubernetes, as this boto3 knows them.

    Raises Refused when the profile that AWS_PROFILE names is not there.
    """
    import boto3  # noqa: PLC0415

    with explained("AWS' regions cannot be listed"):
        return frozenset(boto3.session.Session().get_available_regions("eks"))


@contextmanager
def explained(what: str, *, changes: bool = False) -> Iterator[None]:
    """Tell what AWS says no to in the block as Refused.

    An answer that was not waited for raises OutcomeUnknown when the block `changes` something.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        raise _answered(what, error) from error
    except BotoCoreError as error:
        raise _unanswered(what, error, changes=changes) from error


def _answered(what: str, error: Any) -> Refused:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in EXPIRED:
        return Refused(f"{what}.", why="The credentials of AWS have expired.", todo=LOGIN)
    if code in UNKNOWN:
        return Refused(f"{what}.", why=f"AWS does not know these credentials: {code}.", todo=LOGIN)
    if code in DENIED:
        return Refused(
            f"{what}.",
            why=f"These credentials are not allowed to: {error}.",
            todo="Have it permitted, or use a role that is: docs/aws.md says what is asked for.",
        )
    if code in THROTTLED:
        return Refused(
            f"{what}.",
            why=f"AWS takes no more calls of this account for now, {ATTEMPTS} times in a row: {code}.",
            todo="Repeat the command after a minute.",
        )
    return Refused(f"{what}.", why=f"{error}.", todo="Look at it in AWS, and repeat the command.")


def _unanswered(what: str, error: Any, *, changes: bool) -> CortexctlError:
    from botocore import exceptions  # noqa: PLC0415

    missing = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
    )
    if isinstance(error, missing):
        return Refused(f"{what}.", why=f"There are no credentials for AWS: {error}.", todo=LOGIN)
    if changes and isinstance(error, exceptions.ReadTimeoutError | exceptions.ConnectionClosedError):
        return OutcomeUnknown(
            f"{what}, or AWS did so without saying.",
            why=f"{error}.",
            todo="Look at it in AWS before the command is repeated.",
        )
    return Refused(
        f"{what}.",
        why=f"AWS cannot be reached: {error}.",
        todo="See to the network, to AWS_ENDPOINT_URL and to AWS' status page, and repeat the command.",
    )
