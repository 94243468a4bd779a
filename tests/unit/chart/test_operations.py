"""Scheduled work calls commands that there are."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cortexctl.drill import scenario
from unit.chart import charts

JOBS = {
    document["metadata"]["name"]: document["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    for document in charts.rendered("production")
    if document["kind"] == "CronJob"
}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_a_job_s_words_are_those_of_a_command(name: str) -> None:
    """With --help behind them every word before is read, and nothing is done."""
    words = JOBS[name]["args"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cortexctl.main", *words, "--help"], capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"cortexctl {' '.join(words[:2])}" in done.stdout
    assert all(word in done.stdout for word in words if word.startswith("-"))


def test_the_drill_is_one_that_there_is() -> None:
    words = JOBS["trial-cortexkg-drill"]["args"]
    assert words[-1] in {one.name for one in scenario.load_all()}


def test_a_job_never_runs_beside_itself_or_again() -> None:
    for document in charts.rendered("production"):
        if document["kind"] == "CronJob":
            spec = document["spec"]
            assert spec["concurrencyPolicy"] == "Forbid"
            assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
            assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] <= 3600
