"""How a deployment is: what every node says of itself, the database, the load balancers and the edge."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cortex_runtime.client import ClientError
from cortex_runtime.formats.messages import HealthReport
from cortexctl import access, certificates
from cortexctl.certificates import Certificate
from cortexctl.deployment import Deployment, Node, Region
from cortexctl.platforms.base import DatabaseMember, Platform, RegionStatus

TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A node's health report, or why there is none."""

    node: Node
    report: HealthReport | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """A node. What only it can tell is None when it is lost; `slots`: how many it holds, `lag`: seconds."""

    name: str
    region: str
    status: Literal["healthy", "degraded", "draining", "lost"]
    reasons: tuple[str, ...]
    role: str | None
    owned: int | None
    slots: int | None
    lag: float | None
    columns: int | None
    concepts: int | None
    relationships: int | None
    pending_relationships: int | None
    queue: int | None
    consolidation_backlog: int | None
    kernels: str | None
    version: str | None
    uptime: float | None
    address: str


@dataclass(frozen=True, slots=True)
class RegionHealth:
    """A region: `database` is what the arbiter knows of its instance."""

    name: str
    role: Literal["primary", "standby"]
    status: RegionStatus
    reasons: tuple[str, ...]
    database: DatabaseMember
    load_balancer_url: str


@dataclass(frozen=True, slots=True)
class Health:
    """A deployment. `reasons` says all that keeps it from being healthy, `warnings` what soon will."""

    deployment: str
    id: str
    profile: str
    healthy: bool
    durability: str
    load_balancer_url: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    regions: tuple[RegionHealth, ...]
    nodes: tuple[NodeHealth, ...]

    @property
    def ready(self) -> str:
        """How many of the nodes are healthy."""
        return f"{sum(node.status == 'healthy' for node in self.nodes)}/{len(self.nodes)}"

    def document(self) -> dict[str, Any]:
        """Return plain data, as --output json prints it."""
        document = asdict(self)
        document["ready_replicas"] = self.ready
        return document


def ask(deployment: Deployment, nodes: Iterable[Node], *, hashes: bool = False) -> tuple[Answer, ...]:
    """Ask nodes for their health reports, each at its own listener, at the same time."""

    def one(node: Node) -> Answer:
        try:
            return Answer(node, _report(deployment, f"https://{node.address}", hashes=hashes))
        except ClientError as error:
            return Answer(node, None, str(error))

    with ThreadPoolExecutor(8) as pool:
        return tuple(pool.map(one, nodes))


def inspect(deployment: Deployment, platform: Platform) -> Health:
    """Ask everything, at the same time, and judge. Raises Refused when the operator's files can't be read."""
    fronts = [deployment.edge_url, *(region.load_balancer_url for region in deployment.regions)]
    with ThreadPoolExecutor(3 + len(fronts)) as pool:
        database = pool.submit(platform.database)
        shown = pool.submit(platform.certificates)
        answers = pool.submit(ask, deployment, deployment.nodes)
        failures = dict(zip(fronts, pool.map(lambda url: _front(deployment, url), fronts), strict=True))
        return judge(deployment, database.result(), answers.result(), failures, shown.result())


def judge(
    deployment: Deployment,
    database: tuple[DatabaseMember, ...],
    answers: tuple[Answer, ...],
    failures: dict[str, str],
    found: tuple[Certificate, ...] = (),
) -> Health:
    """Return the health out of what was answered.

    `failures` has, by its URL, why a front door did not answer: the edge's and the load balancers'.
    Empty: it did.
    """
    members = {member.region: member for member in database}
    nodes = tuple(_node(answer) for answer in answers)
    regions = tuple(
        _region(
            region,
            members.get(region.name) or DatabaseMember(region.name, "absent", "unknown", None, None),
            [node for node in nodes if node.region == region.name],
            failures[region.load_balancer_url],
        )
        for region in deployment.regions
    )
    durable, durability = _durability(len(regions), tuple(region.database for region in regions))
    edge = failures[deployment.edge_url]
    faults, warnings = certificates.judge(found)
    reasons = [
        *(
            f"{node.name} is {node.status}: {'; '.join(node.reasons)}"
            for node in nodes
            if node.status != "healthy"
        ),
        *(
            f"{region.name} is {region.status}: {'; '.join(region.reasons)}"
            for region in regions
            if region.reasons
        ),
        *([] if durable else [f"Durability: {durability}"]),
        *([f"The edge does not answer: {edge}"] if edge else []),
        *faults,
    ]
    return Health(
        deployment=deployment.name, id=deployment.id, profile=deployment.profile, healthy=not reasons,
        durability=durability, load_balancer_url=deployment.edge_url, reasons=tuple(reasons),
        warnings=tuple(warnings), regions=regions, nodes=nodes,
    )  # fmt: skip


def _report(deployment: Deployment, url: str, *, hashes: bool = False) -> HealthReport:
    with access.operator(deployment, url=url, timeout=TIMEOUT, deadline=0) as client:
        return client.request("GET", "/v1/health" + ("?hashes=true" if hashes else ""), type=HealthReport)


def _front(deployment: Deployment, url: str) -> str:
    try:
        _report(deployment, url)
    except ClientError as error:
        return str(error)
    return ""


def _node(answer: Answer) -> NodeHealth:
    node, report = answer.node, answer.report
    return NodeHealth(
        name=node.name,
        region=node.region,
        status=report.status if report else "lost",
        reasons=tuple(report.reasons) if report else (answer.reason,),
        role=report.role if report else None,
        owned=report.owned if report else None,
        slots=report.held if report else None,
        lag=report.lag if report else None,
        columns=report.columns if report else None,
        concepts=report.concepts if report else None,
        relationships=report.relationships if report else None,
        pending_relationships=report.pending_relationships if report else None,
        queue=report.queue if report else None,
        consolidation_backlog=report.consolidation.backlog if report else None,
        kernels=report.kernels if report else None,
        version=report.version if report else None,
        uptime=report.uptime if report else None,
        address=node.address,
    )


def _region(region: Region, member: DatabaseMember, nodes: list[NodeHealth], front: str) -> RegionHealth:
    reasons = []
    if member.role == "absent":
        reasons.append(f"its database is absent ({member.state})")
    if front:
        reasons.append(f"its load balancer does not answer: {front}")
    status: RegionStatus = "degraded" if reasons else "healthy"
    states = {node.status for node in nodes}
    if member.role == "absent" and states == {"lost"}:
        status, reasons = "lost", ["nothing of it answers"]
    elif not reasons and states == {"draining"}:
        status, reasons = "draining", ["all its nodes are draining"]
    elif not reasons and states != {"healthy"}:
        status, reasons = "degraded", ["not all its nodes are healthy"]
    return RegionHealth(
        name=region.name, role="primary" if member.role == "primary" else "standby", status=status,
        reasons=tuple(reasons), database=member, load_balancer_url=region.load_balancer_url,
    )  # fmt: skip


def _durability(regions: int, members: tuple[DatabaseMember, ...]) -> tuple[bool, str]:
    """Return whether it is as it must be, and what an acknowledged write can count on."""
    quorum = regions // 2 + 1
    words = {2: "two", 3: "three", 4: "four", 5: "five"}
    promise = f"global: {words.get(quorum, quorum)} of {words.get(regions, regions)} regions"
    if not any(member.role == "primary" for member in members):
        return False, f"{promise}; no primary: writes are refused"
    absent = [member.region for member in members if member.role == "absent"]
    if regions - len(absent) < quorum:
        return False, f"{promise}; {', '.join(absent)} absent: writes wait, nothing is acknowledged"
    if absent:
        return False, f"{promise}; {', '.join(absent)} absent: the loss of another region stops writes"
    return True, promise
