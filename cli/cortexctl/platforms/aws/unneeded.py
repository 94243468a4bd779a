"""What a platform is asked for that AWS does by itself: refused, with what to use instead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from cortexctl.certificates import Certificate
from cortexctl.errors import Refused
from cortexctl.platforms.base import KeptFiles, Landing, Listener

RENEWAL = "ACM and cert-manager renew them by themselves"
FAULTS = "make the fault with AWS Fault Injection Service, and look at cortexctl status meanwhile"


class Unneeded:
    """Those methods of platforms.base.Platform that nobody needs on AWS."""

    def certificates(self) -> tuple[Certificate, ...]:
        """Return nothing: certificates are ACM's and cert-manager's, which renew them."""
        return ()

    def due_certificates(self, *, everything: bool) -> tuple[Path, ...]:  # noqa: ARG002
        """Refuse: there are no files of certificates."""
        _refuse("Certificates", RENEWAL)

    def replace_certificates(self, *, everything: bool) -> tuple[Path, ...]:  # noqa: ARG002
        """Refuse: there are no files of certificates."""
        _refuse("Certificates", RENEWAL)

    def take_up_certificates(self, *, patience: float) -> tuple[Certificate, ...]:  # noqa: ARG002
        """Return nothing: there is none of ours to take up."""
        return ()

    def listeners(self) -> tuple[Listener, ...]:
        """Refuse: ports are security groups'."""
        _refuse("Listeners", "cortexctl policy check looks at the security groups in a plan")

    def owner(self) -> str:
        """Refuse: nobody has the password of the schema's owner."""
        _refuse("The schema's owner", "IAM lets nodes in as cortex; run migrations as a job in Kubernetes")

    def kept_files(self) -> tuple[KeptFiles, ...]:
        """Return nothing: logs and metrics are CloudWatch's and Prometheus', kept as the stacks say."""
        return ()

    def keep_files(self, days: Mapping[str, int]) -> None:  # noqa: ARG002
        """Refuse: the stacks say how long logs are kept."""
        _refuse("How long files are kept", "set it in the settings' options, and run cortexctl up")

    def stop(self) -> None:
        """Refuse: what is taken down is destroyed by Terraform."""
        _refuse("Ending processes", "cortexctl down destroys the stacks")

    def region_processes(self, region: str) -> tuple[str, ...]:
        """Refuse: processes are pods'."""
        _refuse("Processes", f"cortexctl aws kubeconfig --region {region}, then kubectl get pods")

    def kill_region(self, region: str) -> Landing:
        """Refuse: faults are AWS' own to make."""
        _refuse(f"Ending {region}", FAULTS)

    def kill_node(self, node: str) -> Landing:
        """Refuse: faults are AWS' own to make."""
        _refuse(f"Ending {node}", f"kubectl delete pod --force, or {FAULTS}")

    def kill_database(self, region: str) -> Landing:
        """Refuse: faults are AWS' own to make."""
        _refuse(f"Ending the database of {region}", FAULTS)

    def start_region(self, region: str) -> None:
        """Refuse: what is missing is made by Terraform."""
        _refuse(f"Starting {region}", "cortexctl up makes what is missing")

    def start_node(self, node: str) -> None:
        """Refuse: Kubernetes starts pods."""
        _refuse(f"Starting {node}", "Kubernetes starts its pods again by itself")


def _refuse(what: str, instead: str) -> NoReturn:
    raise Refused(f"{what}: cortexctl does not do that on AWS.", todo=f"{instead[0].upper()}{instead[1:]}.")
