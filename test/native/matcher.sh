#!/usr/bin/env bash
# Builds the tests of the search for literals with the sanitizers and runs them:
#   bash test/native/matcher.sh [SEED] [ROUNDS]
# Three builds: as released (-O2), with AddressSanitizer and UBSan, with ThreadSanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
seed=${1:-1}
rounds=${2:-20000}
common=(-std=c++20 -g -Wall -Wextra -Werror -Wconversion -pthread
  test/native/matcher-test.cc
  src/bridge/native/{byte-classes,literal-set,matcher,regex-shape,vectorscan}.cc)

build() { "${CXX:-g++}" "${@:2}" "${common[@]}" -lhs -o "$out/$1"; }
build plain -O2 &
build asan -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer &
build tsan -O1 -fsanitize=thread &
for job in $(jobs -p); do wait "$job"; done
"$out/plain" "$seed" "$rounds"
"$out/asan" "$seed" $((rounds / 4))
"$out/tsan" "$seed" $((rounds / 40))
