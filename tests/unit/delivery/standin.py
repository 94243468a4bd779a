#!/usr/bin/env python3
"""Stands where helm, kubectl and the two scripts that look at a deployment stand.

It records its words, keeps Helm's revisions in a file as a cluster would, and fails when the test says so: in
`failing`, a list of the words it is called with and the revision that is the newest then.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

CHANGING = ("apply", "rollback", "upgrade")
place = Path(os.environ["STANDIN"])


def main() -> int:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    cluster = json.loads((place / "cluster.json").read_text())
    revisions = cluster["revisions"]  # of (state, image)
    with (place / "calls").open("a") as calls:
        print(name, *words, file=calls)
    line, stdin = " ".join((name, *words)), "" if sys.stdin.isatty() else sys.stdin.read()
    fails = any(line.startswith(one) and len(revisions) == revision for one, revision in cluster["failing"])
    if line.startswith("helm upgrade"):
        if cluster["refuses"]:
            return 1
        digest = next(word for word in words if word.startswith("image.digest=")).partition("=")[2]
        revisions.append(["failed" if fails else "deployed", digest])
        fails = fails or revisions[-1][1] in cluster["bad"]
        revisions[-1][0] = "failed" if fails else "deployed"
    elif line.startswith("helm rollback") and not fails:
        revisions.append(["deployed", revisions[int(words[2]) - 1][1]])
    elif line.startswith("kubectl get secrets"):
        print(*(f"{number} {state}" for number, (state, _) in enumerate(revisions, 1)), sep="\n")
    elif line.startswith("kubectl get configmap"):
        print(cluster["validated"], end="")
    elif line.startswith("kubectl get statefulsets"):
        print("statefulset.apps/one", "deployment.apps/two", sep="\n")
    elif line.startswith("kubectl create configmap"):
        print(next(word for word in words if word.startswith("revision=")).partition("=")[2])
    elif line.startswith("kubectl apply"):
        cluster["validated"] = stdin.strip()
    if words and words[0] in CHANGING:  # another one may be running beside it, at the other end of a pipe
        (place / "cluster.new").write_text(json.dumps(cluster))
        (place / "cluster.new").replace(place / "cluster.json")
    return cluster["code"] if fails else 0


if __name__ == "__main__":
    sys.exit(main())
