"""A deployment's directory around one node: the real command line meets that node behind every port."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cortexctl import deployment as deployments
from cortexctl import ports, tokenfiles
from cortexctl.deployment import PORTS_A_REGION, PORTS_OF_EDGE, Deployment, KmsPlace
from unit.server.node import Node

REGIONS = {"eu-west": 1, "us-east": 1, "ap-south": 1}


class House:
    """A deployment `trial` of three regions with the files of a node, and its command line."""

    def __init__(self, home: Path, node: Node, kms: KmsPlace | None = None) -> None:
        self.home, self.node = home, node
        state = home / "state" / "cortexkg"
        state.mkdir(parents=True)
        first = ports.choose_block(state, "trial", PORTS_OF_EDGE + PORTS_A_REGION * len(REGIONS))
        self.deployment = Deployment(
            "trial", "trial-1234", "small", "local", first, REGIONS, state / "trial", kms=kms
        )
        directory, here = self.deployment.directory, node.directory
        (directory / "ca").mkdir(parents=True)
        (directory / "ca" / "ca.crt").write_bytes((here / "ca.crt").read_bytes())
        (directory / "operator").mkdir()
        files = {
            "tls.pem": "node.pem", "token-keys.json": "operator/token-keys.json",
            "statements.key": "checkpoint.key", "statements.pub": "checkpoint.pub",
        }  # fmt: skip
        for name, source in files.items():
            (directory / "operator" / name).write_bytes((here / source).read_bytes())
        (directory / "secrets").mkdir()
        (directory / "secrets" / "token-keys.json").write_bytes((here / "token-keys.json").read_bytes())
        for region in self.deployment.regions:
            (region.directory / "secrets").mkdir(parents=True)
            for issuer in tokenfiles.ISSUERS:
                tokenfiles.copy(region, tokenfiles.read(self.deployment, issuer))
        (directory / "deployment.yaml").write_text(deployments.dump(self.deployment))

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ, "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"), "CORTEXCTL_DEPLOYMENT": "trial", **more,
        }  # fmt: skip

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start cortexctl."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cortexctl.main", *words], env=self.environment(**environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str, expect: int = 0, **environment: str) -> tuple[str, str]:
        """Run cortexctl, and return what it printed on stdout and on stderr."""
        process = self.start(*words, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == expect, f"{words}: exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err
        return out, err

    def json(self, *words: str) -> Any:
        """Run cortexctl, and return its data."""
        return json.loads(self.run(*words, "--output", "json")[0])

    @contextmanager
    def doors(self) -> Iterator[None]:
        """Let the edge, each region's load balancer and each node's listener be the node."""
        numbers = [self.deployment.edge_port]
        for region in self.deployment.regions:
            numbers += [region.load_balancer_port, *(node.port for node in region.nodes)]
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            opened = asyncio.run_coroutine_threadsafe(_open(numbers, self.node), loop)
            assert len(opened.result(10)) == len(numbers)
            yield
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


async def _open(numbers: list[int], node: Node) -> list[asyncio.Server]:
    """Listen on ports; as HAProxy does, show the node a certificate, of which tenants' clients have none."""
    front, back = (ssl.SSLContext(kind) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    for context in (front, back):
        context.load_cert_chain(node.directory / "node.pem")
    back.load_verify_locations(node.directory / "ca.crt")

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, gate = await asyncio.open_connection("127.0.0.1", node.port, ssl=back)
            await asyncio.gather(_pump(reader, gate), _pump(there, writer))

    return [await asyncio.start_server(meet, "127.0.0.1", number, ssl=front) for number in numbers]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    with suppress(OSError):
        writer.close()
