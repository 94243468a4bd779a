# shellcheck shell=bash
# Sourced by scripts that look at a deployment: which one, by the environment, and for how long at most.
#
#   CORTEXCTL_DEPLOYMENT   a deployment of this machine, or
#   CORTEX_URLS            front doors, separated by spaces, of a cluster, with
#   CORTEX_CA              the file with the CA's certificate that they are known by
#   CORTEX_TENANT          the tenant to write and read as; its key is in CORTEXCTL_API_KEY, or kept here

# place: put into the array `words` what the environment says of the place.
place() {
  local url
  words=()
  for url in ${CORTEX_URLS-}; do
    words+=(--url "$url")
  done
  [ -z "${CORTEX_CA-}" ] || words+=(--ca "$CORTEX_CA")
}

# output ARG...: put into the array `rest` the arguments, with what --json stands for.
output() {
  local word
  rest=()
  for word in "$@"; do
    [ "$word" = --json ] && rest+=(--output json) || rest+=("$word")
  done
}

# bounded SECONDS COMMAND...: run it; what says nothing in time is 7, unknown.
bounded() {
  local seconds=$1 status=0
  shift
  if [[ ! $seconds =~ ^[1-9][0-9]*$ ]]; then
    printf 'Error: CORTEX_LIMIT is %s.\n  why: It is a number of seconds.\n  what to do: Set it to 300.\n' "$seconds" >&2
    return 2
  fi
  timeout --foreground --kill-after=10 "$seconds" "$@" || status=$?
  case $status in
    124 | 137)
      printf 'Error: There was no answer within %s s.\n  what to do: Look at it with cortexctl status.\n' "$seconds" >&2
      return 7
      ;;
  esac
  return "$status"
}
