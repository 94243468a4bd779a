from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cortexctl.drill import scenario
from cortexctl.errors import Refused, UsageError

CONTENT = yaml.safe_load((scenario.directory() / "region-loss.yaml").read_bytes())


def test_the_scenarios_of_the_checkout_are_usable() -> None:
    assert {one.name for one in scenario.load_all()} >= {"region-loss", "node-loss", "database-loss"}
    assert scenario.load("region-loss").objectives.rto_seconds == 30


@pytest.mark.parametrize("name", ["none", "../region-loss", "", "region-loss.yaml"])
def test_an_unknown_name_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError) as error:
        scenario.load(name)
    assert "region-loss" in error.value.todo


def changed(path: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(yaml.safe_dump(CONTENT))
    *parents, last = path.split(".")
    place = content
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fault.kind", "explode"),
        ("fault.target", "owner"),
        ("fault.target", "eu-west"),
        ("objectives.rto_seconds", 0),
        ("objectives.rto_seconds", "soon"),
        ("objectives.lost", -1),
        ("expectation.rounds", 0),
        ("expectation.rounds", 2.5),
        ("canary.writers", 65),
        ("canary.rounds_per_second", float("nan")),
        ("name", "another"),
        ("objectives", None),
        ("steady_state.rounds", None),
        ("extra", 1),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, path: str, value: Any) -> None:
    file = tmp_path / "region-loss.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(Refused, match="not usable"):
        scenario.read(file)


@pytest.mark.parametrize("content", [b"", b"[", b"- 1", b"\xff\x00"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "region-loss.yaml"
    file.write_bytes(content)
    with pytest.raises(Refused, match="not usable"):
        scenario.read(file)
