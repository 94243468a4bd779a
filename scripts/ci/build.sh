#!/usr/bin/env bash
# Build what is delivered, once: the images. What is deployed later is these, by their digests.
#
#   BASE=python:3.13-slim-bookworm@sha256:… IMAGE=registry/cortexkg scripts/ci/build.sh
#
# Without IMAGE they are only built, to see that they can be. With it they are pushed as IMAGE/node and IMAGE/control,
# tagged REVISION, and the node's digest is left for the stages that deploy: as IMAGE_DIGEST in dist/images.env, and
# as the output `digest` of a step of GitHub's. A registry in AWS is logged in to.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
# shellcheck source=scripts/ci/release.sh
. scripts/ci/release.sh
need docker

[[ ${BASE-} == *@sha256:* ]] || give_up 2 "BASE is not pinned." "It is ${BASE:-not set}; a tag is another image tomorrow." \
  "Set it to REPOSITORY:TAG@sha256:…, what the images stand on."
mkdir -p dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
identify "$work"
push=()
if [[ ${IMAGE-} == *.amazonaws.com/* ]]; then
  need aws
  aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE%%/*}"
fi
for target in control node; do
  [ -z "${IMAGE-}" ] ||
    push=(--push --provenance mode=max --sbom true --tag "$IMAGE/$target:${REVISION:?}" --metadata-file "$work/built.json")
  docker buildx build --build-arg "BASE=$BASE" --file runtime/Dockerfile --target "$target" ${push[@]+"${push[@]}"} .
done
[ -n "${IMAGE-}" ] || exit 0
digest=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["containerimage.digest"])' <"$work/built.json")
printf 'IMAGE_DIGEST=%s\n' "$digest" >dist/images.env
[ -z "${GITHUB_OUTPUT-}" ] || printf 'digest=%s\n' "$digest" >>"$GITHUB_OUTPUT"
