#!/usr/bin/env bash
# Scheduled work on a deployment that this runner has the directory of; what goes wrong becomes an issue.
#
#   scripts/ci/scheduled.sh drift       what is not as it should be (4: something is)
#   scripts/ci/scheduled.sh drill       a drill, DRILL (node-loss) by its name (3: it missed its objectives)
#   scripts/ci/scheduled.sh keys        rotate the keys that are due
#   scripts/ci/scheduled.sh restore     how AWS' last tests of the backups went (3: one failed, or is missing)
#
# CORTEXCTL_DEPLOYMENT names the deployment. An issue is opened on GitHub when GH_TOKEN is set, on GitLab when
# ISSUE_TOKEN is. The exit code is that of cortexctl, whether the issue could be opened or not.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."

case ${1-} in
  drift) words=(drift) ;;
  drill) words=(drill run "${DRILL:-node-loss}") ;;
  keys) words=(key rotate --due) ;;
  restore) words=(aws restores) ;;
  *)
    printf 'Error: There is no %s to do.\n  what to do: Name one of drift, drill, keys, restore.\n' "${1:-work}" >&2
    exit 2
    ;;
esac

mkdir -p dist
report=dist/$1.txt
status=0
scripts/cortexctl "${words[@]}" >"$report" 2>&1 || status=$?
cat "$report"
[ "$status" -ne 0 ] || exit 0

title="cortexctl ${words[*]} ended with $status"
if [ -n "${GH_TOKEN-}" ]; then
  gh issue create --title "$title" --body-file "$report" || echo "The issue could not be opened." >&2
elif [ -n "${ISSUE_TOKEN-}" ]; then
  curl --fail --silent --show-error --max-time 30 --header @- --data-urlencode "title=$title" \
    --data-urlencode "description@$report" "$CI_API_V4_URL/projects/$CI_PROJECT_ID/issues" \
    <<<"PRIVATE-TOKEN: $ISSUE_TOKEN" >/dev/null || echo "The issue could not be opened." >&2
fi
exit "$status"
