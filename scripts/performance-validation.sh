#!/usr/bin/env bash
# Whether a deployment is fast enough: a bounded load as a tenant, its p99, error rate and rate beside thresholds,
# and beside the record of an earlier run when one is given.
#
#   scripts/performance-validation.sh [--offer RATE] [--seconds N] [--read-p99 MS] [--write-p99 MS]
#     [--error-rate SHARE] [--rate RATE] [--baseline FILE] [--json]  further options: cortexctl bench load --help
#
# What is looked at, and as which tenant, says the environment: see scripts/ci/bounded.sh. CORTEX_LIMIT (900) is how
# many seconds it may take in all. Exit codes: 0 all met, 2 usage, 3 a figure misses its bound, 5 it cannot be
# asked, 7 no end in time.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/bounded.sh
. "$here/ci/bounded.sh"

if [ -z "${CORTEX_TENANT-}" ]; then
  printf 'Error: No tenant is named.\n  what to do: Set CORTEX_TENANT, and CORTEXCTL_API_KEY to its key.\n' >&2
  exit 2
fi
place
output "$@"
bounded "${CORTEX_LIMIT:-900}" "$here/cortexctl" bench load "$CORTEX_TENANT" \
  ${words[@]+"${words[@]}"} ${rest[@]+"${rest[@]}"}
