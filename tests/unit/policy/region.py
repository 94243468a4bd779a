"""A plan of a region that joins two others, captured once from terraform/stacks/aws/region.

Left out of it is what no rule gets: planned values, prior state, marks of what is sensitive. That the stacks
as they are now pass, too, is what tests/terraform/test_policies.py sees to.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLAN = Path(__file__).with_name("region.plan.json.gz")


def plan() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(PLAN.read_bytes()))
    return found


def values(plan: dict[str, Any], type_: str) -> Iterator[dict[str, Any]]:
    """Yield what is known of each resource of a type, to be changed."""
    for resource in plan["resource_changes"]:
        if resource["type"] == type_:
            yield resource["change"]["after"]
