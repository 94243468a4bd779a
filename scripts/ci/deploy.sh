#!/usr/bin/env bash
# Bring a cluster to a version: upgrade the release, look at it, and go back when it is not good.
#
#   IMAGE_DIGEST=sha256:… scripts/ci/deploy.sh VALUES.yaml
#
# IMAGE_DIGEST is the image that was built and tested; the value file has its repository. Which release:
# scripts/ci/release.sh; what is looked at afterwards: scripts/ci/validate.sh. May be killed at any moment: the next
# run goes on from there, and never goes back to what was not validated.
#
# Exit codes: 0 deployed and validated; 2 usage; 5 a program or a file is missing; else that of what failed, whether
# going back went well (it says so) or not.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/release.sh
. "$here/release.sh"

if [ $# -ne 1 ] || [[ ! ${IMAGE_DIGEST-} =~ ^sha256:[0-9a-f]{64}$ ]]; then
  give_up 2 "The call is off." "It takes one file of values, and IMAGE_DIGEST as sha256:<64 hexadecimal digits>." \
    "IMAGE_DIGEST=sha256:… scripts/ci/deploy.sh VALUES.yaml"
fi
[ -r "$1" ] || give_up 5 "$1 cannot be read." "It has the values of the environment." "Check the path."
need helm kubectl

# An earlier run was killed in the middle: Helm refuses to go on from there, but not to go back.
newest
if [[ $state == pending-* ]]; then
  say "Revision $now of $release was left half-way ($state)."
  "$here/rollback.sh"
  newest
fi

before=$now
status=0
helm upgrade "$release" "$here/../../runtime/helm-chart" --install --namespace "$namespace" --history-max 50 \
  --values "$1" --set-string "image.digest=$IMAGE_DIGEST" --wait --timeout "${limit}s" >&2 || status=$?
if [ "$status" -eq 0 ]; then
  "$here/validate.sh" || status=$?
elif newest && [ "$now" = "$before" ]; then
  give_up "$status" "Nothing was changed." "Helm refused it before it began." "Mend what it says above."
fi
[ "$status" -ne 0 ] || exit 0

say "The deployment failed (exit code $status)."
gone_back=0
"$here/rollback.sh" || gone_back=$?
[ "$gone_back" -eq 0 ] || give_up "$status" "$release could not be brought back." \
  "scripts/ci/rollback.sh ended with $gone_back." \
  "Somebody has to look at it now: kubectl get pods --namespace $namespace."
exit "$status"
