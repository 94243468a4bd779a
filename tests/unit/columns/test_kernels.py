from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortex_runtime.columns import Cortex, kernels
from cortex_runtime.columns.kernels import KernelsError, chosen

DIRECTORY = Path(kernels.__file__).parent
RUNTIME = DIRECTORY.parents[1]


def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_numba_is_installed", lambda: False)


def test_kernels_are_chosen_by_name_or_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_KERNELS", "numpy")
    assert chosen().name == "numpy"
    assert Cortex().kernels is chosen()
    assert chosen("numba").name == "numba" if kernels._numba_is_installed() else True
    monkeypatch.setenv("CORTEX_KERNELS", "auto")
    assert chosen().name == ("numba" if kernels._numba_is_installed() else "numpy")
    without_numba(monkeypatch)
    assert chosen().name == "numpy"


def test_kernels_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without_numba(monkeypatch)
    with pytest.raises(KernelsError, match="numba is not installed: install the extra `accelerator`"):
        chosen("numba")
    monkeypatch.setenv("CORTEX_KERNELS", "fortran")
    with pytest.raises(KernelsError, match="CORTEX_KERNELS is 'fortran': it names auto, numpy or numba"):
        Cortex()


def test_a_node_with_kernels_that_are_none_does_not_start() -> None:
    words = [sys.executable, "-P", "-m", "cortex_runtime.main", "serve", "/dev/null"]
    run = subprocess.run(
        words, env={**os.environ, "CORTEX_KERNELS": "fortran"}, capture_output=True, text=True, check=False
    )
    said = json.loads(run.stdout)
    assert (run.returncode, said["event"]) == (2, "not started")
    assert "'fortran'" in said["why"]


def test_numba_is_optional() -> None:
    """Only the modules of compiled kernels import it, and the runtime works without."""
    using = {
        str(path.relative_to(RUNTIME))
        for path in RUNTIME.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if "numba" in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "numba")
    }
    assert using == {f"columns/kernels/{path.name}" for path in DIRECTORY.glob("numba_*.py")}
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from cortex_runtime.columns import Cortex, Encoder, Put\n"
        "encoding = Encoder().encode('a dog that barks'); cortex = Cortex()\n"
        "cortex.apply(cortex.compete([Put(bytes(16), encoding.bits, encoding.words)])[1])\n"
        "print(cortex.kernels.name, len(cortex.query(encoding).matches))"
    )
    environment = {**os.environ, "CORTEX_KERNELS": "numpy"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["numpy", "1"]


def test_both_have_a_module_for_each_concept() -> None:
    def concepts(name: str) -> set[str]:
        return {path.name.partition("_")[2] for path in DIRECTORY.glob(f"{name}_*.py")}

    assert concepts("numpy") == concepts("numba")
    assert {name.removesuffix(".py") for name in concepts("numpy")} == set(
        kernels.Kernels.__dataclass_fields__
    ) - {"name"}
