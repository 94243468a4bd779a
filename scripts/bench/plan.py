#!/usr/bin/env python3
"""Plans of three regions side by side, beside the same three one after the other.

    TF_PLUGIN_DIR=MIRROR .venv/bin/python scripts/bench/plan.py [--rounds 5]

Each region has its state in moto's S3 and one resource of the provider of AWS, which is most of the work; of
waiting for AWS itself there is none. Target on two processors: the ratio of the medians <= 0.6.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from cortexctl import provision, terraform, tools
from cortexctl.terraform import Root
from terraform.cloud import BACKEND, BUCKET, QUEUE, REGIONS, STATES_REGION, make_bucket
from terraform.conftest import SERVER

TARGET = 0.6
VARIABLES = {"deployment": "bench", "domain": "api.example.org", "founder": REGIONS[0]}


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def roots(place: Path) -> list[Root]:
    """Return three roots, whose stack is written here."""
    stack = place / "terraform" / "stacks" / "aws" / "region"
    stack.mkdir(parents=True)
    (place / "terraform" / "modules").mkdir()
    words = "".join(f'variable "{name}" {{}}\n' for name in VARIABLES)
    (stack / "main.tf").write_text(BACKEND + words + QUEUE)
    terraform.TERRAFORM, terraform.STACKS = place / "terraform", place / "terraform" / "stacks"
    binary = tools.find_terraform()
    bucket = {"bucket": BUCKET, "region": STATES_REGION}
    return [
        Root(
            region,
            "aws/region",
            place / region,
            binary,
            lambda _: None,
            bucket | {"key": f"{region}.tfstate"},
        )
        for region in REGIONS
    ]


def main() -> int:
    """Measure, print, and return 3 when the target is missed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    command = [sys.executable, "-P", "-c", SERVER]
    with (
        tempfile.TemporaryDirectory(prefix="plan-") as place,
        subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server,
    ):
        try:
            assert server.stdout
            endpoint = f"http://127.0.0.1:{int(server.stdout.readline())}"
            os.environ |= {
                "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "nobody",
                "AWS_SECRET_ACCESS_KEY": "nothing",
            }  # fmt: skip
            make_bucket(endpoint)
            three = roots(Path(place))
            for root in three:
                root.plan(VARIABLES)  # the provider is in the page cache then, as it is with a second plan
            beside, after = [], []
            for _ in range(rounds):
                beside.append(timed(lambda: provision.side_by_side(three, lambda root: root.plan(VARIABLES))))
                after.append(timed(lambda: [root.plan(VARIABLES) for root in three]))
        finally:
            server.kill()
    found = {"side by side": statistics.median(beside), "one after the other": statistics.median(after)}
    ratio = found["side by side"] / found["one after the other"]
    print(json.dumps({**found, "ratio": round(ratio, 3), "target": TARGET, "rounds": rounds}, indent=2))
    return 0 if ratio <= TARGET else 3


if __name__ == "__main__":
    sys.exit(main())
