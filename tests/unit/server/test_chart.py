"""The Helm chart and a real node: what the chart asks of it is there, and what it tells it works."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import promql_parser
import pytest
import yaml

from cortex_runtime import config as configuration
from cortex_runtime.server import node as node_module
from cortexctl import tools
from cortexctl.platforms.local import certificates
from cortexctl.platforms.local.certificates import Identity
from unit.chart import charts
from unit.server.node import PATIENCE, Node, eventually

PLACE = "/srv/cortexkg"
SECRET = "a secret of whoever collects the metrics"
EXPORTED_BY_PROMETHEUS = {"up"}


def container() -> dict[str, Any]:
    spec = charts.only("default", "StatefulSet", "node")["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["containers"][0]
    return found


def probe(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a probe with the very words of the chart."""
    words = container()["readinessProbe"]["exec"]["command"]
    assert [*words, "--alive"] == container()["livenessProbe"]["exec"]["command"]
    assert words[0] == "python"
    assert words[-1] == f"{PLACE}/run/node.json"
    return subprocess.run(
        [sys.executable, *words[1:-1], str(config), *options], capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip


def test_a_node_that_is_ready_passes_its_probes(node: Node) -> None:
    config = node.directory / "node.json"
    assert probe(config).returncode == 0
    assert probe(config, "--alive").returncode == 0


def test_nobody_is_neither_ready_nor_alive(node: Node, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        config = tmp_path / "node.json"
        text = (node.directory / "node.json").read_text()
        config.write_text(text.replace(f'"port": {node.port}', f'"port": {free.getsockname()[1]}'))
        for options in ([], ["--alive"]):
            done = probe(config, *options)
            assert done.returncode == 1
            assert "does not answer" in done.stderr


@pytest.mark.parametrize("content", ["", "{}", '{"tls": 1}', "[]"])
def test_a_probe_with_a_bad_configuration_fails(content: str, tmp_path: Path) -> None:
    config = tmp_path / "node.json"
    config.write_text(content)
    done = probe(config, "--alive")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("values", charts.VALUES)
def test_every_configuration_is_one_that_a_node_takes(values: str, tmp_path: Path) -> None:
    data = charts.only(values, "ConfigMap", "node")["data"]
    path = tmp_path / "node.json"
    path.write_text(data["node.json"].replace("@NODE@", "trial-cortexkg-node-0"))
    config = configuration.read(path)
    assert config.name == f"{config.region}-trial-cortexkg-node-0"
    assert config.host == "trial-cortexkg-node-0.trial-cortexkg-node.graph.svc.cluster.local"
    assert config.listen == "0.0.0.0"
    assert config.port == container()["ports"][0]["containerPort"]
    assert data["rbac.yaml"] == (charts.ROOT / "policies" / "rbac.yaml").read_text()


def test_every_file_that_a_node_is_told_of_is_mounted() -> None:
    for values in charts.VALUES:
        pod = charts.only(values, "StatefulSet", "node")["spec"]["template"]["spec"]
        mounted = [each["mountPath"] for each in pod["containers"][0]["volumeMounts"]]
        text = charts.only(values, "ConfigMap", "node")["data"]["node.json"]
        for path in re.findall(rf"{PLACE}/[a-z./-]+", text):
            assert any(path.startswith(f"{each}/") for each in mounted), (values, path)
        volumes = {each["name"] for each in pod["volumes"]} | {"data"}
        assert {each["name"] for each in pod["containers"][0]["volumeMounts"]} == volumes - {"database"}


def test_a_node_has_the_time_that_it_takes_to_leave() -> None:
    pod = charts.only("default", "StatefulSet", "node")["spec"]["template"]["spec"]
    steps = 4 * node_module.DRAIN_TIMEOUT + node_module.NOTICED_BY_LOAD_BALANCER
    assert pod["terminationGracePeriodSeconds"] > steps


def exported(node: Node) -> set[str]:
    """Return the names of all samples of a node's metrics."""
    names = re.findall(r"^([a-z_]+)(?:\{.*\})? ", node.metrics(), re.MULTILINE)
    assert names
    return set(names)


def test_the_autoscaler_goes_by_metrics_that_nodes_export(node: Node) -> None:
    wanted = set()
    for values in ("default", "production"):
        metrics = charts.only(values, "HorizontalPodAutoscaler", "node")["spec"]["metrics"]
        wanted |= {each["pods"]["metric"]["name"] for each in metrics if each["type"] == "Pods"}
    assert len(wanted) == 3
    assert wanted <= exported(node)
    schema = yaml.safe_load((charts.CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["autoscaling"]["properties"]["metrics"]["properties"]) == wanted


def test_every_alert_is_about_metrics_that_there_are(node: Node) -> None:
    (group,) = charts.only("default", "PrometheusRule", "node")["spec"]["groups"]
    assert len(group["rules"]) >= 7
    node.ask("PUT", "concepts/alerted", {"text": "so that there is a request"})
    known = exported(node) | EXPORTED_BY_PROMETHEUS
    for rule in group["rules"]:
        expression = promql_parser.parse(rule["expr"])
        names = set(re.findall(r"\b([a-z]+(?:_[a-z]+)+|up)\b(?=[{\[)\s])", expression.prettify()))
        names -= {"histogram_quantile", "min_over_time"}
        assert names, rule["alert"]
        assert names <= known, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}


@pytest.fixture(scope="module")
def beside(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node as the chart starts one: its layout, its configuration, its commands. It has no database."""
    root = tmp_path_factory.mktemp("container")
    with laid_out(node, root) as made:
        yield made


@contextmanager
def laid_out(node: Node, root: Path) -> Iterator[Node]:
    pod = charts.only("secrets", "StatefulSet", "node")["spec"]["template"]["spec"]
    for name in ("configuration", "secrets", "tls", "database", "keyring", "run", "data"):
        (root / name).mkdir()
    data = charts.only("secrets", "ConfigMap", "node")["data"]
    made = Node(root, 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        made.port = free.getsockname()[1]
    text = data["node.json"].replace(PLACE, str(root)).replace("8443", str(made.port))
    (root / "configuration" / "node.json").write_text(text.replace("db.example.com", "127.0.0.1"))
    (root / "configuration" / "rbac.yaml").write_text(data["rbac.yaml"])
    for name, file in {
        "secrets/token-keys.json": "token-keys.json",
        "secrets/operator-keys.json": "operator-keys.json",
        "secrets/checkpoint-signing.key": "checkpoint.key",
        "keyring/keyring.json": "keyring.json",
        "tls/ca.crt": "ca.crt",
        "tls/tls.crt": "node.pem",
        "tls/tls.key": "node.pem",
    }.items():
        (root / name).write_bytes((node.directory / file).read_bytes())
    (root / "secrets" / "scraper").write_text(f"{SECRET}\n")
    (root / "database" / "cortex.pgpass").write_text("*:*:cortexkg:cortex:password\n")
    (root / "database" / "cortex.pgpass").chmod(0o440)  # as a secret's volume has it
    prepare = pod["initContainers"][0]
    script = prepare["args"][0].replace(PLACE, str(root))
    subprocess.run(
        [*prepare["command"], script], check=True, env={"NODE": "trial-0", "PATH": "/usr/bin:/bin"}
    )
    words = [sys.executable, "-P", "-m", "cortex_runtime.main", *pod["containers"][0]["args"]]
    with (root / "log").open("wb") as log:
        made.process = subprocess.Popen(
            [word.replace(PLACE, str(root)) for word in words], stdout=log, stderr=log,
            env={**os.environ, "CORTEX_KERNELS": "numpy"},
        )  # fmt: skip

    def answers() -> None:
        assert made.process is not None
        assert made.process.poll() is None, made.log
        assert probe(root / "run" / "node.json", "--alive").returncode == 0, made.log

    try:
        eventually(answers)
        yield made
    finally:
        made.stop(signal.SIGKILL)


def test_a_node_starts_with_the_container_s_layout(beside: Node) -> None:
    """Without a database it answers, and is not ready: its pod is neither asked nor started anew."""
    config = beside.directory / "run" / "node.json"
    assert '"eu-west-trial-0"' in config.read_text()
    passfile = beside.directory / "run" / "cortex.pgpass"
    assert passfile.stat().st_mode & 0o077 == 0  # libpq ignores any other
    done = probe(config)
    assert done.returncode == 1
    assert "not ready" in done.stderr


def test_the_scraper_s_secret_opens_the_metrics_and_nothing_else(node: Node, beside: Node) -> None:
    """It is the other node's: this one has none, and does not know it."""

    def ask(path: str, token: str, method: str = "GET") -> int:
        url = f"https://127.0.0.1:{beside.port}{path}"
        return node.http.request(method, url, headers={"authorization": f"Bearer {token}"}).status_code

    eventually(lambda: _equal(ask("/metrics", SECRET), 200))
    assert ask("/metrics", SECRET[:-1]) == 401
    assert ask("/metrics", f"{SECRET}.") == 401
    assert ask("/v1/health", SECRET) == 401
    assert ask("/v1/tenants", SECRET) == 401
    assert node.send_raw("GET", "/metrics", SECRET).status_code == 401
    file = beside.directory / "secrets" / "scraper"
    file.write_text("too short")
    assert ask("/metrics", "too short") == 401
    other = SECRET[::-1]
    file.write_text(other)
    assert (ask("/metrics", other), ask("/metrics", SECRET)) == (200, 401)
    file.write_text(SECRET)


def _equal(found: object, wanted: object) -> None:
    assert found == wanted


@contextmanager
def names(address: str) -> Iterator[int]:
    """Give the port of a name server that has one address for every name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                try:
                    raw, client = server.recvfrom(4096)
                except OSError:
                    return
                query = dns.message.from_wire(raw)
                if not query.question:
                    return
                reply = dns.message.make_response(query)
                if query.question[0].rdtype == dns.rdatatype.A:
                    reply.answer.append(dns.rrset.from_text(query.question[0].name, 5, "IN", "A", address))
                server.sendto(reply.to_wire(), client)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(dns.message.Message().to_wire(), server.getsockname())
            thread.join()


@pytest.fixture
def haproxy() -> tools.Tool:
    return tools.find("haproxy")


def front_configuration(root: Path, values: str = "default") -> str:
    text: str = charts.only(values, "ConfigMap", "front")["data"]["haproxy.cfg"]
    return text.replace(PLACE, str(root))


def front_certificates(root: Path, node: Node) -> None:
    authority = certificates.open_authority(node.directory, "test")
    for name, identity in {
        "front": Identity("front", "front", asks=False),
        "balancer": Identity("balancer", "balancer", serves=False),
    }.items():
        (root / name).mkdir(exist_ok=True)
        certificates.ensure(authority, root / name, identity, anew=True)
        pem = (root / name / f"{name}.pem").read_text()
        key, _, certificate = pem.partition("-----END PRIVATE KEY-----\n")
        if not key.startswith("-----BEGIN PRIVATE KEY"):  # the certificate stands first
            certificate, _, key = pem.partition("-----BEGIN PRIVATE KEY")
            key = f"-----BEGIN PRIVATE KEY{key}"
        else:
            key = f"{key}-----END PRIVATE KEY-----\n"
        (root / name / f"{name}.pem").write_text(certificate)
        (root / name / f"{name}.pem.key").write_text(key)
    (root / "balancer" / "ca.crt").write_bytes((node.directory / "ca.crt").read_bytes())


def test_the_front_lets_clients_in_and_takes_up_certificates(
    node: Node, haproxy: tools.Tool, tmp_path: Path
) -> None:
    """The chart's own script and configuration, with a node that is found by name."""
    for name in ("configuration", "run"):
        (tmp_path / name).mkdir()
    front_certificates(tmp_path, node)
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    with names("127.0.0.1") as port:
        text = front_configuration(tmp_path).replace("parse-resolv-conf", f"nameserver test 127.0.0.1:{port}")
        text = text.replace("bind :8443", f"bind 127.0.0.1:{ports[0]}").replace(
            "bind :8080", f"bind 127.0.0.1:{ports[1]}"
        )
        text = text.replace(":8443 resolvers", f":{node.port} resolvers").replace(
            "verifyhost node.", "sni str("
        )
        text = re.sub(r"sni str\(\S+", "verifyhost localhost", text)
        (tmp_path / "configuration" / "haproxy.cfg").write_text(text)
        script = charts.only("default", "ConfigMap", "front")["data"]["front.sh"]
        (tmp_path / "front.sh").write_text(
            script.replace(PLACE, str(tmp_path)).replace("sleep 10", "sleep 1")
        )
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", str(tmp_path / "front.sh")], stdout=log, stderr=log,
                env={"PATH": f"{haproxy.path.parent}:/usr/bin:/bin", **haproxy.environment},
            )  # fmt: skip
        try:
            _look_at_front(node, tmp_path, *ports)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=PATIENCE) == 0
        finally:
            if process.poll() is None:
                process.kill()


def _look_at_front(node: Node, place: Path, port: int, health: int) -> None:
    log = (place / "log").read_text
    eventually(lambda: _equal(ask_front(node, port), "HTTP/1.1 200 OK\n"))
    assert " 404 " in ask_front(node, port, "/metrics"), log()
    assert " 401 " in ask_front(node, port, "/v1/health"), log()
    for path, status in {"/alive": 200, "/ready": 200, "/other": 503}.items():
        assert node.http.get(f"http://127.0.0.1:{health}{path}").status_code == status
    before = shown(port)
    front_certificates(place, node)
    until = time.monotonic() + PATIENCE
    while shown(port) == before:
        assert time.monotonic() < until, log()
        time.sleep(0.2)
    eventually(lambda: _equal(ask_front(node, port), "HTTP/1.1 200 OK\n"))


def shown(port: int) -> str:
    import ssl  # noqa: PLC0415

    return ssl.get_server_certificate(("127.0.0.1", port))


def ask_front(node: Node, port: int, path: str = "/healthz") -> str:
    """Return the first line of what the chart's own test is answered."""
    script = (charts.CHART / "files" / "test.py").read_text().replace(f"{PLACE}/front", str(node.directory))
    done = subprocess.run(
        [sys.executable, "-c", script.replace("/healthz", path), "127.0.0.1", str(port), "localhost"],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stdout, done.stderr
    assert (done.returncode == 0) == (" 200 " in done.stdout)
    return done.stdout


@pytest.mark.parametrize("values", ["default", "production"])
def test_haproxy_takes_the_configuration(
    values: str, node: Node, haproxy: tools.Tool, tmp_path: Path
) -> None:
    """As it is in the cluster, with as many servers as there may be nodes; it has to be without warnings."""
    (tmp_path / "run").mkdir()
    front_certificates(tmp_path, node)
    file = tmp_path / "haproxy.cfg"
    file.write_text(front_configuration(tmp_path, values))
    done = subprocess.run(
        [haproxy.path, "-c", "-f", file], env=haproxy.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    wanted = charts.only(values, "HorizontalPodAutoscaler", "node")["spec"]["maxReplicas"]
    assert f"server-template node {wanted} " in file.read_text()
