"""cortexctl on AWS by its real command line: real Terraform, states and locks in moto, small stacks."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from terraform.cloud import QUEUE, REGIONS, Cloud, Door, client, make_bucket

pytest.importorskip("flask", reason="moto's server needs flask, which is not installed")
pytestmark = pytest.mark.slow
HOME = "eu-west-1"
RULE = """# METADATA
# title: Nothing is in the east
# description: Made for a test.
# custom:
#   severity: high
#   remedy: Go elsewhere.
#   types: [terraform_data]
package terraform.forbidden

import rego.v1

import data.lib.plan

deny contains plan.denial(r, "it is forbidden", "Go elsewhere") if {
	some r in plan.of({"terraform_data"})
	r.address == "terraform_data.machines"
	r.change.after.triggers_replace[0] == "us-east-1"
}
"""
MIRROR = os.environ.get("TF_PLUGIN_DIR", "")


class Kept(NamedTuple):
    """A deployment that is planned, and the words of the `up` that applies its plan."""

    cloud: Cloud
    words: tuple[str, ...]


@pytest.fixture(scope="module")
def states(endpoint: str) -> str:
    """Return moto's URL, with the bucket of states made."""
    make_bucket(endpoint)
    return endpoint


@pytest.fixture
def cloud(states: str, tmp_path: Path) -> Cloud:
    return Cloud(tmp_path / "checkout", states)


@pytest.fixture(scope="module")
def made(states: str, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """Return a production of three regions. Whoever changes it gives settings of their own."""
    cloud = Cloud(tmp_path_factory.mktemp("made") / "checkout", states)
    done = cloud.run("up", *cloud.wish(), "--yes")
    assert done.returncode == 0, done.stderr
    return cloud


@pytest.fixture(scope="module")
def trial(states: str, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """Return a trial of one region. Whoever changes it gives settings of their own."""
    cloud = Cloud(tmp_path_factory.mktemp("trial") / "checkout", states)
    done = cloud.run("up", *cloud.wish(HOME, profile="trial"), "--yes")
    assert done.returncode == 0, done.stderr
    return cloud


@pytest.fixture(scope="module")
def kept(states: str, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Return a new deployment's first plan. Whoever changes what it was made of puts that right."""
    place = tmp_path_factory.mktemp("kept")
    cloud = Cloud(place / "checkout", states)
    wish = cloud.wish(HOME, profile="trial")
    done = cloud.run("plan", *wish, "--out", str(place / "plan"))
    assert done.returncode == 4, done.stderr
    return Kept(cloud, (*wish, "--plan", str(place / "plan")))


@pytest.fixture
def door(states: str) -> Iterator[Door]:
    found = Door(int(states.rsplit(":", 1)[1]))
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


WRONG = [
    (2, "AWS has no region 'eu-west-9'", ("eu-west-9", "us-east-1", "ap-south-1")),
    (5, "cannot have 2 regions", ("eu-west-1", "us-east-1")),
]


@pytest.mark.parametrize(("code", "message", "regions"), WRONG)
def test_what_cannot_be_is_refused_before_aws_is_asked(
    tmp_path: Path, code: int, message: str, regions: tuple[str, ...]
) -> None:
    cloud = Cloud(tmp_path / "checkout", "http://127.0.0.1:9")
    done = cloud.run("up", *cloud.wish(*regions), "--yes")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert not (tmp_path / "checkout" / "state" / "cortexkg" / cloud.name).exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "There are no credentials for AWS"),
        ({"AWS_PROFILE": "nobody"}, "There are no credentials for AWS"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "AWS cannot be reached"),
    ],
)
def test_without_aws_nothing_is_begun(cloud: Cloud, settings: dict[str, str], message: str) -> None:
    done = cloud.run("up", *cloud.wish(), "--yes", **settings)
    assert done.returncode == 5, done.stderr
    assert message in done.stderr
    assert "what to do" in done.stderr


def test_a_refusal_of_aws_is_told(cloud: Cloud, door: Door) -> None:
    door.fault = "ExpiredToken"
    done = cloud.run("up", *cloud.wish(), "--yes", AWS_ENDPOINT_URL=door.endpoint)
    assert done.returncode == 5, done.stderr
    assert "have expired" in done.stderr


def test_options_of_another_platform_are_refused(cloud: Cloud) -> None:
    assert cloud.run("up", *cloud.wish(), "--nodes", "3").returncode == 2
    assert cloud.run("up", "--region", HOME).returncode == 2


def test_all_regions_know_each_other_and_a_second_up_changes_nothing(made: Cloud) -> None:
    ways = {region: made.state(region)["outputs"]["ways"]["value"] for region in (HOME, "us-east-1")}
    assert ways == {HOME: ["ap-south-1", "us-east-1"], "us-east-1": ["ap-south-1", HOME]}
    assert all(made.lock(root) is None for root in ("global", *ways))
    made.set()
    again = made.run("up", "--settings", str(made.settings), "--yes")
    assert again.returncode == 0, again.stderr
    assert "Nothing was changed" in again.stderr
    assert made.run("drift").returncode == 0


def serials(cloud: Cloud) -> dict[str, int]:
    return {region: cloud.state(region)["serial"] for region in REGIONS}


def test_one_denial_of_the_policies_stops_a_whole_stage(made: Cloud) -> None:
    before = serials(made)
    made.set(options={"machines": 4})
    rule = made.place / "policies" / "rego" / "terraform" / "forbidden.rego"
    rule.write_text(RULE)
    done = made.run("up", "--settings", str(made.settings), "--yes")
    rule.unlink()
    assert done.returncode == 5, done.stderr
    assert "terraform_data.machines: it is forbidden. Go elsewhere." in done.stderr
    assert serials(made) == before  # of those that the rule allows, too


def test_a_kept_plan_is_applied_to_the_letter_and_once(made: Cloud, tmp_path: Path) -> None:
    made.set(options={"machines": 5})
    wish = ("--settings", str(made.settings))
    kept = str(tmp_path / "kept")
    planned = made.run("plan", *wish, "--out", kept)
    assert planned.returncode == 4, planned.stderr
    assert planned.stdout.count("terraform_data.machines") == 3
    before = serials(made)
    done = made.run("up", *wish, "--plan", kept)
    assert done.returncode == 0, done.stderr
    assert all(serial > before[region] for region, serial in serials(made).items())
    again = made.run("up", *wish, "--plan", kept)
    assert again.returncode == 5, again.stderr
    assert "the state of eu-west-1" in again.stderr


def test_a_production_is_protected_then_goes_by_its_name_alone(made: Cloud) -> None:
    refused = made.run("down", "--yes")
    assert refused.returncode == 5, refused.stderr
    assert "protected: false" in refused.stderr
    made.set(protected=False)
    assert made.run("up", "--settings", str(made.settings), "--yes").returncode == 0
    assert made.run("down", "--yes").returncode == 2
    assert typed(made, "other") == 5
    assert made.state(HOME)["resources"]
    assert typed(made, made.name) == 0
    assert [made.state(root)["resources"] for root in ("global", *REGIONS)] == [[], [], [], []]
    assert made.run("drift").returncode == 5


def typed(cloud: Cloud, name: str) -> int:
    """Run `down` at a terminal, type a name, and return its exit code."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        cloud.command("down", "--yes"), env=cloud.settled({}), stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    os.write(ours, f"{name}\n".encode())
    try:
        while os.read(ours, 4096):
            pass
    except OSError:  # its end is closed
        pass
    os.close(ours)
    return process.wait(timeout=120)


def test_a_plan_of_other_settings_is_refused(kept: Kept) -> None:
    kept.cloud.set(domain="other.example.org", recipients=[])
    done = kept.cloud.run("up", *kept.words)
    kept.cloud.set()
    assert done.returncode in (2, 5), done.stderr
    assert "the deployment's settings" in done.stderr


def test_a_plan_of_other_stacks_is_refused(kept: Kept) -> None:
    stack = kept.cloud.stacks / "region" / "main.tf"
    text = stack.read_text()
    stack.write_text(text + "# another\n")
    done = kept.cloud.run("up", *kept.words)
    stack.write_text(text)
    assert done.returncode == 5, done.stderr
    assert "the stacks of Terraform" in done.stderr


def test_a_first_plan_is_a_first_step(kept: Kept) -> None:
    done = kept.cloud.run("up", *kept.words)
    assert done.returncode == 4, done.stderr
    assert "is not complete" in done.stderr
    assert kept.cloud.state("global")["outputs"]


def test_a_killed_run_leaves_a_lock_that_can_be_broken_and_the_next_converges(cloud: Cloud) -> None:
    with cloud.begun(*cloud.wish(HOME, profile="trial")):
        pass  # it is killed, and Terraform with it: they are one session
    cloud.set()
    wish = ("--settings", str(cloud.settings), "--yes")
    held = cloud.lock(HOME)
    assert held
    locked = cloud.run("up", *wish)
    assert locked.returncode == 6, locked.stderr
    assert held["Who"] in locked.stderr
    assert f"cortexctl unlock {held['ID']}" in locked.stderr
    assert cloud.run("unlock", "no-such-lock", "--yes").returncode == 5
    assert cloud.run("unlock", held["ID"]).returncode == 2  # it asks, and there is no terminal
    assert cloud.run("unlock", held["ID"], "--yes").returncode == 0
    done = cloud.run("up", *wish)
    assert done.returncode == 0, done.stderr
    assert "load_balancer" in cloud.state(HOME)["outputs"]


def made_in(cloud: Cloud) -> dict[str, dict[str, Any]]:
    """Return what the founding region has, by name."""
    found = [each for each in cloud.state(HOME)["resources"] if each["instances"]]
    return {each["name"]: each["instances"][0]["attributes"] for each in found}


def test_an_interrupted_run_saves_its_state_and_lets_go(trial: Cloud) -> None:
    before = made_in(trial)
    with trial.begun() as process:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert trial.lock(HOME) is None
    # The new machines are known, to be made anew: those that were are gone.
    assert made_in(trial)["machines"]["id"] != before["machines"]["id"]
    trial.set()
    done = trial.run("up", "--settings", str(trial.settings), "--yes")
    assert done.returncode == 0, done.stderr
    after = made_in(trial)
    assert after["vpc"]["id"] == before["vpc"]["id"]
    assert after["machines"]["triggers_replace"]["value"] == [HOME, "0"]


def test_credentials_that_expire_in_an_apply_lose_nothing(trial: Cloud, door: Door) -> None:
    trial.set(options={"machines": 7})
    wish = ("--settings", str(trial.settings), "--yes")
    expired = threading.Event()

    def shut(method: str, path: str) -> bool:
        """From when the state is to be written on, it cannot be, and its lock cannot be given back."""
        if method == "PUT" and f"{HOME}.tfstate" in path and ".tflock" not in path:
            expired.set()
        return expired.is_set() and f"{HOME}.tfstate" in path

    door.shut, door.fault = shut, "ExpiredToken"
    done = trial.run("up", *wish, AWS_ENDPOINT_URL=door.endpoint)
    assert done.returncode == 7, done.stderr
    assert "The credentials of AWS have expired" in done.stderr
    door.fault = ""
    held = trial.lock(HOME)
    assert held
    locked = trial.run("up", *wish)
    assert locked.returncode == 6, locked.stderr
    assert trial.run("unlock", held["ID"], "--yes").returncode == 0
    again = trial.run("up", *wish)
    assert again.returncode == 0, again.stderr
    assert "Nothing was changed" in again.stderr  # what was made is in the state: it was kept, and written
    assert made_in(trial)["machines"]["output"]["value"] == 7


def test_a_provider_that_cannot_be_had_is_told(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.stacks / "global" / "queue.tf").write_text(QUEUE)
    done = cloud.run("plan", *cloud.wish(HOME, profile="trial"), TF_PLUGIN_DIR=str(tmp_path))
    assert done.returncode == 5, done.stderr
    assert "TF_PLUGIN_DIR" in done.stderr


@pytest.mark.skipif(not MIRROR, reason="TF_PLUGIN_DIR names no mirror of hashicorp/aws")
def test_what_was_changed_by_hand_is_drift(trial: Cloud) -> None:
    queue = trial.stacks / "global" / "queue.tf"
    queue.write_text(QUEUE)
    wish = ("--settings", str(trial.settings), "--yes")
    done = trial.run("up", *wish, TF_PLUGIN_DIR=MIRROR)
    assert done.returncode == 0, done.stderr
    ssm = client("ssm", HOME, trial.endpoint)
    ssm.put_parameter(Name="edge", Value="by hand", Type="String", Overwrite=True)
    found = trial.run("drift", TF_PLUGIN_DIR=MIRROR)
    assert found.returncode == 4, found.stderr
    assert "aws_ssm_parameter.edge" in found.stdout
