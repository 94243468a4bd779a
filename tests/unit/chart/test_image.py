"""The images: their recipe, what is in them, and that a node needs no more."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "runtime" / "Dockerfile"
RUNTIME = ROOT / "runtime" / "cortex_runtime"
IMPORTED_AS = {"pyyaml": "yaml", "prometheus-client": "prometheus_client"}
FREE = {"numba"}  # in the image when it is built with it


def group() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {Requirement(each).name for each in project["dependency-groups"]["node"]}


def pins(lock: str) -> dict[str, str]:
    """Return the blocks of a lock by name and version, without conditions."""
    text = (ROOT / "locks" / f"{lock}.lock").read_text()
    blocks = re.split(r"\n(?=\S)", text.strip())
    return {block.split()[0]: "".join(sorted(re.findall(r"sha256:\S+", block))) for block in blocks}


def test_a_node_s_lock_is_part_of_the_whole_one() -> None:
    node, whole = pins("node"), pins("runtime")
    assert node.items() <= whole.items()
    assert len(node) < len(whole) / 2
    assert {name.partition("==")[0] for name in node} >= {each.lower() for each in group()}


def test_a_node_s_lock_has_all_that_it_imports_and_nothing_else() -> None:
    imported = set()
    for path in RUNTIME.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "cortex_runtime", *FREE, "botocore"}  # botocore comes with boto3
    assert imported == {IMPORTED_AS.get(name, name) for name in group()}


def test_the_recipe_is_clean() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, RECIPE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def stages() -> dict[str, list[str]]:
    """Return the instructions of each stage."""
    text = RECIPE.read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("FROM "):
            found[line.split()[-1]] = []
        if found and line and not line.startswith("#"):
            found[list(found)[-1]].append(" ".join(line.split()))
    return found


def test_the_last_stages_run_nothing_and_are_nobody() -> None:
    for name in ("node", "control"):
        lines = stages()[name]
        assert lines[0] == f"FROM ${{BASE}} AS {name}"
        assert not any(line.startswith(("RUN", "ADD", "HEALTHCHECK")) for line in lines)
        assert "USER 10001:10001" in lines
        copied = [line for line in lines if line.startswith("COPY")]
        assert copied == [f"COPY --from={name}-build /opt/cortexkg /opt/cortexkg"]
    assert list(stages())[-1] == "node"  # what is built when nothing is said


def test_every_installation_is_by_hash() -> None:
    lines = [line for each in stages().values() for line in each if "pip install" in line]
    assert len(lines) == 3
    for line in lines:
        assert "--require-hashes" in line
        assert "--no-deps" in line
    assert "ARG BASE" in RECIPE.read_text().splitlines()  # without a default


@pytest.mark.exhaustive
def test_the_steps_make_an_environment_that_a_node_starts_in(tmp_path: Path) -> None:
    """The very commands of the recipe, elsewhere; then the entry point, with nothing else to import."""
    place = tmp_path / "opt"
    lines = [*stages()["build"], *stages()["node-build"]]
    for line in lines:
        word, _, rest = line.partition(" ")
        rest = rest.replace("/opt/cortexkg", str(place)).replace("/locks/", f"{ROOT}/locks/")
        if word == "RUN":
            rest = rest.replace("python3 -m venv", f"{sys.executable} -m venv")
            subprocess.run(["/bin/sh", "-ec", f"LOCKS=node; {rest}"], check=True)
        elif word == "COPY" and "cortex_runtime" in rest:
            source, target = rest.split()
            Path(target).parent.mkdir(exist_ok=True)
            subprocess.run(["cp", "-r", ROOT / source, target], check=True)
        elif word == "COPY":
            assert all((ROOT / each).exists() for each in line.split()[1:-1]), line
    entry = [line for line in stages()["node"] if line.startswith("ENTRYPOINT")]
    words = ast.literal_eval(entry[0].removeprefix("ENTRYPOINT "))
    config = tmp_path / "node.json"
    config.write_text("{}")
    done = subprocess.run(
        [place / "bin" / words[0], *words[1:], "serve", config], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(place / "app")},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr  # all is imported; it has no configuration
    assert "missing required field" in done.stdout
    assert not list(place.glob("lib/*/site-packages/pip"))
