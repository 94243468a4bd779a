"""Bad input by the real command line: message on stderr, nothing on stdout, the documented exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cortexctl.deployment import Deployment


def cortexctl(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cortexctl.main", "--deployment", "trial", *words]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)


CALLS = [
    (2, "tenant", "onboard", "No-Such-Name"),
    (2, "tenant", "onboard", "acme", "--tier", "gold"),
    (2, "tenant", "import", "acme", "/nonexistent.jsonl"),
    (2, "tenant", "import", "acme", "-"),
    (2, "concept", "put", "acme", "id", ""),
    (2, "concept", "put", "acme", "id"),
    (2, "concept", "put", "acme", "id", "a", "--text", "b"),
    (2, "concept", "put", "acme", "id", "--vector", "-"),
    (2, "concept", "put", "acme", "id", "a", "--parent", "a\nb"),
    (2, "query", "acme", "text", "--cortex", "../main"),
    (2, "query", "acme"),
    (2, "query", "acme", "text", "--vector", "-"),
    (2, "query", "acme", "text", "--where", "color"),
    (2, "query", "acme", "text", "--where", "color=null"),
    (2, "query", "acme", "text", "--budget", "0"),
    (5, "query", "acme", "text", "--where", "color=brown", "--where", "color=1", "--budget", "9", "--exact"),
    (2, "audit", "trail", "--since", "yesterday"),
    (2, "drill", "run", "no-such-drill"),
    (2, "failover", "plan", "--to", "mars"),
    (5, "query", "acme", "text"),
    (5, "key", "rotate", "--tenant", "acme"),
]


@pytest.mark.parametrize("call", CALLS, ids=[" ".join(map(repr, call[1:])) for call in CALLS])
def test_exit_code_and_message(deployment: Deployment, call: tuple[int, str]) -> None:
    expected, *words = call
    result = cortexctl(*(str(word) for word in words))
    assert result.returncode == expected, result.stderr.decode()
    assert result.stdout == b""
    assert result.stderr
    assert b"Traceback" not in result.stderr


def test_a_deployment_that_is_not_there(deployment: Deployment) -> None:
    command = [sys.executable, "-m", "cortexctl.main", "--deployment", "other", "tenant", "list"]
    result = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert result.returncode == 5
    assert b"cortexctl up" in result.stderr


def test_a_bad_line_is_told_before_anything_is_sent(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "words.jsonl"
    file.write_text('{"id": "a", "text": "b"}\n{"id": "a"}\n')
    result = cortexctl("tenant", "import", "acme", str(file))
    assert result.returncode == 2
    assert b"line 2" in result.stderr
    assert not (deployment.directory / "imports").exists()


def test_a_dry_run_checks_standard_input_and_sends_nothing(deployment: Deployment) -> None:
    lines = b'{"id": "a", "text": "b", "relationships": [{"type": "is", "target": "c"}]}\n'
    result = cortexctl("tenant", "import", "acme", "-", "--dry-run", "--output", "json", stdin=lines)
    assert result.returncode == 0, result.stderr.decode()
    assert b'"relationships": 1' in result.stdout
