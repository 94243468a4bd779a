# shellcheck shell=bash
# Sourced by the scripts that change a cluster: which release, and the revisions of it.
#
#   RELEASE (cortexkg), NAMESPACE (cortexkg)   Helm's release and its namespace
#   ROLLOUT_LIMIT (600)                        seconds that pods have to be replaced
#
# The revision that was last found good is in a ConfigMap beside it: Helm itself only knows what it installed, and a
# run that is killed before it has looked leaves a revision behind that nobody may go back to.

release=${RELEASE:-cortexkg}
namespace=${NAMESPACE:-cortexkg}
limit=${ROLLOUT_LIMIT:-600}

say() { printf '%s\n' "$*" >&2; }
give_up() { # code, what, why, what to do
  say "Error: $2"
  say "  why: $3"
  say "  what to do: $4"
  exit "$1"
}

need() { # PROGRAM...
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null ||
      give_up 5 "$program is missing." "It is not on the PATH." "Install it on the runner."
  done
}

# identify DIRECTORY: let aws take the role AWS_ROLE_ARN by the OpenID Connect token AWS_ID_TOKEN, when there is one.
identify() {
  [ -n "${AWS_ID_TOKEN-}" ] || return 0
  export AWS_WEB_IDENTITY_TOKEN_FILE=$1/token
  (umask 077 && printf '%s' "$AWS_ID_TOKEN" >"$AWS_WEB_IDENTITY_TOKEN_FILE")
}

# newest: put the number and the state of the newest revision into `now` and `state`; empty: there is no release.
newest() {
  local found
  found=$(kubectl get secrets --namespace "$namespace" --selector "owner=helm,name=$release" --output \
    'jsonpath={range .items[*]}{.metadata.labels.version}{" "}{.metadata.labels.status}{"\n"}{end}') || return
  # shellcheck disable=SC2034 # for who calls it
  read -r now state <<<"$(sort -n <<<"$found" | tail -n 1)"
}

# validated: print the number of the revision that was last found good; nothing when none was.
validated() {
  kubectl get configmap "$release-validated" --namespace "$namespace" --ignore-not-found \
    --output 'jsonpath={.data.revision}'
}

# mark REVISION: keep that this one was found good.
mark() {
  kubectl create configmap "$release-validated" --namespace "$namespace" --from-literal "revision=$1" \
    --dry-run=client --output yaml | kubectl apply --namespace "$namespace" --filename - >&2
}

# rolled_out: wait until all pods of the release are of the newest revision and ready.
rolled_out() {
  local names one
  names=$(kubectl get statefulsets,deployments --namespace "$namespace" \
    --selector "app.kubernetes.io/instance=$release" --output name) || return
  for one in $names; do
    kubectl rollout status "$one" --namespace "$namespace" --timeout "${limit}s" >&2 || return
  done
}
