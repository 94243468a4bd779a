#!/usr/bin/env bash
# Run deploy, validate or rollback against the cluster of an environment, with short-lived credentials alone.
#
#   scripts/ci/with-cluster.sh deploy|validate|rollback
#
#   CLUSTER, AWS_REGION     the EKS cluster
#   VALUES                  the chart's values, as YAML
#   CORTEX_CA_PEM           the CA's certificate
#   CORTEX_KEY_SECRET       the secret in AWS Secrets Manager with the API key of CORTEX_TENANT
#   AWS_ID_TOKEN            an OpenID Connect token for the role AWS_ROLE_ARN; not set: the runner is logged in already
#
# What it writes is in a directory of its own that is gone when it ends.
set -euo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
# shellcheck source=scripts/ci/release.sh
. "$here/release.sh"

case ${1-} in
  deploy | validate | rollback) ;;
  *) give_up 2 "There is no ${1:-command} here." "It is one of deploy, validate, rollback." "Name one." ;;
esac
for name in CLUSTER AWS_REGION VALUES CORTEX_CA_PEM CORTEX_KEY_SECRET CORTEX_TENANT CORTEX_URLS; do
  [ -n "${!name-}" ] || give_up 2 "$name is not set." "The environment has to say where to deploy to." \
    "Set it among the variables of the environment: see docs/delivery.md."
done
need aws

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export KUBECONFIG=$work/kubeconfig CORTEX_CA=$work/ca.crt
identify "$work"
printf '%s\n' "$CORTEX_CA_PEM" >"$CORTEX_CA"
printf '%s\n' "$VALUES" >"$work/values.yaml"
aws eks update-kubeconfig --name "$CLUSTER" --region "$AWS_REGION" >&2
CORTEXCTL_API_KEY=$(aws secretsmanager get-secret-value --secret-id "$CORTEX_KEY_SECRET" --region "$AWS_REGION" \
  --query SecretString --output text)
export CORTEXCTL_API_KEY
if [ "$1" = deploy ]; then
  "$here/deploy.sh" "$work/values.yaml"
else
  "$here/$1.sh"
fi
