"""scripts/bench/columns.py as a whole, on very few texts."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "bench" / "columns.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with an import file of 400 texts."""
    directory = tmp_path_factory.mktemp("bench")
    with (directory / "texts.jsonl").open("w") as lines:
        for number in range(400):
            words = " ".join(f"w{(number * place) % 211}x{place}" for place in range(3, 12))
            lines.write(json.dumps({"id": str(number), "text": f"the concept of {words}"}) + "\n")
    return directory


def measure(work: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    done = run(
        "--input", work / "texts.jsonl", "--work", work / "kept", "--columns", "300", "--queries", "40",
        "--runs", "2", "--turn-limit", "1", "--output", "json", *arguments,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.exhaustive
def test_everything_is_measured_and_the_exit_code_is_the_verdict(work: Path) -> None:
    code, output, log = measure(work, "--set", "big", "--peers", "fts5")
    table = {(row["figure"], row["kernels"]): row for row in output["table"]}
    met = all(row["verdict"] in ("aim met", "must met") for row in table.values())
    assert code == (0 if met else 3)
    found = output["sets"]["big"]
    there = [kernels for kernels in ("numba", "numpy") if f"engine-{kernels}" not in found["left_out"]]
    assert "numpy" in there
    for kernels in there:
        assert table["recall@10 against a full scan", kernels]["measured"] == 1
        assert table["both kernels have the same arrays", kernels]["measured"] == (
            1 if len(there) > 1 else None
        )
    assert not any("usearch" in figure for figure, _ in table)
    assert set(found["contestants"]) == {"fts5", *(f"engine-{kernels}" for kernels in there)}
    assert found["best_text_peer"] == "fts5"
    assert found["latencies"]["fts5"]["single"]["queries"] == 80
    assert "htm.core" in found["left_out"]
    assert (work / "kept" / "columns.png").exists() or "matplotlib is not installed" in log


@pytest.mark.exhaustive
def test_a_second_run_takes_what_was_built(work: Path) -> None:
    arguments = ("--set", "wordnet", "--peers", "fts5", "--kernels", "numpy")
    _, first, log = measure(work, *arguments)
    assert "recording the engine's decisions" in log
    _, second, log = measure(work, *arguments)
    assert "recording the engine's decisions" not in log
    for name in ("MRR", "build, s"):
        one, other = (each["sets"]["wordnet"]["contestants"]["fts5"][name] for each in (first, second))
        assert one == other
    assert {row["kernels"] for row in second["table"]} == {"numpy"}


def test_one_run_at_a_time_uses_a_directory(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("--work", tmp_path, "--set", "big", "--columns", "10")
    assert done.returncode == 6
    assert "another run" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--set", "none"), ("--peers", "nobody"), ("--columns", "0"), ("--cpu", "4096")]
)
def test_what_is_no_option_is_refused(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = run("--work", tmp_path / "kept", *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr
    assert not (tmp_path / "kept").exists()
