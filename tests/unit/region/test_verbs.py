"""What Terraform calls, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortexctl.deployment import Deployment
from cortexctl.errors import UsageError
from cortexctl.platforms.local.spec import Spec, parse


def call(verb: str, spec: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "cortexctl.platforms.local", verb],
        env={**os.environ, "CORTEXKG_SPEC": spec if isinstance(spec, str) else json.dumps(spec)},
        text=True, capture_output=True, check=False,
    )  # fmt: skip


def test_a_spec_is_read() -> None:
    text = '{"directory": "/a b", "region": "eu-west", "node": null}'
    assert parse(text) == Spec(Path("/a b"), "eu-west", "")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "nonsense", '{"directory": "relative"}', '{"directory": "/x", "region": 1}', '{"other": ""}'],
)
def test_a_spec_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_stopping_what_does_not_run_is_fine(deployment: Deployment) -> None:
    directory = str(deployment.directory)
    for verb, node in (
        ("node-stop", "eu-west-1"),
        ("node-stop", "gone-7"),
        ("region-stop", None),
        ("edge-stop", None),
    ):
        done = call(verb, {"directory": directory, "region": "eu-west", "node": node})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("verb", "change", "code", "words"),
    [
        ("region-start", {"region": "mars"}, 2, "no region 'mars'"),
        ("node-start", {"region": "eu-west", "node": "eu-west-9"}, 2, "no node 'eu-west-9'"),
        ("region-start", {"directory": "/nowhere"}, 5, "/nowhere/deployment.yaml"),
        ("dance", {}, 2, "region-start"),
    ],
)
def test_what_cannot_be_done_says_why(
    deployment: Deployment, verb: str, change: dict[str, str], code: int, words: str
) -> None:
    done = call(verb, {"directory": str(deployment.directory), **change})
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
