"""The pipelines and the scripts that they call: valid, pinned, least privilege, nothing in them but calls."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
GITLAB = [ROOT / ".gitlab-ci.yml", *sorted((ROOT / ".gitlab" / "ci").glob("*.yaml"))]
CALLER = ROOT / ".github" / "workflows" / "pipeline.yaml"  # it calls another one, and has no command itself
SHELL = [
    *sorted((ROOT / "scripts").rglob("*.sh")),
    *(ROOT / "scripts" / name for name in ("cortexctl", "lock", "scan", "test")),
]
STAGES = ["build", "test", "scan", "performance", "staging", "production"]
Document = dict[str, Any]


def check(*words: str | Path) -> None:
    done = subprocess.run(words, text=True, capture_output=True, timeout=120, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def jobs(path: Path) -> dict[str, Document]:
    found = yaml.safe_load(path.read_text())
    return dict(found["jobs"]) if "jobs" in found else {
        name: job for name, job in found.items() if isinstance(job, dict) and "script" in job
    }  # fmt: skip


def commands() -> Iterator[tuple[Path, str]]:
    """Yield every command of every job."""
    for path in WORKFLOWS:
        for job in jobs(path).values():
            yield from ((path, step["run"]) for step in job.get("steps", ()) if "run" in step)
    for path in GITLAB:
        for job in jobs(path).values():
            yield from ((path, line) for line in job["script"])


def test_shell_scripts_are_clean_and_strict() -> None:
    check(BIN / "shellcheck", "--external-sources", *SHELL)
    for path in SHELL:
        if path.read_text().startswith("#!"):
            assert "\nset -euo pipefail\n" in path.read_text(), path


def test_github_takes_the_workflows() -> None:
    assert len(WORKFLOWS) == 3
    check(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    check(BIN / "zizmor", "--offline", "--quiet", "--min-severity", "medium", *WORKFLOWS)


def test_gitlab_takes_the_pipeline() -> None:
    check(
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.gitlab-ci",
        "--data-transform",
        "gitlab-ci",
        *GITLAB,
    )
    included = [ROOT / one["local"] for one in yaml.safe_load(GITLAB[0].read_text())["include"]]
    assert included == GITLAB[1:]


def test_a_pipeline_only_calls_what_is_there() -> None:
    found = list(commands())
    assert {path for path, _ in found} == {*WORKFLOWS, *GITLAB} - {CALLER, GITLAB[0]}
    for path, line in found:
        assert "\n" not in line.strip(), f"{path}: logic belongs to scripts/"
        program = ROOT / line.split()[0]
        assert program.is_file(), f"{path}: {line}"
        assert program.stat().st_mode & 0o111, f"{path}: {line} cannot be executed"


def test_both_do_the_same() -> None:
    def called(path: Path) -> dict[str, set[str]]:
        return {
            name: {line for where, line in commands() if where == path and line in str(job)}
            for name, job in jobs(path).items()
        }

    there = called(ROOT / ".github" / "workflows" / "delivery.yaml")
    here = {name: lines for name, lines in called(GITLAB[1]).items() if not name.startswith(".")}
    deploys = {"scripts/ci/with-cluster.sh deploy"}
    assert list(there) == STAGES
    assert there == here | {"staging": deploys, "production": deploys}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_job_is_bounded_and_has_what_it_needs_alone(path: Path) -> None:
    whole = yaml.safe_load(path.read_text())
    assert whole["permissions"] == {}
    for name, job in whole["jobs"].items():
        assert job["permissions"]["contents"] == "read", name
        assert set(job["permissions"]) <= {"contents", "id-token", "issues"}, name
        assert "uses" in job or job["timeout-minutes"] <= 90, name
        for step in job.get("steps", ()):
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]), step
    assert "secrets." not in path.read_text()  # nothing that lives long


def test_production_waits_for_staging_and_for_a_person() -> None:
    there = jobs(ROOT / ".github" / "workflows" / "delivery.yaml")
    for name in ("staging", "production"):
        assert there[name]["environment"] == name
        assert there[name]["concurrency"] == {"group": name, "cancel-in-progress": False}
        assert there[name]["if"] == "inputs.deliver"
    assert set(there["staging"]["needs"]) == {"build", "test", "scan", "performance"}
    assert "staging" in there["production"]["needs"]
    gitlab = yaml.safe_load(GITLAB[1].read_text())
    assert gitlab["production"]["rules"][0]["when"] == "manual"
    stages = yaml.safe_load(GITLAB[0].read_text())["stages"]
    assert stages.index("staging") < stages.index("production")


def test_what_is_scheduled_is_there_in_the_command_line() -> None:
    calls = {line for _, line in commands() if "scheduled" in line and '"' not in line}
    assert calls == {f"scripts/ci/scheduled.sh {work}" for work in ("drift", "drill", "keys", "restore")}
    for words in (
        ["drift"],
        ["drill", "run"],
        ["key", "rotate"],
        ["aws", "restores"],
        ["health"],
        ["bench", "load"],
    ):
        check(sys.executable, "-P", "-m", "cortexctl.main", *words, "--help")
