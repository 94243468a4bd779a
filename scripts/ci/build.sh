#!/usr/bin/env bash
# Build what is delivered, once: the images, pushed, their digests in dist/. What is deployed later is these.
#
#   BASE=python:3.13-slim-bookworm@sha256:… IMAGE=registry/cortexkg scripts/ci/build.sh
#
# Without IMAGE the images are only built, to see that they can be. dist/node.digest and dist/control.digest have
# the digests of IMAGE/node and IMAGE/control.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
# shellcheck source=scripts/ci/release.sh
. scripts/ci/release.sh
need docker

[[ ${BASE-} == *@sha256:* ]] || give_up 2 "BASE is not pinned." "It is ${BASE:-not set}; a tag is another image tomorrow." \
  "Set it to REPOSITORY:TAG@sha256:…, what the images stand on."
mkdir -p dist
for target in node control; do
  if [ -z "${IMAGE-}" ]; then
    docker buildx build --build-arg "BASE=$BASE" --file runtime/Dockerfile --target "$target" .
    continue
  fi
  docker buildx build --build-arg "BASE=$BASE" --file runtime/Dockerfile --target "$target" \
    --provenance mode=max --sbom true --tag "$IMAGE/$target:${REVISION:-latest}" \
    --metadata-file "dist/$target.json" --push .
  python3 -c 'import json, sys; print(json.load(sys.stdin)["containerimage.digest"])' \
    <"dist/$target.json" >"dist/$target.digest"
done
