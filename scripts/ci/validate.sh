#!/usr/bin/env bash
# Look at the newest revision of a release: its pods, its health, its figures. Good: keep that it is.
#
#   scripts/ci/validate.sh           the release, and what to look at: scripts/ci/release.sh and bounded.sh
#
# PERFORMANCE has further options of scripts/performance-validation.sh. The exit code is that of what failed.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/release.sh
. "$here/release.sh"
need kubectl

newest
[ -n "$now" ] || give_up 5 "There is no release $release in $namespace." "Nothing was installed." \
  "Install it first: scripts/ci/deploy.sh."
say "Revision $now of $release: are its pods ready?"
rolled_out || give_up 3 "The pods of $release are not ready." "kubectl rollout status says so." \
  "Look at kubectl describe pods --namespace $namespace."
say "Is it healthy?"
"$here/../health-check.sh" --wait 120 --count 3
say "Is it fast enough?"
read -r -a options <<<"${PERFORMANCE-}"
"$here/../performance-validation.sh" ${options[@]+"${options[@]}"}
mark "$now"
say "Revision $now of $release is validated."
