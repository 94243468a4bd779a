"""cortexctl on AWS by its real command line: real Terraform, states and locks in moto, small stacks."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from terraform.cloud import BUCKET, QUEUE, Cloud, Door, client, make_bucket

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
	r.change.after.input == "us-east-1"
	r.address == "terraform_data.vpc"
}
"""
MIRROR = os.environ.get("TF_PLUGIN_DIR", "")


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
    """Return a production of three regions. Whoever changes it leaves it as it was."""
    cloud = Cloud(tmp_path_factory.mktemp("made") / "checkout", states)
    done = cloud.run("up", *cloud.wish(), "--yes")
    assert done.returncode == 0, done.stderr
    return cloud


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
    (2, "AWS has no region 'eu-west-9'", ("eu-west-9", "us-east-1", "ap-south-1"), "production"),
    (2, "overlap", ("eu-west-1=10.0.0.0/8", "us-east-1=10.4.0.0/16", "ap-south-1"), "production"),
    (2, "is no network", ("eu-west-1=10.4.0.1/16", "us-east-1", "ap-south-1"), "production"),
    (2, "twice", ("eu-west-1", "eu-west-1", "ap-south-1"), "production"),
    (2, "no profile 'huge'", ("eu-west-1", "us-east-1", "ap-south-1"), "huge"),
    (5, "cannot have 2 regions", ("eu-west-1", "us-east-1"), "production"),
]


@pytest.mark.parametrize(("code", "message", "regions", "profile"), WRONG)
def test_what_cannot_be_is_refused_before_aws_is_asked(
    tmp_path: Path, code: int, message: str, regions: tuple[str, ...], profile: str
) -> None:
    cloud = Cloud(tmp_path / "checkout", "http://127.0.0.1:9")
    done = cloud.run("up", *cloud.wish(*regions, profile=profile), "--yes")
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


@pytest.mark.parametrize(
    ("fault", "message"), [("SlowDown", "takes no more calls"), ("ExpiredToken", "have expired")]
)
def test_a_refusal_of_aws_is_told(cloud: Cloud, door: Door, fault: str, message: str) -> None:
    door.fault = fault
    done = cloud.run("up", *cloud.wish(), "--yes", AWS_ENDPOINT_URL=door.endpoint)
    assert done.returncode == 5, done.stderr
    assert message in done.stderr


def test_options_of_another_platform_are_refused(cloud: Cloud) -> None:
    assert cloud.run("up", *cloud.wish(), "--nodes", "3").returncode == 2
    assert cloud.run("up", "--region", HOME).returncode == 2


def test_all_regions_know_each_other_and_a_second_up_changes_nothing(made: Cloud) -> None:
    ways = {region: made.state(region)["outputs"]["ways"]["value"] for region in (HOME, "us-east-1")}
    assert ways == {HOME: ["ap-south-1", "us-east-1"], "us-east-1": ["ap-south-1", HOME]}
    assert all(made.lock(root) is None for root in ("global", *ways))
    again = made.run("up", "--yes")
    assert again.returncode == 0, again.stderr
    assert "Nothing was changed" in again.stderr
    assert made.run("drift").returncode == 0


def test_one_denial_of_the_policies_stops_a_whole_stage(cloud: Cloud) -> None:
    (cloud.place / "policies" / "rego" / "terraform" / "forbidden.rego").write_text(RULE)
    done = cloud.run("up", *cloud.wish(), "--yes")
    assert done.returncode == 5, done.stderr
    assert "terraform_data.vpc: it is forbidden. Go elsewhere." in done.stderr
    states = cloud.s3().list_objects_v2(Bucket=BUCKET, Prefix=f"{cloud.name}/")["Contents"]
    roots = [Path(found["Key"]).stem for found in states]
    made = {root for root in roots if cloud.state(root)["resources"]}
    assert made == {"global", HOME}  # of the stage after these neither region, the allowed one, too


def test_a_kept_plan_is_applied_to_the_letter_and_once(made: Cloud, tmp_path: Path) -> None:
    made.set(options={"machines": 5})
    wish = ("--settings", str(made.settings))
    kept = str(tmp_path / "kept")
    planned = made.run("plan", *wish, "--out", kept)
    assert planned.returncode == 4, planned.stderr
    assert planned.stdout.count("terraform_data.machines") == 3
    serials = [made.state(region)["serial"] for region in (HOME, "us-east-1")]
    done = made.run("up", *wish, "--plan", kept)
    assert done.returncode == 0, done.stderr
    assert [made.state(region)["serial"] for region in (HOME, "us-east-1")] > serials
    again = made.run("up", *wish, "--plan", kept)
    assert again.returncode == 5, again.stderr
    assert "the state of eu-west-1" in again.stderr


@pytest.mark.parametrize("what", ["the deployment's settings", "the stacks of Terraform"])
def test_a_plan_of_what_has_moved_on_is_refused(cloud: Cloud, tmp_path: Path, what: str) -> None:
    kept = str(tmp_path / "kept")
    wish = cloud.wish(HOME, profile="trial")
    assert cloud.run("plan", *wish, "--out", kept).returncode == 4
    if what == "the stacks of Terraform":
        with (cloud.stacks / "region" / "main.tf").open("a") as stack:
            stack.write("# another\n")
    else:
        cloud.set(domain="other.example.org", recipients=[])
    done = cloud.run("up", *wish, "--plan", kept)
    assert done.returncode in (2, 5), done.stderr
    assert what in done.stderr


def test_a_first_plan_is_a_first_step(cloud: Cloud, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    wish = cloud.wish(HOME, profile="trial")
    cloud.run("plan", *wish, "--out", kept)
    done = cloud.run("up", *wish, "--plan", kept)
    assert done.returncode == 4, done.stderr
    assert "is not complete" in done.stderr
    assert cloud.state("global")["outputs"]


def begin(cloud: Cloud) -> subprocess.Popen[str]:
    """Start an `up` and return when it is in the middle of making the founding region."""
    cloud.set(options={"wait": "60"})
    process = cloud.start("up", *cloud.wish(HOME, profile="trial"), "--yes")
    assert process.stderr
    for line in process.stderr:
        if "terraform_data.machines starting" in line:
            return process
    raise AssertionError("it ended")


def made_in(cloud: Cloud) -> dict[str, str]:
    """Return the ids of what the founding region has, by name."""
    found = [each for each in cloud.state(HOME)["resources"] if each["instances"]]
    return {each["name"]: each["instances"][0]["attributes"]["id"] for each in found}


def test_a_killed_run_leaves_a_lock_that_can_be_broken_and_the_next_converges(cloud: Cloud) -> None:
    process = begin(cloud)
    os.killpg(process.pid, signal.SIGKILL)  # Terraform too: they are one session
    process.communicate()
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


def test_an_interrupted_run_saves_its_state_and_lets_go(cloud: Cloud) -> None:
    process = begin(cloud)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert cloud.lock(HOME) is None
    first = made_in(cloud)
    cloud.set()
    done = cloud.run("up", "--settings", str(cloud.settings), "--yes")
    assert done.returncode == 0, done.stderr
    assert made_in(cloud)["vpc"] == first["vpc"]


def test_credentials_that_expire_in_an_apply_lose_nothing(cloud: Cloud, door: Door) -> None:
    wish = cloud.wish(HOME, profile="trial")
    assert cloud.run("up", *wish, "--yes").returncode == 0
    cloud.set(options={"machines": 7})
    wish = ("--settings", str(cloud.settings), "--yes")
    expired = threading.Event()

    def shut(method: str, path: str) -> bool:
        """From when the state is to be written on, it cannot be, and its lock cannot be given back."""
        if method == "PUT" and f"{HOME}.tfstate" in path and ".tflock" not in path:
            expired.set()
        return expired.is_set() and f"{HOME}.tfstate" in path

    door.shut, door.fault = shut, "ExpiredToken"
    done = cloud.run("up", *wish, AWS_ENDPOINT_URL=door.endpoint)
    assert done.returncode == 7, done.stderr
    assert "The credentials of AWS have expired" in done.stderr
    door.fault = ""
    held = cloud.lock(HOME)
    assert held
    locked = cloud.run("up", *wish)
    assert locked.returncode == 6, locked.stderr
    assert cloud.run("unlock", held["ID"], "--yes").returncode == 0
    again = cloud.run("up", *wish)
    assert again.returncode == 0, again.stderr
    assert "Nothing was changed" in again.stderr  # what was made is in the state: it was kept, and written
    machines = {each["name"]: each for each in cloud.state(HOME)["resources"]}["machines"]
    assert machines["instances"][0]["attributes"]["output"]["value"] == 7


def test_a_production_is_protected_then_goes_by_its_name_alone(cloud: Cloud) -> None:
    assert cloud.run("up", *cloud.wish(), "--yes").returncode == 0
    refused = cloud.run("down", "--yes")
    assert refused.returncode == 5, refused.stderr
    assert "protected: false" in refused.stderr
    cloud.set(protected=False)
    assert cloud.run("up", "--settings", str(cloud.settings), "--yes").returncode == 0
    assert cloud.run("down", "--yes").returncode == 2
    assert typed(cloud, "other") == 5
    assert cloud.state(HOME)["resources"]
    assert typed(cloud, cloud.name) == 0
    assert [cloud.state(root)["resources"] for root in ("global", HOME, "us-east-1")] == [[], [], []]
    assert cloud.run("drift").returncode == 5


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


def test_a_provider_that_cannot_be_had_is_told(cloud: Cloud, tmp_path: Path) -> None:
    (cloud.stacks / "global" / "queue.tf").write_text(QUEUE)
    done = cloud.run("plan", *cloud.wish(HOME, profile="trial"), TF_PLUGIN_DIR=str(tmp_path))
    assert done.returncode == 5, done.stderr
    assert "TF_PLUGIN_DIR" in done.stderr


@pytest.mark.skipif(not MIRROR, reason="TF_PLUGIN_DIR names no mirror of hashicorp/aws")
def test_what_was_changed_by_hand_is_drift(cloud: Cloud) -> None:
    (cloud.stacks / "global" / "queue.tf").write_text(QUEUE)
    done = cloud.run("up", *cloud.wish(HOME, profile="trial"), "--yes", TF_PLUGIN_DIR=MIRROR)
    assert done.returncode == 0, done.stderr
    ssm = client("ssm", HOME, cloud.endpoint)
    ssm.put_parameter(Name="edge", Value="by hand", Type="String", Overwrite=True)
    found = cloud.run("drift", TF_PLUGIN_DIR=MIRROR)
    assert found.returncode == 4, found.stderr
    assert "aws_ssm_parameter.edge" in found.stdout
