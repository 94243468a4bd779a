"""What is wrong is refused with the place and the reason; no value is dead, and none is without words."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from unit.chart import charts

SCHEMA = json.loads((charts.CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((charts.CHART / "values.yaml").read_text())
ADDED = {"global", "tls.issuer", "keys.kms", "keys.keyring"}  # what they hold has no default


WRONG = [  # what is set, and what is said
    ("node.replicas=many", "at '/node/replicas': got string, want integer"),
    (
        "autoscaling.minReplicas=1,autoscaling.maxReplicas=101",
        "at '/autoscaling/minReplicas': minimum: got 1, want 2",
    ),
    ("image.digest=,image.tag=latest", "at '/image/digest': '' does not match pattern '^sha256:"),
    ("autoscaling.minReplicas=9,autoscaling.maxReplicas=8", "minReplicas is greater"),
    ("region=us-east", "database.hosts has no instance in region us-east"),
]
REFUSED = [  # the same schema without the program, which is slower
    ("node.replicas", 1),
    ("autoscaling.maxReplicas", 101),
    ("autoscaling.metrics", {"requests": "5"}),
    ("image.digest", "latest"),
    ("image.tag", "latest"),
    ("image.repository", "cortexkg/node:1"),
    ("front.image.digest", ""),
    ("operations.enabled", True),
    ("operations.jobs", {"Bad": {"schedule": "@daily", "arguments": ["key", "list"]}}),
    ("operations.jobs", {"bad": {"schedule": "often", "arguments": ["key", "list"]}}),
    ("region", ""),
    ("keys", {}),
    ("keys", {"kms": {"region": "eu-west-1"}, "keyring": {"secret": "both"}}),
    ("keys.kms.endpoint", "http://plain"),
    ("objects", "http://x"),
    ("database.hosts", []),
    ("database.cidrs", ["anywhere"]),
    ("front.clients", ["anywhere"]),
    ("front.clients", ["999.1.1.1/8"]),
    ("front.clients", ["10.0.0.0/33"]),
    ("front.clients", ["12/8"]),
    ("node.tolerations", [{"key": 5}]),
    ("node.tolerations", [{"kye": "dedicated"}]),
    ("node.resources", {"requests": {"cpu": "1", "memory": "1Gi"}}),
    ("replicas", 3),
]


@pytest.mark.parametrize(("options", "says"), WRONG)
def test_what_is_wrong_is_refused_with_its_place_and_reason(options: str, says: str) -> None:
    done = charts.template("default", "--set", options)
    assert done.returncode != 0
    assert says in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("path", "value"), REFUSED, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_refused(path: str, value: Any) -> None:
    values = merged(DEFAULTS, yaml.safe_load((charts.CHART / "ci" / "default-values.yaml").read_text()))
    validator = Draft202012Validator(SCHEMA)
    assert list(validator.iter_errors(values)) == []
    place = values
    *way, last = path.split(".")
    for name in way:
        place = place[name]
    place[last] = value
    assert list(validator.iter_errors(values))


def test_without_what_must_be_given_everything_is_named_at_once() -> None:
    done = charts.run("template", "trial", str(charts.CHART))
    assert done.returncode != 0
    for place in ("/region", "/image/digest", "/database/hosts", "/keys", "/front/image/digest"):
        assert f"at '{place}'" in done.stderr


def merged(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    return {name: merged(under.get(name), over.get(name, under.get(name))) for name in under | over}


def leaves(values: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield the paths of all values; a mapping is one when the schema leaves its names open."""
    for name, value in values.items():
        path = f"{place}{name}"
        if isinstance(value, dict) and value and "properties" in described(path):
            yield from leaves(value, f"{path}.")
        else:
            yield path


def described(path: str) -> dict[str, Any]:
    """Return a value's schema."""
    found: dict[str, Any] = SCHEMA
    for name in path.split("."):
        found = resolved(found)["properties"][name]
    return found | resolved(found)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    found: dict[str, Any] = SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else schema
    return found


def written(schema: dict[str, Any], place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every place of the schema and what is said there."""
    for name, value in schema.get("properties", {}).items():
        yield f"{place}{name}", value | resolved(value)
        yield from written(resolved(value), f"{place}{name}.")


def test_every_value_is_described() -> None:
    assert [path for path in leaves(DEFAULTS) if not described(path).get("description")] == []


def test_every_place_of_the_schema_is_closed_and_has_a_default() -> None:
    for path, schema in written(SCHEMA):
        if schema.get("type") == "object" and path != "global":
            assert schema.get("additionalProperties") is not True, path
            assert "additionalProperties" in schema, path
        found: Any = DEFAULTS
        if any(path == added or path.startswith(f"{added}.") for added in ADDED) or "metrics." in path:
            continue
        for name in path.split("."):
            assert name in found, f"{path} has no default in values.yaml"
            found = found[name]


# Of every value another one that is seen in what is rendered; what turns something on is seen elsewhere.
MARKED: Any = yaml.safe_load(
    """
    deployment: marked-deployment
    region: marked-region
    clusterDomain: marked.domain
    image: {repository: marked/node, digest: "sha256:1", pullSecrets: [marked-pull]}
    serviceAccount: {annotations: {marked: account}}
    secret: marked-secret
    keys: {kms: {region: eu-marked-7, endpoint: "https://marked.kms"}}
    objects: s3://marked-objects
    database:
      name: marked_name
      user: marked_user
      hosts: [{region: marked-region, host: marked-host, port: 5471}]
      secret: marked-database
      tlsSecret: marked-database-tls
      cidrs: [192.0.2.1/32]
    tls: {issuer: {name: marked-issuer}}
    node:
      port: 8471
      kernels: numba
      resources: {requests: {cpu: 71m, memory: 71Mi}, limits: {cpu: 72m, memory: 72Mi}}
      storage: {size: 73Gi, class: marked-class}
      nodeSelector: {marked: selector}
      tolerations: [{key: marked-toleration}]
    front:
      replicas: 74
      image: {repository: marked/front, digest: "sha256:2"}
      hostnames: [marked.hostname]
      service: {type: LoadBalancer, annotations: {marked: service}}
      clients: [192.0.2.2/32]
      resources: {requests: {cpu: 75m, memory: 75Mi}, limits: {cpu: 76m, memory: 76Mi}}
    autoscaling:
      minReplicas: 77
      maxReplicas: 78
      cpu: 79
      metrics: {knowledge_graph_writes_waiting: "801", cortical_allocation_rate: "802"}
    spare: {replicas: 83, image: {repository: marked/spare, digest: "sha256:3"}}
    services: {cidrs: [192.0.2.3/32]}
    monitoring: {namespace: marked-monitoring, interval: 84s, labels: {marked: monitor}}
    migration: {enabled: true, user: marked_superuser, secret: marked-migration, tlsSecret: marked-super-tls}
    operations:
      enabled: true
      image: {repository: marked/control, digest: "sha256:4"}
      claim: marked-claim
      resources: {requests: {cpu: 85m, memory: 85Mi}, limits: {cpu: 86m, memory: 86Mi}}
      jobs: {marked-job: {schedule: "@weekly", arguments: [marked, arguments]}}
    """.replace("sha256:", "sha256:" + "0" * 63)
)
# What the first excludes: somebody else's certificates and keys, and a number of nodes that nobody changes.
OTHERWISE: Any = yaml.safe_load(
    """
    keys: {kms: null, keyring: {secret: marked-keyring}}
    tls:
      issuer: null
      secrets: {node: marked-node, front: marked-front, balancer: marked-balancer, scraper: marked-scraper}
    node: {replicas: 91}
    front: {service: {type: ClusterIP}}
    autoscaling: {enabled: false}
    """
)


def test_no_value_is_dead(tmp_path: Path) -> None:
    shown = []
    for i, values in enumerate((MARKED, OTHERWISE)):
        (tmp_path / f"{i}.yaml").write_text(yaml.safe_dump(values))
        files = [word for j in range(i + 1) for word in ("-f", str(tmp_path / f"{j}.yaml"))]
        done = charts.run("template", "trial", str(charts.CHART), *files)
        assert done.returncode == 0, done.stderr
        shown.append([str(each) for d in yaml.safe_load_all(done.stdout) for each in atoms(d)])
    for values, seen in zip((MARKED, OTHERWISE), shown, strict=True):
        for value in atoms(values, keys=False):
            if not isinstance(value, bool | None):
                assert any(str(value) in each for each in seen), value
    assert shown[0] != shown[1]


def test_every_value_is_marked_above_or_turns_something_on() -> None:
    missing = [path for path in leaves(DEFAULTS) if not (has(MARKED, path) or has(OTHERWISE, path))]
    assert missing == ["monitoring.enabled"]
    kinds = [{d["kind"] for d in charts.rendered(values)} for values in ("secrets", "default")]
    assert kinds[1] - kinds[0] == {"ServiceMonitor", "PrometheusRule", "HorizontalPodAutoscaler"}


def has(values: Any, path: str) -> bool:
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def atoms(value: Any, *, keys: bool = True) -> Iterator[Any]:
    """Yield all values of nested data that are no collections, and the keys."""
    if isinstance(value, dict):
        yield from value if keys else ()
        for each in value.values():
            yield from atoms(each, keys=keys)
    elif isinstance(value, list):
        for each in value:
            yield from atoms(each, keys=keys)
    else:
        yield value


def test_the_readme_has_every_value_with_its_default() -> None:
    readme = (charts.CHART / "README.md").read_text()
    table = dict(re.findall(r"^\| `([a-z][A-Za-z._]*)` \| .* \| ?(.*) \|$", readme, re.MULTILINE))
    assert sorted(table) == sorted(leaves(DEFAULTS))
    for path, shown in table.items():
        value: Any = DEFAULTS
        for name in path.split("."):
            value = value[name]
        if value and shown != "see below":
            assert shown.strip("`") == (value if isinstance(value, str) else json.dumps(value)), path


def test_a_packed_chart_has_the_roles(tmp_path: Path) -> None:
    """In the checkout the chart's copy is a link, so that there is one truth."""
    done = charts.run("package", str(charts.CHART), "-d", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(archive, tmp_path)
    packed = tmp_path / "cortexkg" / "files" / "rbac.yaml"
    assert not packed.is_symlink()
    assert packed.read_bytes() == (charts.ROOT / "policies" / "rbac.yaml").read_bytes()
