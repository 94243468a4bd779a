"""Where regions live: one module a platform behind one protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortexctl.deployment import Deployment
    from cortexctl.platforms.base import Platform


def of(deployment: Deployment) -> Platform:
    """Return the platform that a deployment's regions live on."""
    if deployment.aws is not None:
        from cortexctl.platforms.aws import AwsPlatform  # noqa: PLC0415 - only what is used is imported

        return AwsPlatform(deployment)
    from cortexctl.platforms.local import LocalPlatform  # noqa: PLC0415

    return LocalPlatform(deployment)
