"""The walk of docs/columns.md: its commands as they stand there, on a small deployment."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from integration.running import CORTEXCTL, ROOT, Running, eventually

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXIT_CODE = re.compile(r"# exit code (\d+)")


def commands() -> list[tuple[str, int]]:
    """The commands of the page, with their exit codes."""
    lines = "".join(BLOCK.findall((ROOT / "docs" / "columns.md").read_text())).splitlines()
    return [(line, int(code[1]) if (code := EXIT_CODE.search(line)) else 0) for line in lines]


def test_every_command_of_the_page_does_what_it_says(running: Running, tenant: str, tmp_path: Path) -> None:
    words = shlex.join([str(CORTEXCTL), "--deployment", running.deployment.name])
    refused = ""
    for line, code in commands():
        command = line.replace("cortexctl", words, 1).replace(" acme ", f" {tenant} ")
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        refused += done.stderr if code else ""
    assert "'animal' -> 'penguin' -> 'bird' -> 'animal'" in refused
    shown = running.run("concept", "get", tenant, "penguin").stdout
    for row in (
        r"inherits from +bird -> animal", r"property alive +true \(from animal\)",
        r"property legs +2 \(from bird\)", r"property flies +- \(an exception: not inherited\)",
    ):  # fmt: skip
        assert re.search(row, shown), shown


def test_filters_find_by_what_is_inherited(running: Running, tenant: str) -> None:
    running.run("concept", "put", tenant, "animal", "animal that moves", "-p", "legs=4", "-p", "flies=false")
    running.run("concept", "put", tenant, "bird", "bird that moves", "-p", "legs=2", "-p", "flies=true",
                "--parent", "animal")  # fmt: skip
    running.run(
        "concept", "put", tenant, "penguin", "penguin that moves", "-p", "flies=null", "--parent", "bird"
    )
    eventually(lambda: _finds(running, tenant, {"animal", "bird", "penguin"}))
    _finds(running, tenant, {"bird", "penguin"}, "legs=2")
    _finds(running, tenant, {"bird"}, "flies=true")
    _finds(running, tenant, {"animal"}, "flies=false")
    _finds(running, tenant, {"animal", "bird"}, "legs=2", "legs=4", "flies=[true,false]")
    _finds(running, tenant, set(), 'legs="2"')


def _finds(running: Running, tenant: str, expected: set[str], *where: str) -> None:
    options = [word for each in where for word in ("--where", each)]
    found = running.json("query", tenant, "animal bird penguin", "--exact", *options)
    assert {match["id"] for match in found["matches"]} == expected, (where, found)
