"""What every pod is and is not allowed, and who may talk to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from unit.chart import charts
from unit.chart.charts import Document

ALL = [(values, name, pod) for values in charts.VALUES for name, _, pod in charts.pods(values)]
NAMES = [f"{values}-{name}" for values, name, _ in ALL]


@pytest.mark.parametrize(("values", "name", "pod"), ALL, ids=NAMES)
def test_every_pod_is_nobody_and_can_do_nothing(values: str, name: str, pod: Document) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] in {
        d["metadata"]["name"] for d in charts.rendered(values) if d["kind"] == "ServiceAccount"
    }
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 1000
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.get("hostNetwork")
    assert not pod.get("hostPID")
    assert not any("hostPath" in volume for volume in pod.get("volumes", []))
    for container in charts.containers(pod):
        own = container["securityContext"]
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.fullmatch(r"[a-z0-9./_-]+@sha256:[0-9a-f]{64}", container["image"])
        for which in ("requests", "limits"):
            assert container["resources"][which].keys() == {"cpu", "memory"}
        requested, limit = (container["resources"][which]["memory"] for which in ("requests", "limits"))
        if name.endswith("-node"):
            assert requested == limit  # it is not to be ended because others need memory


@pytest.mark.parametrize(("values", "name", "pod"), ALL, ids=NAMES)
def test_no_secret_is_in_an_environment_or_an_argument(values: str, name: str, pod: Document) -> None:
    for container in charts.containers(pod):
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {})
        assert "envFrom" not in container
    for volume in pod.get("volumes", []):
        if "secret" in volume:
            assert volume["secret"]["defaultMode"] == 0o440


@pytest.mark.parametrize("values", charts.VALUES)
def test_nobody_has_a_role(values: str) -> None:
    kinds = {document["kind"] for document in charts.rendered(values)}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}


@pytest.mark.parametrize("values", charts.VALUES)
def test_what_is_told_to_run_on_is_probed_and_spread(values: str) -> None:
    for name in ("node", "front"):
        kind = "StatefulSet" if name == "node" else "Deployment"
        document = charts.only(values, kind, name)
        pod = document["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["readinessProbe"]["periodSeconds"] == 10
        assert container["livenessProbe"]["periodSeconds"] == 10
        assert (
            container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] >= 30
        )
        keys = [each["topologyKey"] for each in pod["topologySpreadConstraints"]]
        assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        selector = document["spec"]["selector"]["matchLabels"]
        for each in pod["topologySpreadConstraints"]:
            assert each["labelSelector"]["matchLabels"] == selector
        budget = charts.only(values, "PodDisruptionBudget", name)["spec"]
        assert budget["selector"]["matchLabels"] == selector
        assert budget["maxUnavailable"] == 1
        assert selector.items() <= document["spec"]["template"]["metadata"]["labels"].items()


def policies(values: str, labels: Document) -> Iterator[Document]:
    """Yield the network policies that are about a pod with these labels."""
    for document in charts.rendered(values):
        if document["kind"] == "NetworkPolicy":
            wanted = document["spec"]["podSelector"]["matchLabels"]
            if wanted.items() <= labels.items():
                yield document["spec"]


@pytest.mark.parametrize("values", charts.VALUES)
def test_every_pod_is_shut_in_both_directions(values: str) -> None:
    for _, labels, _ in charts.pods(values):
        nobody = [
            each for each in policies(values, labels) if not each.get("ingress") and not each.get("egress")
        ]
        assert [each["policyTypes"] for each in nobody] == [["Ingress", "Egress"]]


def test_no_rule_is_open_to_everybody_but_the_front_door_s() -> None:
    for _, labels, _ in charts.pods("production"):
        for policy in policies("production", labels):
            for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
                assert rule["ports"]
                peers = rule.get("from") or rule.get("to")
                assert peers, "an empty list of peers is everybody"
                assert all(peer.keys() & {"podSelector", "ipBlock", "namespaceSelector"} for peer in peers)


def reached(values: str, component: str) -> set[str]:
    """Return the components that get through to one."""
    labels = next(
        each for _, each, _ in charts.pods(values) if each["app.kubernetes.io/component"] == component
    )
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for policy in policies(values, labels)
        for rule in policy.get("ingress", [])
        for peer in rule["from"]
        if "podSelector" in peer
    }


def test_who_gets_through_to_whom() -> None:
    assert reached("production", "node") == {"node", "front", "operations"}
    assert reached("production", "front") == {"operations", "test"}
    assert reached("production", "spare") == set()


def test_ways_out_of_a_node() -> None:
    labels = charts.only("production", "StatefulSet", "node")["spec"]["template"]["metadata"]["labels"]
    ports = {
        port["port"]
        for p in policies("production", labels)
        for rule in p.get("egress", [])
        for port in rule["ports"]
    }
    assert ports == {53, 8443, 5432, 5433, 443}


def test_room_that_is_kept_is_as_big_as_a_node_and_gives_way_to_it() -> None:
    node = charts.only("production", "StatefulSet", "node")["spec"]["template"]["spec"]
    spare = charts.only("production", "Deployment", "spare")["spec"]["template"]["spec"]
    assert spare["containers"][0]["resources"] == node["containers"][0]["resources"]
    assert spare["terminationGracePeriodSeconds"] == 0
    for place in ("nodeSelector", "tolerations"):
        assert spare[place] == node[place]
    (priority,) = (d for d in charts.rendered("production") if d["kind"] == "PriorityClass")
    assert priority["metadata"]["name"] == spare["priorityClassName"]
    assert -10 <= priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"
    assert "priorityClassName" not in node


def test_the_number_of_nodes_is_the_autoscaler_s_alone() -> None:
    assert "replicas" not in charts.only("default", "StatefulSet", "node")["spec"]
    assert charts.only("secrets", "StatefulSet", "node")["spec"]["replicas"] == 3
    spec = charts.only("default", "HorizontalPodAutoscaler", "node")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 100)
    up, down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 0
    assert all(policy["periodSeconds"] <= 15 for policy in up["policies"])
    assert down["stabilizationWindowSeconds"] >= 300
    metrics = charts.only("plain-metrics", "HorizontalPodAutoscaler", "node")["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource"]


def test_certificates_are_given_or_issued() -> None:
    issued = {
        d["metadata"]["name"]: d["spec"] for d in charts.rendered("production") if d["kind"] == "Certificate"
    }
    assert len(issued) == 4
    node, front = issued["trial-cortexkg-node"], issued["trial-cortexkg-front"]
    assert node["dnsNames"] == ["*.trial-cortexkg-node.graph.svc.cluster.local"]
    assert node["privateKey"]["encoding"] == "PKCS8"  # the node's server takes no other
    assert {"server auth", "client auth"} <= set(node["usages"])
    assert "client auth" not in front["usages"]
    for name in ("balancer", "scraper"):
        assert "server auth" not in issued[f"trial-cortexkg-{name}"]["usages"]
    assert not any(d["kind"] == "Certificate" for d in charts.rendered("secrets"))
    for values, wanted in (("production", "trial-cortexkg-node-tls"), ("secrets", "own-node")):
        pod = charts.only(values, "StatefulSet", "node")["spec"]["template"]["spec"]
        assert wanted in [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v]


def test_what_runs_before_a_release_has_its_account_and_its_ways_out_before() -> None:
    """An earlier release's policy holds back all pods of its name: the migration's own is a hook, too."""
    found = {
        document["kind"]: document["metadata"]["annotations"]
        for document in charts.rendered("production")
        if document["metadata"]["name"] == "trial-cortexkg-migration"
    }
    assert set(found) == {"Job", "NetworkPolicy", "ServiceAccount"}
    for kind, hooks in found.items():
        assert hooks["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(hooks.get("helm.sh/hook-weight", 0)) < 0 or kind == "Job"
