"""What refusals and silence of an API server mean, and what is tried again."""

from __future__ import annotations

import socket
from itertools import count
from pathlib import Path

import pytest

from cortexctl.errors import CortexctlError, OutcomeUnknown, Refused
from cortexctl.platforms.kubernetes import api, looking, rollout
from cortexctl.platforms.kubernetes.api import Busy, Cluster, Forbidden, NotThere
from unit.kubernetes import objects
from unit.kubernetes.apiserver import ApiServer, failure
from unit.kubernetes.objects import NAMESPACE, STATEFULSET


def test_events_in_their_order_and_of_one_thing(server: ApiServer, cluster: Cluster) -> None:
    server.put(
        f"{objects.EVENTS}/b", objects.event("b", "node-0", "Pulled", "later", at="2026-03-01T12:00:00Z")
    )
    server.put(f"{objects.EVENTS}/a", objects.event("a", "node-1", "Failed", "two\n lines"))
    found = looking.events(cluster)
    assert [(each.reason, each.about, each.message, each.count) for each in found] == [
        ("Failed", "Pod/node-1", "two lines", 3),
        ("Pulled", "Pod/node-0", "later", 3),
    ]
    assert [each.reason for each in looking.events(cluster, about="node-0")] == ["Pulled"]


def test_leases(server: ApiServer, cluster: Cluster) -> None:
    server.put(f"{objects.LEASES}/b", objects.lease("b", "node-1"))
    server.put(f"{objects.LEASES}/a", objects.lease("a", "node-0"))
    found = looking.leases(cluster)
    assert [(each.name, each.holder, each.seconds, each.changes) for each in found] == [
        ("a", "node-0", 15, 4),
        ("b", "node-1", 15, 4),
    ]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_asked_again(server: ApiServer, cluster: Cluster, status: int) -> None:
    server.put(STATEFULSET, objects.statefulset())
    times = count()
    server.faults["GET", STATEFULSET] = lambda _: (
        failure(status, "Busy", "later") if next(times) < 2 else None
    )
    assert rollout.status(cluster, "statefulset", "node").done
    assert server.count("GET", STATEFULSET) == 3


@pytest.mark.parametrize(
    ("status", "kind", "says"),
    [
        (403, Forbidden, 'User "ada" cannot get'),
        (404, NotThere, "nothing of this name"),
        (429, Busy, "does not do this now"),
        (503, CortexctlError, "The cluster failed"),
    ],
)
def test_what_stays_is_told(
    server: ApiServer, cluster: Cluster, status: int, kind: type[CortexctlError], says: str
) -> None:
    server.faults["GET", STATEFULSET] = lambda _: failure(status, "No", 'User "ada" cannot get statefulsets')
    with pytest.raises(kind) as caught:
        rollout.status(cluster, "statefulset", "node")
    assert says in f"{caught.value.what} {caught.value.why}"
    assert caught.value.todo


def test_a_token_that_has_expired(server: ApiServer) -> None:
    cluster = api.connect(NAMESPACE, kubeconfig=server.kubeconfig(token="expired"))
    with pytest.raises(Refused, match="does not know you") as caught:
        looking.events(cluster)
    assert "kubeconfig's token" in caught.value.todo
    assert len(server.asked) == 1  # that is not tried again


def test_a_conflict_is_repeated_and_then_told(server: ApiServer, cluster: Cluster) -> None:
    server.put(STATEFULSET, objects.statefulset())
    times = count()
    path = f"{STATEFULSET}/scale"
    server.faults["PATCH", path] = lambda _: failure(409, "Conflict", "modified") if next(times) < 1 else None
    assert rollout.scale(cluster, "statefulset", "node", 5).wanted == 5
    assert server.count("PATCH", path) == 2
    server.faults["PATCH", path] = lambda _: failure(409, "Conflict", "modified")
    with pytest.raises(Refused, match="Somebody else"):
        rollout.scale(cluster, "statefulset", "node", 6)


def test_an_unreachable_cluster(server: ApiServer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        cluster = api.connect(NAMESPACE, kubeconfig=server.kubeconfig(port=probe.getsockname()[1]))
        with pytest.raises(Refused, match="does not answer"):
            looking.events(cluster)
        with pytest.raises(Refused, match="does not answer"):
            rollout.scale(cluster, "statefulset", "node", 5)


def test_a_change_that_got_no_answer_may_be_done(server: ApiServer, cluster: Cluster) -> None:
    server.faults["PATCH", f"{STATEFULSET}/scale"] = lambda _: (0, None)
    with pytest.raises(OutcomeUnknown):
        rollout.scale(cluster, "statefulset", "node", 5)


def test_a_server_of_another_authority_is_not_believed(server: ApiServer, tmp_path: Path) -> None:
    from cortexctl.platforms.local import certificates  # noqa: PLC0415

    other = tmp_path / "other"
    other.mkdir()
    certificates.open_authority(other, "other")
    kubeconfig = server.kubeconfig()
    kubeconfig.write_text(kubeconfig.read_text().replace(str(tmp_path / "ca.crt"), str(other / "ca.crt")))
    with pytest.raises(Refused, match="does not answer") as caught:
        looking.events(api.connect(NAMESPACE, kubeconfig=kubeconfig))
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.why
    assert server.asked == []


@pytest.mark.parametrize("content", [None, "", "{", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_off(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Refused, match="no way to a cluster") as caught:
        api.connect(NAMESPACE, kubeconfig=path)
    assert str(path) in caught.value.why
