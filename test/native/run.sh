#!/usr/bin/env bash
# Builds the bridge's core with the harness, once for each set of sanitizers, and runs it; and the
# fuzzer of record batches and expressions (batch-test.cc), for 5 seconds with each set.
#   bash test/native/run.sh [SEED] [RECORDS]        SANITIZERS="address,undefined" for one only
#   FUZZ_SECONDS=150 bash test/native/run.sh        the fuzzer for longer
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

deps=node_modules/@confluentinc/kafka-javascript/build/deps
out=build/native
if [ ! -e "$deps/librdkafka.so.1" ]; then
  echo "test:native: there is no librdkafka yet. Run: npm run setup" >&2
  exit 1
fi
mkdir -p "$out"
simdjson=node_modules/@nozbe/simdjson/src

core=()
for file in src/bridge/native/*.cc; do
  case $file in */napi*) ;; *) core+=("$file") ;; esac
done

# An error in the harness itself aborts; a report of a sanitizer ends with a status of its own.
export ASAN_OPTIONS=abort_on_error=0:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS="suppressions=$PWD/test/native/tsan.supp:second_deadlock_stack=1"

for sanitizers in ${SANITIZERS:-address,undefined thread}; do
  echo "bridge core under -fsanitize=$sanitizers"
  objects=()
  compile=()
  sources=("$simdjson/simdjson.cpp" "${core[@]}" test/native/world.cc test/native/bridge-test.cc test/native/batch-test.cc)
  if [ "$sanitizers" = thread ]; then sources+=(test/native/c11-threads.cc); fi
  for file in "${sources[@]}"; do
    object="$out/${sanitizers//,/-}-$(basename "$file" .cc).o"
    objects+=("$object")
    compile+=("$file" "$object")
  done
  printf '%s\n' "${compile[@]}" | xargs -n2 -P "$(getconf _NPROCESSORS_ONLN)" bash -c '
    warnings=(-Wall -Wextra -Wconversion -Werror)
    # The longest to compile, and always the same.
    case $4 in
      *simdjson.cpp) [ ! "$5" -nt "$4" ] || exit 0; warnings=(-w) ;;
    esac
    exec "${CXX:-g++}" -std=c++20 -O1 -g -fno-omit-frame-pointer "-fsanitize=$1" \
      "${warnings[@]}" -pthread -Isrc/bridge/native -isystem "$2" -isystem "$3" -c "$4" -o "$5"
  ' compile "$sanitizers" "$deps/include/librdkafka" "$simdjson"
  for main in batch-test bridge-test; do
    other=batch-test
    if [ "$main" = batch-test ]; then other=bridge-test; fi
    linked=()
    for object in "${objects[@]}"; do
      case $object in *-"$other".o) ;; *) linked+=("$object") ;; esac
    done
    "${CXX:-g++}" "-fsanitize=$sanitizers" "${linked[@]}" -pthread -L"$deps" -lrdkafka -lhs \
      -Wl,-rpath,"$PWD/$deps" -o "$out/$main-${sanitizers//,/-}"
  done
  "$out/batch-test-${sanitizers//,/-}" "${1:-1}" "${FUZZ_SECONDS:-5}"
  "$out/bridge-test-${sanitizers//,/-}" "$@"
done
