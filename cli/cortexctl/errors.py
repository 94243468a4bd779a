"""The exceptions of the control plane.

    CortexctlError               1  internal
    ├── UsageError               2  the words of the call are off
    ├── ObjectiveMissed          3  not healthy, drill or benchmark missed its objective
    ├── ChangesPending           4  a plan has changes, or drift was found
    ├── Refused                  5  a precondition or a policy says no; nothing was changed
    │   ├── DeploymentNotFound
    │   └── ToolMissing
    ├── Locked                   6  another run holds the deployment
    └── OutcomeUnknown           7  it may or may not have happened

Each says what happened, why, and what to do next. Only the entry point prints them and exits.
"""

from __future__ import annotations


class CortexctlError(Exception):
    """Base: `what` happened, `why`, what `todo` next, and the process' exit code."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.todo = what, why, todo


class UsageError(CortexctlError):
    """The words of the call are off."""

    exit_code = 2


class ObjectiveMissed(CortexctlError):
    """Something was measured and is not as it must be."""

    exit_code = 3


class ChangesPending(CortexctlError):
    """There are changes to apply."""

    exit_code = 4


class Refused(CortexctlError):
    """A precondition or a policy refuses; nothing was changed."""

    exit_code = 5


class DeploymentNotFound(Refused):
    """No deployment has this name here."""


class ToolMissing(Refused):
    """A program that is needed is neither installed nor to be had."""


class Locked(CortexctlError):
    """Another run holds the deployment."""

    exit_code = 6


class OutcomeUnknown(CortexctlError):
    """It may or may not have happened."""

    exit_code = 7
