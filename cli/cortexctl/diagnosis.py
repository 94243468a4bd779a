"""What Terraform complains of, said so that people can do something about it.

A plan that fails has changed nothing. An apply that fails has done a part, which the state has; what was
under way when AWS stopped to answer is in doubt.
"""

from __future__ import annotations

import re
from pathlib import Path

from cortexctl.errors import CortexctlError, Locked, OutcomeUnknown, Refused, ToolMissing

CHANGING = ("apply", "destroy")
_FRAME = re.compile("\x1b\\[[0-9;]*m|[│╷╵]")  # with which Terraform adorns what it complains of in words
AGAIN = "then run the same command again: it goes on where this one stopped"
_LOCK = re.compile(r"\bID:\s+(?P<id>\S+).*?Operation:\s+(?P<operation>\S+)\s+Who:\s+(?P<who>\S+)"
                   r".*?Created:\s+(?P<since>\S+ \S+)")  # fmt: skip
# What AWS says through Terraform and its provider: why, and what to do.
_SAYINGS = (
    (
        r"ExpiredToken|RequestExpired|token (included in the request )?is expired|token has expired",
        "The credentials of AWS have expired.",
        "Log in again (aws sso login, or new keys in AWS' own variables or files)",
    ),
    (
        r"No valid credential sources|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId"
        r"|SignatureDoesNotMatch|no EC2 IMDS role found|failed to get shared config profile",
        "There are no credentials that AWS knows.",
        "Log in (aws sso login, or keys in AWS' own variables or files)",
    ),
    (
        r"Throttling|RequestLimitExceeded|TooManyRequests|SlowDown|Rate exceeded",
        "AWS takes no more calls of this account for now.",
        "Wait some minutes",
    ),
    (
        r"AccessDenied|UnauthorizedOperation|not authorized to perform",
        "These credentials are not allowed to.",
        "Have it permitted, or use a role that is",
    ),
    (
        r"NoSuchBucket|S3 bucket .* does not exist",
        "The bucket of the states is not there.",
        "Make it as docs/aws.md says, or mend the settings",
    ),
)
_NO_PROVIDER = re.compile(
    r"Failed to query available provider packages|Failed to install provider|could not connect to registry"
)


class TerraformError(CortexctlError):
    """Terraform failed."""


def of(root: str, command: str, text: str, log: Path) -> CortexctlError:
    """Return the error for what Terraform printed when it could not do a command on a root."""
    text = " ".join(_FRAME.sub(" ", text).split())
    what = f"Terraform could not {command} {root}."
    if "Error acquiring the state lock" in text and (found := _LOCK.search(text)):
        return Locked(
            f"The state of {root} is locked.",
            why=f"{found['who']} has held it since {found['since']} (UTC), for {_operation(found)}.",
            todo=f"Wait for that run. If it is dead: cortexctl unlock {found['id']}, {AGAIN}.",
        )
    if "Saved plan is stale" in text or "state serial" in text.lower():
        return Refused(
            f"The plan of {root} is out of date.",
            why="Its state has changed since the plan was made.",
            todo="Make a plan anew with cortexctl plan --out, and have it reviewed.",
        )
    if _NO_PROVIDER.search(text):
        return ToolMissing(
            f"{root} cannot have its provider.",
            why=_short(text),
            todo="Give a way to the registry, or name a directory with the provider as TF_PLUGIN_DIR.",
        )
    for pattern, why, todo in _SAYINGS:
        if re.search(pattern, text, re.IGNORECASE):
            kind = OutcomeUnknown if command in CHANGING else Refused
            return kind(what, why=f"{why} Terraform says: {_short(text)}", todo=f"{todo}, {AGAIN}.")
    if command == "plan" and "Invalid value for variable" in text:
        return Refused(what, why=_short(text), todo="Mend the settings; nothing was changed.")
    return TerraformError(what, why=text, todo=f"Look at {log}, {AGAIN}.")


def _operation(found: re.Match[str]) -> str:
    return found["operation"].removeprefix("OperationType").lower()


def _short(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[:most]} ..."
