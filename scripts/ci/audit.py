#!/usr/bin/env python3
"""Hold what is locked against the known vulnerabilities: 0 none, 3 some, 7 not all could be looked up.

    .venv/scan/bin/python scripts/ci/audit.py LOCK...

pip-audit leaves out what its source does not know, and succeeds: so what it says is read, not its exit code.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LIMIT = 600


def main(locks: list[str]) -> int:
    """Audit, tell, and return the exit code."""
    found, unknown = [], []
    for lock in locks:
        packages = audited(lock)
        if packages is None:
            return 7
        found += [
            f"{lock}: {package['name']} {package['version']}: {flaw['id']}, mended in {flaw['fix_versions']}"
            for package in packages
            for flaw in package.get("vulns", ())
        ]
        unknown += [f"{lock}: {package['name']}" for package in packages if "skip_reason" in package]
    print(*found, sep="\n")
    if unknown:
        print(f"{len(unknown)} packages could not be looked up: {', '.join(unknown[:5])} …", file=sys.stderr)
    return 3 if found else 7 if unknown else 0


def audited(lock: str) -> list[dict[str, Any]] | None:
    """Return what is known of each package of a lock; None when nobody could say."""
    program = Path(sys.executable).with_name("pip-audit")
    words = ["--progress-spinner", "off", "--disable-pip", "--no-deps", "--format", "json"]
    done = subprocess.run(
        [program, *words, "--requirement", lock], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        print(f"{lock} could not be audited: {done.stderr.strip()[-500:]}", file=sys.stderr)
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
