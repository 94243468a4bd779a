#!/usr/bin/env bash
# The performance test before anything is deployed: a small deployment of its own on this machine, measured.
#
#   scripts/ci/performance.sh [OPTION...]     options of scripts/performance-validation.sh
#
# The figures are left in dist/performance.json. Exit codes: as scripts/performance-validation.sh.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
export CORTEXCTL_DEPLOYMENT=performance CORTEX_TENANT=performance
mkdir -p dist
trap 'scripts/cortexctl down --yes --delete-data' EXIT
scripts/cortexctl up --profile small --yes
scripts/cortexctl tenant onboard "$CORTEX_TENANT" >/dev/null
scripts/health-check.sh --wait 60
scripts/performance-validation.sh --json "$@" >dist/performance.json
