#!/usr/bin/env bash
# Builds the native benchmarks into build/bench: produce, consume, matcher-bench,
# filter-bench. Against the binding's own librdkafka, as the bridge is: one library to compare with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
deps=$PWD/node_modules/@confluentinc/kafka-javascript/build/deps
[[ -e $deps/librdkafka.so.1 ]] || { echo "librdkafka is not built: npm run setup" >&2; exit 1; }
mkdir -p build/bench
flags=(-std=c++20 -O2 -g -Wall -Wextra -Werror -pthread)
# -isystem: rdkafka.h itself does not pass -Wextra as C++.
kafka=(-isystem "$deps/include/librdkafka" "-L$deps" -lrdkafka "-Wl,-rpath,$deps")
compile() { "${CXX:-g++}" "${flags[@]}" "${@:2}" -o "build/bench/$1"; }

compile produce bench/native/produce.cc "${kafka[@]}"
compile consume bench/native/consume.cc src/bridge/native/plain-loop.cc "${kafka[@]}"
native=src/bridge/native
compile matcher-bench bench/native/matcher-bench.cc \
  "$native"/{byte-classes,literal-set,matcher,regex-shape,vectorscan}.cc -lhs
# All of the bridge but what speaks to Node: what a filter needs changes.
core=()
for file in "$native"/*.cc; do
  case $file in */napi*) ;; *) core+=("$file") ;; esac
done
compile filter-bench bench/native/filter-bench.cc "${core[@]}" \
  -isystem node_modules/@nozbe/simdjson/src build/simdjson.o -lhs "${kafka[@]}"
