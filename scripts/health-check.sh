#!/usr/bin/env bash
# Whether a deployment is healthy: its regions, nodes, quorum, certificates and edge, and a canary that writes and
# reads as a tenant when one is named. Of a cluster that is known by its front doors alone: their answers and
# certificates, and the canary through each, which nothing but a quorum acknowledges.
#
#   scripts/health-check.sh [--wait SECONDS] [--count N] [--json]    further options: cortexctl health --help
#
# What is looked at says the environment: see scripts/ci/bounded.sh. CORTEX_LIMIT (300) is how many seconds it may
# take in all. Exit codes: 0 healthy, 2 usage, 3 not healthy, 5 there is no such deployment, 7 no answer in time.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/bounded.sh
. "$here/ci/bounded.sh"

place
[ -z "${CORTEX_TENANT-}" ] || words+=(--tenant "$CORTEX_TENANT")
output "$@"
bounded "${CORTEX_LIMIT:-300}" "$here/cortexctl" health ${words[@]+"${words[@]}"} ${rest[@]+"${rest[@]}"}
