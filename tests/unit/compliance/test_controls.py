"""The controls: each check is there and used, each criterion is known, and each control can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from cortexctl import policies
from cortexctl.compliance import controls, report
from cortexctl.compliance.checks import CHECKS
from cortexctl.compliance.controls import Control
from cortexctl.compliance.criteria import CRITERIA
from cortexctl.errors import Refused

from .facts import CASES, NOW

KNOWN = {control.id: control for control in controls.load().all}
FILE = policies.find("compliance.yaml")


def found(control: Control, facts: Any) -> report.Result:
    check = replace(CHECKS[control.check], read=lambda _: facts)
    return report.examine(control, check, SimpleNamespace(now=NOW))  # type: ignore[arg-type]


def test_every_check_is_used_and_every_control_has_one() -> None:
    assert {control.check for control in KNOWN.values()} == set(CHECKS)


def test_every_criterion_that_is_cited_is_known_and_every_known_one_is_cited() -> None:
    assert {each for control in KNOWN.values() for each in control.criteria} == set(CRITERIA)


def test_every_control_is_tried_both_ways() -> None:
    assert set(CASES) == set(KNOWN)
    assert all(broken for _, broken in CASES.values())


@pytest.mark.parametrize("id_", CASES)
def test_a_control_passes_with_what_it_saw(id_: str) -> None:
    result = found(KNOWN[id_], CASES[id_][0])
    assert (result.outcome, result.reason, result.remedy) == ("passed", "", None)
    assert result.items
    assert all(item.subject and item.observed and item.bound for item in result.items)


@pytest.mark.parametrize(
    ("id_", "number"), [(id_, number) for id_, case in CASES.items() for number in range(len(case[1]))]
)
def test_a_control_fails_and_says_what_to_do(id_: str, number: int) -> None:
    result = found(KNOWN[id_], CASES[id_][1][number])
    assert result.outcome == "failed"
    assert "could not be read" not in result.reason
    wrong = [item for item in result.items if not item.ok]
    assert wrong
    assert wrong[0].subject in result.reason and wrong[0].bound in result.reason
    assert result.remedy == KNOWN[id_].remedy


@pytest.mark.parametrize(
    "id_", ["rows-sealed", "api-keys-used", "leaving-proven", "room-left", "audit-fresh"]
)
def test_what_there_is_nothing_of_is_not_passed(id_: str) -> None:
    empty: Any = replace(CASES[id_][0], tenants=[]) if id_ == "leaving-proven" else type(CASES[id_][0])()
    result = found(KNOWN[id_], empty)
    assert (result.outcome, result.remedy) == ("not applicable", None)
    assert result.reason


def changed(directory: Path, change: Any) -> Path:
    content = yaml.safe_load(FILE.read_bytes())
    change(content["controls"])
    path = directory / "compliance.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda all_: all_[0].update(check="key-age"), "there is no check 'key-age'"),
        (lambda all_: all_[0].update(criteria=["CC6.1", "CC6.9"]), "CC6.9 is no criterion"),
        (lambda all_: all_[0].update(criteria=[]), "criteria"),
        (lambda all_: all_[0]["bounds"].update(day=1), "keys-young, bounds"),
        (lambda all_: all_[0]["bounds"].pop("data"), "missing required field `data`"),
        (lambda all_: all_[0]["bounds"].update(data="90"), "Expected `int`"),
        (lambda all_: all_[0].update(remedies="x"), "remedies"),
        (lambda all_: all_[0].pop("remedy"), "remedy"),
        (lambda all_: all_.append(all_[0]), "keys-young stands there twice"),
        (lambda all_: all_.clear(), "controls"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, change: Any, why: str) -> None:
    with pytest.raises(Refused) as caught:
        controls.read(changed(tmp_path, change))
    assert why in caught.value.why


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff", b"controls: 1"):
        (tmp_path / "c.yaml").write_bytes(content)
        with pytest.raises(Refused, match="not usable"):
            controls.read(tmp_path / "c.yaml")
    with pytest.raises(Refused, match="not usable"):
        controls.read(tmp_path / "none.yaml")
