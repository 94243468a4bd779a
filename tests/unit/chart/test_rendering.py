"""Every value set renders, and everything that it renders is what the API server and two operators take."""

from __future__ import annotations

import kubernetes_validate
import pytest
from cloudcoil.models.cert_manager.v1 import Certificate
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import BaseModel

from unit.chart import charts
from unit.chart.charts import Document

NEWEST, OLDEST = "1.37", "1.31"  # the oldest that Chart.yaml lets in
OPERATORS: dict[str, type[BaseModel]] = {
    "Certificate": Certificate,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}


@pytest.mark.parametrize("values", charts.VALUES)
def test_lint(values: str) -> None:
    file = str(charts.CHART / "ci" / f"{values}-values.yaml")
    done = charts.run("lint", "--strict", str(charts.CHART), "-f", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("values", "version"), [*((values, NEWEST) for values in charts.VALUES), ("production", OLDEST)]
)
def test_every_document_is_valid(values: str, version: str) -> None:
    for document in charts.rendered(values):
        if document["kind"] not in OPERATORS:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("values", charts.VALUES)
def test_every_resource_of_an_operator_is_valid(values: str) -> None:
    """Their models ignore what they do not know: so nothing may be missing of what they give back."""
    for document in charts.rendered(values):
        if model := OPERATORS.get(document["kind"]):
            back = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
            assert lost(document, back) == [], document["kind"]


def test_both_operators_are_in_it() -> None:
    kinds = {document["kind"] for document in charts.rendered("production")}
    assert kinds >= OPERATORS.keys()


@pytest.mark.parametrize("values", charts.VALUES)
def test_no_two_documents_are_one(values: str) -> None:
    names = [(d["kind"], d["metadata"]["name"]) for d in charts.rendered(values)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("values", charts.VALUES)
def test_every_document_is_in_the_namespace_and_has_its_labels(values: str) -> None:
    for document in charts.rendered(values):
        metadata = document["metadata"]
        assert metadata.get("namespace", "graph") == "graph"
        assert metadata["labels"]["app.kubernetes.io/instance"] == "trial"


def lost(given: object, back: object, place: str = "") -> list[str]:
    """Return the places of what was given and did not come back."""
    if isinstance(given, dict):
        assert isinstance(back, dict), place
        return [
            each
            for name, value in given.items()
            for each in (lost(value, back[name], f"{place}.{name}") if name in back else [f"{place}.{name}"])
        ]
    if isinstance(given, list):
        assert isinstance(back, list), place
        pairs = zip(given, back, strict=True)
        return [each for i, (a, b) in enumerate(pairs) for each in lost(a, b, f"{place}[{i}]")]
    return [] if str(given) == str(back) else [f"{place}: {given!r} is not {back!r}"]


def test_lost_sees_what_a_model_does_not_know() -> None:
    document: Document = {"spec": {"renewBefor": "1h", "duration": "2h"}}
    assert lost(document, {"spec": {"duration": "2h"}}) == [".spec.renewBefor"]
