"""cortexctl.terraform against the real stacks and the real programs; only the interpreter is a stand-in."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cortexctl import terraform
from cortexctl.terraform import Event, Root, TerraformError

NODES = {"eu-west-1": 20024, "eu-west-2": 20025}
REGION = "module.region.terraform_data.this"
FIRST = 'module.node["eu-west-1"].terraform_data.this'
SECOND = 'module.node["eu-west-2"].terraform_data.this'


class Trial:
    """A region's root in a directory with a space and an umlaut, and what its interpreter was asked."""

    def __init__(self, binary: Path, recorder: Path, directory: Path) -> None:
        self.recorder = recorder
        self.events: list[Event] = []
        self.root = Root("eu-west", "local/region", directory / "stäte of it", binary, self.events.append)

    def variables(self, **changes: Any) -> dict[str, Any]:
        usual = {
            "python": str(self.recorder),
            "directory": "/nowhere/in particular",
            "region": "eu-west",
            "load_balancer_port": 20016,
            "nodes": NODES,
        }
        return usual | changes

    def calls(self) -> list[tuple[str, dict[str, str]]]:
        """Return what was asked since the last time."""
        path = self.recorder.with_name("calls")
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [(verb, json.loads(spec)) for verb, spec in (line.split(" ", 1) for line in lines)]

    def verbs(self) -> list[str]:
        return [f"{verb} {spec.get('node', '')}".strip() for verb, spec in self.calls()]


@pytest.fixture
def trial(binary: Path, recorder: Path, tmp_path: Path) -> Trial:
    return Trial(binary, recorder, tmp_path)


def test_makes_a_region_then_its_nodes_and_then_nothing(trial: Trial) -> None:
    outcome = trial.root.apply(trial.variables())
    assert outcome.actions == {REGION: "create", FIRST: "create", SECOND: "create"}
    assert outcome.outputs["region"]["load_balancer_url"] == "https://127.0.0.1:20016"
    assert set(outcome.outputs["nodes"]) == set(NODES)
    calls = trial.calls()
    assert calls[0] == ("region-start", {"directory": "/nowhere/in particular", "region": "eu-west"})
    assert sorted((verb, spec["node"]) for verb, spec in calls[1:]) == [
        ("node-start", "eu-west-1"),
        ("node-start", "eu-west-2"),
    ]
    assert {event.kind for event in trial.events} >= {"apply_start", "apply_complete"}

    again = trial.root.apply(trial.variables())
    assert not again.changed
    assert again.outputs == outcome.outputs
    assert not trial.root.plan(trial.variables()).changed
    assert trial.verbs() == []


def test_replaces_what_is_said_to_be_dead(trial: Trial) -> None:
    trial.root.apply(trial.variables())
    trial.verbs()
    assert trial.root.apply(trial.variables(), replace=[FIRST]).actions == {FIRST: "replace"}
    assert trial.verbs() == ["node-stop eu-west-1", "node-start eu-west-1"]
    trial.root.apply(trial.variables(), replace=[REGION])
    verbs = trial.verbs()
    assert sorted(verbs[:2]) == ["node-stop eu-west-1", "node-stop eu-west-2"]
    assert verbs[2:4] == ["region-stop", "region-start"]
    assert sorted(verbs[4:]) == ["node-start eu-west-1", "node-start eu-west-2"]


def test_replacing_what_the_state_does_not_know_makes_it(trial: Trial) -> None:
    assert trial.root.apply(trial.variables(), replace=[REGION]).actions[REGION] == "create"


def test_scales_without_touching_the_others(trial: Trial) -> None:
    trial.root.apply(trial.variables())
    trial.verbs()
    trial.root.apply(trial.variables(nodes=NODES | {"eu-west-3": 20026}))
    assert trial.verbs() == ["node-start eu-west-3"]
    trial.root.apply(trial.variables(nodes={"eu-west-1": 20024}))
    assert sorted(trial.verbs()) == ["node-stop eu-west-2", "node-stop eu-west-3"]


def test_plan_says_what_apply_would_do_and_does_nothing(trial: Trial) -> None:
    planned = trial.root.plan(trial.variables())
    assert planned.actions == {REGION: "create", FIRST: "create", SECOND: "create"}
    assert trial.verbs() == []
    assert not trial.root.state.exists()


def test_destroys_nodes_then_the_region(trial: Trial) -> None:
    assert not trial.root.destroy().changed  # nothing was ever made
    trial.root.apply(trial.variables())
    trial.verbs()
    trial.root.destroy()
    verbs = trial.verbs()
    assert sorted(verbs[:2]) == ["node-stop eu-west-1", "node-stop eu-west-2"]
    assert verbs[2:] == ["region-stop"]
    assert not trial.root.destroy().changed


def test_an_error_names_the_cause_and_the_log_and_the_next_apply_goes_on(trial: Trial) -> None:
    broken = trial.recorder.with_name("broken")
    broken.write_text("node-start\n")
    with pytest.raises(TerraformError) as caught:
        trial.root.apply(trial.variables())
    assert "cannot node-start" in caught.value.why
    assert str(trial.root.log) in caught.value.todo
    assert "cannot node-start" in trial.root.log.read_text()
    broken.unlink()
    trial.root.apply(trial.variables())
    assert not trial.root.plan(trial.variables()).changed


def test_refuses_a_variable_that_is_off(trial: Trial) -> None:
    with pytest.raises(TerraformError, match="could not apply"):
        trial.root.apply(trial.variables(nodes={}))
    assert trial.verbs() == []


def test_a_damaged_state_is_an_error_that_says_so(trial: Trial) -> None:
    trial.root.apply(trial.variables())
    trial.root.state.write_text('{"version": 4, "resour')
    with pytest.raises(TerraformError) as caught:
        trial.root.apply(trial.variables())
    assert "state" in caught.value.why


def test_the_users_own_settings_for_terraform_do_not_reach_it(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_apply", "-no-such-option")
    monkeypatch.setenv("TF_VAR_region", "us-east")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "/no/such/file")
    trial.root.apply(trial.variables())
    assert trial.calls()[0][1]["region"] == "eu-west"


@pytest.mark.parametrize("end", ["kill", "interrupt"])
def test_an_end_in_the_middle_leaves_what_the_next_apply_puts_right(trial: Trial, end: str) -> None:
    gate = trial.recorder.with_name("gate")
    gate.touch()  # while it is there, whoever starts a node waits
    trial.recorder.write_text(
        trial.recorder.read_text()
        + 'case $verb in node-start) while [ -e "$here/gate" ]; do sleep 0.05; done ;; esac\n'
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(trial.root.apply, trial.variables())
        begun = time.monotonic()
        while not any(event.address == FIRST for event in trial.events):
            assert time.monotonic() - begun < 30
            time.sleep(0.05)
        if end == "kill":
            (process,) = terraform._running
            process.kill()
        else:
            terraform.interrupt()
        gate.unlink()
        with pytest.raises(TerraformError):
            running.result()
    assert not terraform._running
    trial.verbs()
    trial.root.apply(trial.variables())
    assert "node-start eu-west-1" in trial.verbs()
    assert not trial.root.plan(trial.variables()).changed
