#!/usr/bin/env bash
# Go back to the last validated revision of a release, and see that it is healthy there.
#
#   scripts/ci/rollback.sh           the release: scripts/ci/release.sh; what to look at: scripts/ci/bounded.sh
#
# Exit codes: 0 it is back, or was never away; 3 it is back but not healthy; 5 there is nothing to go back to.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/release.sh
. "$here/release.sh"
need helm kubectl

newest
good=$(validated)
[ -n "$good" ] || give_up 5 "There is no revision of $release to go back to." \
  "None of them was ever validated." "Mend it, and deploy again; or validate one: scripts/ci/validate.sh."
if [ "$now $state" = "$good deployed" ]; then
  say "Revision $good of $release, the newest one, is validated: nothing to go back from."
  exit 0
fi
say "Going back from revision $now of $release to $good."
helm rollback "$release" "$good" --namespace "$namespace" --wait --timeout "${limit}s" >&2
rolled_out || give_up 3 "The pods of $release are not ready." "kubectl rollout status says so." \
  "Look at kubectl describe pods --namespace $namespace."
"$here/../health-check.sh" --wait 300 --count 3
newest
mark "$now"
say "$release is as it was in revision $good."
