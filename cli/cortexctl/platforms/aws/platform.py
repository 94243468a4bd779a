"""The platform of AWS: what boto3 asks and changes of the regions that Terraform has made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from cortexctl.deployment import AwsPlace, Deployment
from cortexctl.errors import Refused
from cortexctl.platforms.aws import checks, database, kubernetes, machines, restores, traffic
from cortexctl.platforms.aws.account import client, explained
from cortexctl.platforms.aws.unneeded import Unneeded
from cortexctl.platforms.base import DatabaseMember

# Both services answer for the whole world in one region.
ACCELERATOR_REGION, DNS_REGION = "us-west-2", "us-east-1"


class AwsPlatform(Unneeded):
    """The regions of a deployment on AWS: a platforms.base.Platform."""

    def __init__(self, deployment: Deployment) -> None:
        assert deployment.aws is not None
        self._deployment = deployment
        self._place: AwsPlace = deployment.aws
        self._name = f"cortexkg-{deployment.name}"  # as the stacks name what they make

    def prepare(self) -> None:
        """See that AWS lets us in, and that the bucket of states can keep them. Raises Refused."""
        with explained("AWS does not let us in"):
            client("sts", self._place.states_region).get_caller_identity()
        states = self.states()
        if states.fault:
            raise Refused(
                f"The bucket of states {states.what} will not do.",
                why=f"{states.fault.capitalize()}.",
                todo="Make it, private, encrypted and with versions: docs/aws.md says how.",
            )

    def states(self) -> checks.Check:
        """Return a check of the bucket of Terraform's states. Raises Refused."""
        region = self._place.states_region
        return checks.bucket(client("s3", region), self._place.states, region)

    def checks(self) -> tuple[checks.Check, ...]:
        """Look at the keys and buckets of all regions. Raises Refused."""
        with explained("AWS does not let us in"):
            account = client("sts", self._place.states_region).get_caller_identity()["Account"]

        def one(region: str) -> list[checks.Check]:
            kms, s3 = client("kms", region), client("s3", region)
            names = (f"{self._name}-{account}-{region}-{store}" for store in checks.STORES)
            found = list(checks.keys(kms, self._deployment.name, region))
            return [*found, *(checks.bucket(s3, name, region) for name in names)]

        with ThreadPoolExecutor(len(self._place.regions)) as pool:
            found = list(pool.map(one, self._place.regions))
        return (self.states(), *(each for some in found for each in some))

    def restores(self, since: datetime) -> tuple[restores.Restore, ...]:
        """Return the last tests of all backups; one from before `since` is a fault. Raises Refused."""
        with ThreadPoolExecutor(len(self._place.regions)) as pool:
            found = pool.map(
                lambda region: restores.look(client("backup", region), self._name, region, since),
                self._place.regions,
            )
            return tuple(each for some in found for each in some)

    def every_machine(self) -> tuple[machines.Machines, ...]:
        """Return the machines of all regions. Raises Refused."""
        with ThreadPoolExecutor(len(self._place.regions)) as pool:
            return tuple(
                pool.map(
                    lambda region: machines.look(client("eks", region), self._name, region),
                    self._place.regions,
                )
            )

    def scale(self, region: str, wanted: int) -> machines.Machines:
        """Want so many machines in a region. Raises UsageError, Refused, OutcomeUnknown."""
        return machines.scale(client("eks", region), self._name, region, wanted)

    def shift_traffic(self, region: str, percent: int) -> None:
        """Give a region a share of the traffic that is nearest to it. Raises UsageError, Refused.

        With an accelerator its dial; the way by DNS beside it is taken away at 0 and given back above.
        """
        traffic.check_percent(percent, weighted=self._place.accelerator)
        if self._place.accelerator:
            traffic.turn_dial(client("globalaccelerator", ACCELERATOR_REGION), self._name, region, percent)
        traffic.answer_by_dns(
            client("route53", DNS_REGION), f"{region}.{self._place.domain}", percent=100 if percent else 0
        )

    def kubeconfig(self, region: str) -> dict[str, object]:
        """Return a kubeconfig for a region's Kubernetes. Raises Refused."""
        return kubernetes.kubeconfig(client("eks", region), self._name, region, self._deployment.name)

    def token(self, region: str) -> dict[str, object]:
        """Return the ExecCredential that the kubeconfig asks for. Raises Refused."""
        return kubernetes.token(self._name, region)

    def living(self) -> frozenset[str]:
        """Return the regions whose machines serve. Raises Refused."""
        serving = {"ACTIVE", "UPDATING"}
        return frozenset(
            each.region for each in self.every_machine() if each.status in serving and each.wanted
        )

    def database(self) -> tuple[DatabaseMember, ...]:
        """Return all members, those that the global database does not know as absent. Raises Refused."""
        regions = tuple(self._place.regions)
        return database.members(client("rds", self._place.founder), self._name, regions)

    def switchover(self, to: str) -> None:
        """Planned switch of the region that writes; returns when it does. Raises Refused, OutcomeUnknown."""
        database.switch(client("rds", to), self._name, to, data_loss=False)

    def force_failover(self, to: str) -> None:
        """Have a region write although it may lack acknowledged writes. Raises Refused, OutcomeUnknown."""
        database.switch(client("rds", to), self._name, to, data_loss=True)
